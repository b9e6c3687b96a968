"""Write all that a batch changes in one statement, which is a transaction by itself, or a part of one under locks.

Each decision rests on resources as they were read: the statement fails as a whole where one of them is not so any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from schema import queries
from schema.one_statement import Part, in_one_statement
from schema.orders import orders_part, payment_events_part, payments_part
from schema.rows import Hold, Holding, HoldingUpdate, Order, Payment, PaymentEvent, Pool, Request, Resource, ResourceKey
from schema.seat_holds import seat_ends_part, seat_holds_part
from schema.snapshots import columns_of
from topics.identifiers import hold_id_of

_encode: Final = msgspec.json.encode
_RACED: Final = "RC001"
_KEYS_OF_RACES: Final = ("requests_pkey", "holds_pkey")


class RacedError(Exception):
    """Somebody else decided one of the batch's requests, or moved one of its resources, meanwhile: run it again."""


@dataclass(frozen=True, slots=True)
class ResourceWrite:
    """A resource to be written, if nobody has written it since it was read as `before`; None: it must not exist yet."""

    key: ResourceKey
    before: Resource | None
    resource: Resource


@dataclass(frozen=True, slots=True)
class Writes:
    """All that a batch changes; of `missing` it was decided that they do not exist.

    With `carried_at` it was decided at that time without reading: on what an earlier batch left of the resources, and as if
    there were nothing yet of its commands, which all ask for holds.
    """

    requests: Sequence[Request]
    resources: Sequence[ResourceWrite]
    pools: Mapping[tuple[ResourceKey, str], Pool]
    holds: Sequence[tuple[ResourceKey, Hold]]
    orders: Sequence[tuple[ResourceKey, Order]] = ()
    payments: Sequence[tuple[ResourceKey, Payment]] = ()
    payment_events: Sequence[PaymentEvent] = ()
    holdings: Sequence[tuple[ResourceKey, Holding]] = ()
    holding_updates: Sequence[HoldingUpdate] = ()
    missing: Sequence[ResourceKey] = ()
    carried_at: datetime | None = None


async def write_all(connection: PoolConnectionProxy, writes: Writes) -> int | None:
    """Write it; raises RacedError, and nothing of it stays, if it was decided on what is no longer so.

    Return the number of the transaction, which is `written_by` of the resources now; None if there was nothing to write.
    """
    parts = _parts(writes)
    if not any(part.arguments[0] for part in parts):
        return None
    if writes.carried_at is not None:
        parts += _checks(writes, writes.carried_at)
    query, arguments = in_one_statement(parts)
    try:
        (row,) = await connection.fetch(query, *arguments)
    except asyncpg.PostgresError as fault:
        if not _is_race(fault):
            raise
        raise RacedError(str(fault)) from fault
    written_by: int = row["written_by"]
    return written_by


def _is_race(fault: asyncpg.PostgresError) -> bool:
    if isinstance(fault, asyncpg.UniqueViolationError):
        return fault.constraint_name in _KEYS_OF_RACES
    return bool(fault.sqlstate == _RACED)


def _parts(writes: Writes) -> list[Part]:
    """Return what there is to write: resources first, in which batches meet in the same order as under locks."""
    parts: list[Part] = []
    if writes.resources:
        parts.append(_resources(writes.resources))
    if writes.missing:
        parts.append(Part("created", queries.FIND_CREATED_RESOURCES, columns_of(writes.missing), rows_wanted=0))
    parts.append(_requests(writes.requests))
    if writes.payments:
        parts.append(payments_part(writes.payments))
    if writes.payment_events:
        parts.append(payment_events_part(writes.payment_events))
    if writes.holding_updates:
        parts.append(seat_ends_part(writes.holding_updates))
    if writes.holdings:
        parts.append(seat_holds_part(writes.holdings))
    if writes.pools:
        parts.append(_pools(writes.pools))
    if writes.holds:
        parts.append(_holds(writes))
    if writes.orders:
        parts.append(orders_part(writes.orders))
    return parts


def _checks(writes: Writes, carried_at: datetime) -> list[Part]:
    """Return what is to be so where nothing was read: the time is still now, and the commands, all of holds, left no traces.

    A hold that is placed must not be there, which its primary key tells; one that is refused neither: had it been placed
    before, and its request purged, it would have answered.
    """
    request_ids = [request.request_id for request in writes.requests]
    placed = {hold.hold_id for _, hold in writes.holds}
    hold_ids = [hold_id for hold_id in map(hold_id_of, request_ids) if hold_id not in placed]
    return [
        Part("clock", queries.CHECK_CLOCK, [carried_at], rows_wanted=1),
        Part("traces", queries.FIND_TRACES, [hold_ids, request_ids], rows_wanted=0),
    ]


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
        *columns_of([write.key for write in writes]),
        [write.resource.version for write in writes],
        [_encode(write.resource.settings).decode() for write in writes],
        [write.resource.counters.capacity for write in writes],
        [write.resource.counters.held for write in writes],
        [write.resource.counters.taken for write in writes],
        [write.resource.counters.remaining for write in writes],
        [write.resource.counters.oversubscribed_by for write in writes],
        [write.resource.last_arrived_at for write in writes],
        [None if write.before is None else write.before.written_by for write in writes],
    )
    return Part("resources", queries.WRITE_RESOURCES, columns, rows_wanted=len(writes))


def _pools(pools: Mapping[tuple[ResourceKey, str], Pool]) -> Part:
    columns = (
        *columns_of([key for key, _ in pools]),
        [name for _, name in pools],
        [pool.capacity for pool in pools.values()],
        [pool.held for pool in pools.values()],
        [pool.taken for pool in pools.values()],
        [pool.ceiling for pool in pools.values()],
    )
    return Part("pools", queries.WRITE_POOLS, columns)


def _holds(writes: Writes) -> Part:
    holds = writes.holds
    columns = (
        [hold.hold_id for _, hold in holds],
        *columns_of([key for key, _ in holds]),
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
    if writes.carried_at is not None:
        return Part("placed", queries.PLACE_HOLDS, columns)
    return Part("holds", queries.WRITE_HOLDS, columns)
