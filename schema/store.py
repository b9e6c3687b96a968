"""The store as a worker uses it: lock, read and write within one transaction. It decides nothing.

Every method takes whole sets, so that a batch costs the same few statements however many commands it has.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from schema import queries
from schema.one_statement import Part, in_one_statement
from schema.orders import (
    KnownPayment,
    Named,
    read_known_payments,
    read_orders,
    read_payments,
    write_orders,
    write_payment_events,
    write_payments,
)
from schema.rows import Hold, Holding, HoldingUpdate, Order, Payment, PaymentEvent, Pool, Request, Resource, ResourceKey
from schema.seat_holds import end_seat_holds, write_seat_holds
from topics.resources import Counters, HoldStatus, Settings

_settings = msgspec.json.Decoder(Settings)
_units = msgspec.json.Decoder(dict[str, int])
_encode = msgspec.json.encode
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Connection = PoolConnectionProxy


class RacedError(Exception):
    """Somebody else decided one of the batch's requests, or moved one of its resources, meanwhile: run it again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is deduplicated, with the id of the request that it would make."""

    source: str
    claim_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A request that has its outcome already."""

    request_id: str
    source: str
    claim_id: str
    owns_claim: bool
    events: str
    step_of: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedHold:
    """A request for a hold that was refused: on which resource, whose it was, and why."""

    key: ResourceKey
    request_id: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResourceWrite:
    """A resource to be written, if it still is at `expected_version` (0: it must not exist yet)."""

    key: ResourceKey
    expected_version: int
    resource: Resource


@dataclass(frozen=True, slots=True)
class Writes:
    """All that a batch changes."""

    requests: Sequence[Request]
    resources: Sequence[ResourceWrite]
    pools: Mapping[tuple[ResourceKey, str], Pool]
    holds: Sequence[tuple[ResourceKey, Hold]]
    orders: Sequence[tuple[ResourceKey, Order]] = ()
    payments: Sequence[tuple[ResourceKey, Payment]] = ()
    payment_events: Sequence[PaymentEvent] = ()
    holdings: Sequence[tuple[ResourceKey, Holding]] = ()
    holding_updates: Sequence[HoldingUpdate] = ()


class Transaction:
    """One transaction of a batch. The methods are called in the order in which they stand here."""

    def __init__(self, connection: Connection) -> None:
        """Work on a connection that has an open transaction."""
        self._connection = connection

    async def lock(self, keys: Collection[ResourceKey]) -> dict[ResourceKey, Resource]:
        """Lock those of the resources that exist, in id order, and return them as they now stand."""
        rows = await self._connection.fetch(queries.LOCK_RESOURCES, *_columns(keys))
        return {ResourceKey(row["kind"], row["resource_id"]): resource_of(row) for row in rows}

    async def clock_and_decided(self, claims: Sequence[Claim]) -> tuple[datetime, list[Decided]]:
        """Return Postgres's clock, and what is decided of these claims: by this request, or by another of the same key.

        And the steps that were taken for these requests, in their order.
        """
        rows = await self._connection.fetch(
            queries.READ_CLOCK_AND_DECIDED,
            [claim.request_id for claim in claims],
            [claim.source for claim in claims],
            [claim.claim_id for claim in claims],
        )
        found = [
            Decided(row["request_id"], row["source"], row["claim_id"], row["owns_claim"], row["events"], row["step_of"])
            for row in rows
            if row["request_id"] is not None
        ]
        return rows[0]["now"], found

    async def pools(
        self, needed: Mapping[ResourceKey, Collection[str] | None], until: datetime
    ) -> tuple[dict[ResourceKey, dict[str, Pool]], set[ResourceKey]]:
        """Return pools of locked resources by name, and which of these have orders or payments that are over by then.

        Of each resource those of these names, None: all.
        """
        named = [(key, name) for key, names in needed.items() for name in names or ()]
        rows = await self._connection.fetch(
            queries.READ_POOLS,
            *_columns(needed),
            [names is None for names in needed.values()],
            until,
            *_columns([key for key, _ in named]),
            [name for _, name in named],
        )
        have_due_orders = {_key(row) for row in rows if row["has_due_orders"]}
        return _pools_of([row for row in rows if row["pool"] is not None]), have_due_orders

    async def pools_of(self, named: Sequence[tuple[ResourceKey, str]]) -> dict[ResourceKey, dict[str, Pool]]:
        """Return pools of locked resources by their names."""
        columns = _columns([key for key, _ in named])
        return _pools_of(await self._connection.fetch(queries.READ_POOLS_OF, *columns, [name for _, name in named]))

    async def holds(
        self, keys: Collection[ResourceKey], until: datetime, hold_ids: Collection[str], due_max: int
    ) -> dict[ResourceKey, list[Hold]]:
        """Return the holds of locked resources that are of these ids, or live with `expires_at <= until`.

        Of the latter the oldest, `due_max` of each resource.
        """
        found: dict[ResourceKey, list[Hold]] = {}
        for row in await self._connection.fetch(queries.READ_HOLDS, *_columns(keys), until, list(hold_ids), due_max):
            found.setdefault(_key(row), []).append(hold_of(row))
        return found

    async def orders(
        self, keys: Collection[ResourceKey], until: datetime, order_ids: Collection[str], due_max: int
    ) -> list[tuple[ResourceKey, Order | Payment]]:
        """Return the orders of locked resources that are of these ids, or not paid in time, and all payments of them.

        And the payments that waited for their order until then, or whose order has one of these ids and has not come. Of
        what is over the oldest, `due_max` of each resource.
        """
        found = await read_orders(self._connection, keys, until, order_ids, due_max)
        named = {*order_ids, *(order.order_id for _, order in found)}
        return [*found, *await read_payments(self._connection, keys, until, named, due_max)]

    async def known_payments(self, named: Collection[Named]) -> list[KnownPayment]:
        """Return what is known of payments that commands report, wherever they live."""
        return await read_known_payments(self._connection, named)

    async def refused(self, request_ids: Collection[str]) -> list[RefusedHold]:
        """Return those of the requests that asked for a hold and were refused."""
        rows = await self._connection.fetch(queries.READ_REFUSED_HOLDS, list(request_ids))
        return [
            RefusedHold(ResourceKey(row["kind"], row["resource_id"]), row["request_id"], row["source"], row["reason"])
            for row in rows
        ]

    async def live_holds_of(self, buyers: Collection[tuple[ResourceKey, str]]) -> dict[tuple[ResourceKey, str], int]:
        """Count the live holds that each of these buyers has on the resource beside it."""
        rows = await self._connection.fetch(
            queries.COUNT_LIVE_HOLDS_OF_BUYERS,
            [key.kind for key, _ in buyers],
            [key.resource_id for key, _ in buyers],
            [buyer for _, buyer in buyers],
        )
        return {(ResourceKey(row["kind"], row["resource_id"]), row["buyer"]): row["holds"] for row in rows}

    async def write(self, writes: Writes) -> None:
        """Write what was decided, most of it in one statement; raises RacedError if it was decided on what is no longer so."""
        parts = _parts(writes)
        query, arguments = in_one_statement(parts)
        (counted,) = await self._connection.fetch(query, *arguments)
        for part in parts:
            if part.rows_wanted is not None:
                _all_written(counted[part.name], part.rows_wanted, part.name)
        if writes.holding_updates:
            ended = await end_seat_holds(self._connection, writes.holding_updates)
            _all_written(ended, len(writes.holding_updates), "ends of seat holds")
        if writes.holdings:
            await write_seat_holds(self._connection, writes.holdings)
        await self._write_sales(writes)

    async def _write_sales(self, writes: Writes) -> None:
        if writes.orders:
            await write_orders(self._connection, writes.orders)
        if writes.payments:
            payments = await write_payments(self._connection, writes.payments)
            _all_written(payments, len(writes.payments), "payments")
        if writes.payment_events:
            events = await write_payment_events(self._connection, writes.payment_events)
            _all_written(events, len(writes.payment_events), "payment events")


def _parts(writes: Writes) -> list[Part]:
    parts = [_requests(writes.requests)]
    if writes.resources:
        parts.append(_resources(writes.resources))
    if writes.pools:
        parts.append(_pools(writes.pools))
    if writes.holds:
        parts.append(_holds(writes.holds))
    return parts


def _requests(requests: Sequence[Request]) -> Part:
    columns = (
        [request.request_id for request in requests],
        [request.key.kind for request in requests],
        [request.key.resource_id for request in requests],
        [request.source for request in requests],
        [request.claim_id for request in requests],
        [request.owns_claim for request in requests],
        [request.fingerprint for request in requests],
        [request.command for request in requests],
        [request.reason for request in requests],
        [request.events for request in requests],
        [request.arrived_at for request in requests],
        [request.decided_at for request in requests],
        [request.partition for request in requests],
        [request.offset for request in requests],
        [request.step_of for request in requests],
    )
    return Part("requests", queries.WRITE_REQUESTS, columns, rows_wanted=len(requests))


def _resources(writes: Sequence[ResourceWrite]) -> Part:
    columns = (
        *_columns([write.key for write in writes]),
        [write.resource.version for write in writes],
        [_encode(write.resource.settings).decode() for write in writes],
        [write.resource.counters.capacity for write in writes],
        [write.resource.counters.held for write in writes],
        [write.resource.counters.taken for write in writes],
        [write.resource.counters.remaining for write in writes],
        [write.resource.counters.oversubscribed_by for write in writes],
        [write.resource.last_arrived_at for write in writes],
        [write.expected_version for write in writes],
    )
    return Part("resources", queries.WRITE_RESOURCES, columns, rows_wanted=len(writes))


def _pools(pools: Mapping[tuple[ResourceKey, str], Pool]) -> Part:
    columns = (
        *_columns([key for key, _ in pools]),
        [name for _, name in pools],
        [pool.capacity for pool in pools.values()],
        [pool.held for pool in pools.values()],
        [pool.taken for pool in pools.values()],
        [pool.ceiling for pool in pools.values()],
    )
    return Part("pools", queries.WRITE_POOLS, columns)


def _holds(holds: Sequence[tuple[ResourceKey, Hold]]) -> Part:
    columns = (
        [hold.hold_id for _, hold in holds],
        *_columns([key for key, _ in holds]),
        [hold.account for _, hold in holds],
        [hold.token_hash for _, hold in holds],
        [hold.buyer for _, hold in holds],
        [hold.client_reference for _, hold in holds],
        [hold.status.value for _, hold in holds],
        [hold.quantity for _, hold in holds],
        [_encode(hold.units).decode() for _, hold in holds],
        [hold.granted_at for _, hold in holds],
        [hold.expires_at for _, hold in holds],
        [hold.expires_latest_at for _, hold in holds],
        [hold.ended_at for _, hold in holds],
        [hold.unit_price for _, hold in holds],
        [hold.currency for _, hold in holds],
        [hold.order_id for _, hold in holds],
    )
    return Part("holds", queries.WRITE_HOLDS, columns)


class Store:
    """The Postgres store of a worker."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use a pool of `schema.connections.lazy_pool`."""
        self._pool = pool

    async def due_resources(self, page_rows: int) -> AsyncIterator[list[ResourceKey]]:
        """Yield, page by page, all resources that have holds, orders or payments that are over, the longest overdue first.

        A page is made of so many of these, or a few more. It is advice.
        """
        after: datetime | None = _BEGINNING
        while after is not None:
            rows = await self._pool.fetch(queries.FIND_DUE_RESOURCES, after, page_rows)
            yield [ResourceKey(row["kind"], row["resource_id"]) for row in rows]
            after = rows[0]["until"] if rows and rows[0]["found"] >= page_rows else None

    async def purge_requests(self, older_than: timedelta, requests_max: int) -> int | None:
        """Forget requests that were decided so long ago, so many at most, and return how many; None if another is at it."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(queries.LOCK_PURGING):
                return None
            status: str = await connection.execute(queries.PURGE_REQUESTS, older_than, requests_max)
        return int(status.removeprefix("DELETE "))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run a batch in one READ COMMITTED transaction: committed at the end, rolled back if anything is raised."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Transaction(connection)


def _all_written(written: int, asked: int, what: str) -> None:
    if written != asked:
        message = f"{asked - written} of {asked} {what} were decided by somebody else"
        raise RacedError(message)


def _key(row: asyncpg.Record) -> ResourceKey:
    return ResourceKey(row["kind"], row["resource_id"])


def _pools_of(rows: Iterable[asyncpg.Record]) -> dict[ResourceKey, dict[str, Pool]]:
    found: dict[ResourceKey, dict[str, Pool]] = {}
    for row in rows:
        found.setdefault(_key(row), {})[row["pool"]] = Pool(row["capacity"], row["held"], row["taken"], row["ceiling"])
    return found


def _columns(keys: Iterable[ResourceKey]) -> tuple[list[str], list[str]]:
    keys = list(keys)
    return [key.kind for key in keys], [key.resource_id for key in keys]


def resource_of(row: asyncpg.Record) -> Resource:
    """Read a resource from its columns."""
    counters = Counters(row["capacity"], row["held"], row["taken"], row["remaining"], row["oversubscribed_by"])
    return Resource(row["version"], _settings.decode(row["settings"]), counters, row["last_arrived_at"])


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
