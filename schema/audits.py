"""What an audit reads: rows beside what they must agree with, page by page. It locks nothing and writes nothing.

Each page is one statement, and so of one instant; no snapshot outlives it by more than the reading of its rows, because
an old snapshot would keep Postgres from clearing away what hot rows leave behind.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import msgspec

from schema import queries
from schema.orders import KnownPayment, Named, order_of, payment_of, read_known_payments
from schema.reads import hold_of
from schema.rows import Hold, Order, Payment, ResourceKey
from topics.resources import Counters, HoldStatus, Settings

_ROWS_MAX = 1_000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AuditedPool:
    """A pool (None: there is no such row) beside the units that holds and orders claim of it."""

    name: str
    counters: tuple[int, int, int, int] | None
    claimed_held: int
    claimed_taken: int


@dataclass(frozen=True, slots=True)
class AuditedResource:
    """A resource with its pools; what is of the resource itself is None if it has no row."""

    key: ResourceKey
    version: int | None
    counters: Counters | None
    pools: tuple[AuditedPool, ...]
    settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """A request, whether it is a step of another one, and whether the hold and the order exist that it would have placed."""

    request_id: str
    key: ResourceKey
    source: str
    claim_id: str
    command: str
    reason: str | None
    events: str
    decided_at: datetime
    partition: int
    offset: int
    is_step: bool
    has_hold: bool
    has_order: bool


@dataclass(frozen=True, slots=True)
class AuditedHold:
    """A hold, the source of the request that asked for it (None: that is not stored), and whether its order is there.

    `lacks_order` tells that an order used the hold and is not there.
    """

    key: ResourceKey
    hold: Hold
    source: str | None
    lacks_order: bool


@dataclass(frozen=True, slots=True)
class AuditedOrder:
    """An order, the hold that it used (None: it is not there), and what its payments come to, in minor units.

    `counting` payments count for it and add up to `counted`, `owed` are to be given back, `parked` still wait; `received` is
    all that can ever have counted for it, were it paid.
    """

    key: ResourceKey
    order: Order
    hold_status: HoldStatus | None
    order_of_hold: str | None
    has_request: bool
    counting: int
    counted: int
    received: int
    owed: int
    parked: int


@dataclass(frozen=True, slots=True)
class AuditedPayment:
    """A payment, when it was read, and the currency of its order (None: that has not come).

    `is_of_its_resource` tells that payment and order are of one resource, `was_said` that a provider's event of it is stored.
    `contradicted_by` are the events that say it was paid with other money, and came when it was paid already.
    """

    key: ResourceKey
    payment: Payment
    now: datetime
    order_currency: str | None
    is_of_its_resource: bool
    was_said: bool
    contradicted_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecidedRequest:
    """What the events of a request are made of."""

    request_id: str
    resource_id: str
    claim_id: str
    events: str


class Audits:
    """The queries of an audit; each raises what asyncpg raises if Postgres does not answer."""

    def __init__(self, pool: asyncpg.Pool, resource_id: str | None = None) -> None:
        """Use a pool of `schema.connections.lazy_pool`; look at one resource id only, if one is given."""
        self._pool = pool
        self._resource_id = resource_id

    async def clock(self) -> datetime:
        """Return what Postgres's clock shows."""
        now: datetime = await self._pool.fetchval(queries.READ_CLOCK)
        return now

    async def resources(self) -> AsyncIterator[AuditedResource]:
        """Yield each resource with its pools, and what holds claim of resources that have no row; all of one instant."""
        rows: list[asyncpg.Record] = []
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            async for row in connection.cursor(queries.AUDIT_POOLS, self._resource_id, prefetch=_ROWS_MAX):
                if rows and _key(rows[0]) != _key(row):
                    yield _resource(rows)
                    rows = []
                rows.append(row)
        if rows:
            yield _resource(rows)

    async def requests(self, since: datetime | None, until: datetime) -> AsyncIterator[AuditedRequest]:
        """Yield the requests that were decided after `since` and until `until`, in the order of their decisions."""
        after = (since or _BEGINNING, "")
        while rows := await self._pool.fetch(queries.AUDIT_REQUESTS, *after, until, self._resource_id, _ROWS_MAX):
            for row in rows:
                yield AuditedRequest(
                    request_id=row["request_id"],
                    key=_key(row),
                    source=row["source"],
                    claim_id=row["claim_id"],
                    command=row["command"],
                    reason=row["reason"],
                    events=row["events"],
                    decided_at=row["decided_at"],
                    partition=row["topic_partition"],
                    offset=row["record_offset"],
                    is_step=row["is_step"],
                    has_hold=row["has_hold"],
                    has_order=row["has_order"],
                )
            after = (rows[-1]["decided_at"], rows[-1]["request_id"])

    async def holds(self) -> AsyncIterator[AuditedHold]:
        """Yield the holds in the order of their ids."""
        after = ""
        while rows := await self._pool.fetch(queries.AUDIT_HOLDS, after, self._resource_id, _ROWS_MAX):
            for row in rows:
                yield AuditedHold(_key(row), hold_of(row), row["source"], row["lacks_order"])
            after = rows[-1]["hold_id"]

    async def orders(self) -> AsyncIterator[AuditedOrder]:
        """Yield the orders in the order of their ids."""
        after = ""
        while rows := await self._pool.fetch(queries.AUDIT_ORDERS, after, self._resource_id, _ROWS_MAX):
            for row in rows:
                yield _order(row)
            after = rows[-1]["order_id"]

    async def payments(self) -> AsyncIterator[AuditedPayment]:
        """Yield the payments in the order of their names."""
        after = ("", "")
        while rows := await self._pool.fetch(queries.AUDIT_PAYMENTS, *after, self._resource_id, _ROWS_MAX):
            for row in rows:
                yield AuditedPayment(
                    key=_key(row),
                    payment=payment_of(row),
                    now=row["now"],
                    order_currency=row["order_currency"],
                    is_of_its_resource=row["is_of_its_resource"],
                    was_said=row["was_said"],
                    contradicted_by=tuple(row["contradicted_by"]),
                )
            after = (rows[-1]["provider"], rows[-1]["payment_id"])

    async def recorded(self, named: Collection[Named]) -> list[KnownPayment]:
        """Return what is stored of these payments, and of these events of providers."""
        async with self._pool.acquire() as connection:
            return await read_known_payments(connection, named)

    async def decided(self, request_ids: Collection[str]) -> dict[str, DecidedRequest]:
        """Return those of the requests that are stored, by their ids."""
        rows = await self._pool.fetch(queries.AUDIT_DECIDED, list(request_ids))
        return {
            row["request_id"]: DecidedRequest(row["request_id"], row["resource_id"], row["claim_id"], row["events"])
            for row in rows
        }


def _key(row: asyncpg.Record) -> ResourceKey:
    return ResourceKey(row["kind"], row["resource_id"])


def _order(row: asyncpg.Record) -> AuditedOrder:
    return AuditedOrder(
        key=_key(row),
        order=order_of(row),
        hold_status=None if row["hold_status"] is None else HoldStatus(row["hold_status"]),
        order_of_hold=row["order_of_hold"],
        has_request=row["has_request"],
        counting=row["counting"],
        counted=row["counted"],
        received=row["received"],
        owed=row["owed"],
        parked=row["parked"],
    )


def _resource(rows: list[asyncpg.Record]) -> AuditedResource:
    first = rows[0]
    pools = tuple(
        AuditedPool(
            row["pool"],
            None if row["capacity"] is None else (row["capacity"], row["held"], row["taken"], row["ceiling"]),
            row["claimed_held"],
            row["claimed_taken"],
        )
        for row in rows
        if row["pool"] is not None
    )
    if first["version"] is None:
        return AuditedResource(_key(first), None, None, pools)
    counters = Counters(*(first[f"sum_{name}"] for name in Counters.__struct_fields__))
    settings = msgspec.json.decode(first["settings"], type=Settings)
    return AuditedResource(_key(first), first["version"], counters, pools, settings)
