"""What a gateway reads: outcomes, holds, resources. Reads are advice and lock nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from schema import queries
from schema.orders import order_of, payment_of
from schema.rows import Hold, Order, Payment, ResourceKey
from topics.orders import OrderStatus
from topics.resources import Counters, HoldStatus, Settings

_settings = msgspec.json.Decoder(Settings)
_units = msgspec.json.Decoder(dict[str, int])


@dataclass(frozen=True, slots=True)
class Outcome:
    """The stored outcome of a request; `events` is the JSON of `topics.events.encode_stored`."""

    request_id: str
    reason: str | None
    events: str
    arrived_at: datetime
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class ResourceReading:
    """A resource as it stands, with holds past their expiry counted as free; None: no hold is going to expire."""

    version: int
    settings: Settings
    counters: Counters
    expires_in_ms: int | None


@dataclass(frozen=True, slots=True)
class PoolsReading:
    """A resource with the units of its pools that are out, of one instant; a pool that is not named has none out.

    What holds past their expiry have counts as free. As long as the version stays, this changes only by time passing:
    `over_count`, how many holds are over that nobody has ended yet, tells two such readings apart. Of another `epoch` a
    version is another one: see `ToldReading`.
    """

    epoch: str
    version: int
    settings: Settings
    held: dict[str, int]
    taken: dict[str, int]
    over_count: int
    expires_in_ms: int | None


@dataclass(frozen=True, slots=True)
class ToldReading:
    """A resource as events have told of it up to `version`: the pools that have units held, and those that have units taken.

    Versions of different epochs do not compare: another database, an older backup, a server that took over.
    """

    epoch: str
    version: int
    settings: Settings
    held: frozenset[str]
    taken: frozenset[str]


class Reads:
    """The queries of a gateway; each raises what asyncpg raises if Postgres does not answer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use a pool of `schema.connections.lazy_pool`."""
        self._pool = pool

    async def outcome(self, request_id: str, source: str) -> Outcome | None:
        """Return the outcome of a request that this source made, None if there is none (yet)."""
        row = await self._pool.fetchrow(queries.READ_REQUEST, request_id, source)
        if row is None:
            return None
        return Outcome(row["request_id"], row["reason"], row["events"], row["arrived_at"], row["decided_at"])

    async def hold(self, hold_id: str) -> tuple[Hold, bool] | None:
        """Return a hold, and whether it still says `held` although its time is over."""
        row = await self._pool.fetchrow(queries.READ_HOLD, hold_id)
        if row is None:
            return None
        hold = hold_of(row)
        return hold, hold.status is HoldStatus.HELD and hold.expires_at <= row["now"]

    async def order(self, order_id: str) -> tuple[Order, bool, list[Payment]] | None:
        """Return an order, whether it still waits for payment although its time is over, and its payments as they came.

        All of one instant: an order is never shown beside money that came after it was read.
        """
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(queries.READ_ORDER, order_id)
            payments = [] if row is None else await connection.fetch(queries.READ_PAYMENTS_OF_ORDER, order_id)
        if row is None:
            return None
        order = order_of(row)
        is_over = order.status is OrderStatus.PENDING_PAYMENT and order.payment_due_at <= row["now"]
        return order, is_over, [payment_of(it) for it in payments]

    async def payments_of(self, order_id: str) -> list[Payment]:
        """Return the payments of an order as they came, whether it has come or not."""
        return [payment_of(row) for row in await self._pool.fetch(queries.READ_PAYMENTS_OF_ORDER, order_id)]

    async def resource(self, key: ResourceKey) -> ResourceReading | None:
        """Return a resource with its counters as of now."""
        return (await self.resources(key.kind, [key.resource_id])).get(key.resource_id)

    async def resources(self, kind: str, resource_ids: Collection[str]) -> dict[str, ResourceReading]:
        """Return those of the resources that exist, with their counters as of now, in one query."""
        rows = await self._pool.fetch(queries.READ_RESOURCES, kind, list(resource_ids))
        return {row["resource_id"]: _reading_of(row) for row in rows}

    async def pools_out(self, key: ResourceKey) -> PoolsReading | None:
        """Return what is out of each pool of a resource, as of now: of a screening its map, in one statement."""
        row = await self._pool.fetchrow(queries.READ_POOLS_OUT, key.kind, key.resource_id)
        if row is None:
            return None
        return PoolsReading(
            row["epoch"],
            row["version"],
            _settings.decode(row["settings"]),
            _those_out(row["pools"], row["held"]),
            _those_out(row["pools"], row["taken"]),
            row["over_count"],
            row["expires_in_ms"],
        )

    async def as_told(self, key: ResourceKey) -> ToldReading | None:
        """Return what events have told of a resource, in one statement: of a screening the seats that are held or taken."""
        row = await self._pool.fetchrow(queries.READ_AS_TOLD, key.kind, key.resource_id)
        if row is None:
            return None
        held, taken = frozenset(row["held"]), frozenset(row["taken"])
        return ToldReading(row["epoch"], row["version"], _settings.decode(row["settings"]), held, taken)

    async def versions(self, kind: str, resource_ids: Collection[str]) -> dict[str, tuple[str, int]]:
        """Return epoch and version of each of these resources; version 0 of one that is not there (any more)."""
        rows = await self._pool.fetch(queries.READ_VERSIONS, kind, list(resource_ids))
        return {row["resource_id"]: (row["epoch"], row["version"] or 0) for row in rows}

    async def hold_of_seat(self, key: ResourceKey, pool: str, token_hash: str) -> str | None:
        """Return the id of the hold with this token that has a seat, or had it; None if none ever did."""
        found = await self._pool.fetchval(queries.FIND_HOLD_OF_SEAT, key.kind, key.resource_id, pool, token_hash)
        return None if found is None else str(found)

    async def resource_ids(self, kind: str, after: str, ids_max: int) -> list[str]:
        """Return ids in Postgres's order, from behind `after` (empty: from the first)."""
        rows = await self._pool.fetch(queries.READ_RESOURCE_IDS, kind, after, ids_max)
        return [row["resource_id"] for row in rows]

    async def seats_held_until(self, kind: str, seats: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
        """Return until when those of the seats are held that are; a seat is the id of its resource, and its own."""
        columns = [resource_id for resource_id, _ in seats], [seat for _, seat in seats]
        rows = await self._pool.fetch(queries.READ_SEATS_HELD_UNTIL, kind, *columns)
        return {(row["screening_id"], row["seat_id"]): row["expires_at"] for row in rows}

    async def answers(self) -> bool:
        """Ask Postgres for a sign of life; raises if it gives none."""
        return await self._pool.fetchval("select true") is True


def _reading_of(row: asyncpg.Record) -> ResourceReading:
    counters = Counters(row["capacity"], row["held"], row["taken"], row["remaining"], row["oversubscribed_by"])
    return ResourceReading(row["version"], _settings.decode(row["settings"]), counters, row["expires_in_ms"])


def _those_out(pools: Sequence[str], units: Sequence[int]) -> dict[str, int]:
    return {pool: out for pool, out in zip(pools, units, strict=True) if out}


def hold_of(row: asyncpg.Record) -> Hold:
    """Read a hold from its columns."""
    return Hold(
        hold_id=row["hold_id"],
        account=row["account"],
        token_hash=row["token_hash"],
        buyer=row["buyer"],
        client_reference=row["client_reference"],
        status=HoldStatus(row["status"]),
        quantity=row["quantity"],
        units=_units.decode(row["units"]),
        granted_at=row["granted_at"],
        expires_at=row["expires_at"],
        expires_latest_at=row["expires_latest_at"],
        ended_at=row["ended_at"],
        unit_price=row["unit_price"],
        currency=row["currency"],
        order_id=row["order_id"],
    )
