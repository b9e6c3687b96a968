"""What an operator is shown of a request and of an order, whosever they are. It writes nothing."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from schema import queries
from schema.rows import ResourceKey


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A stored request; `events` is the JSON of `topics.events.encode_stored`, `reason` is None if it succeeded."""

    request_id: str
    key: ResourceKey
    source: str
    claim_id: str
    command: str
    reason: str | None
    events: str
    arrived_at: datetime
    decided_at: datetime
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class ShownPaymentEvent:
    """What a provider said of a payment, and what that came to. Amounts are in minor units."""

    provider: str
    event_id: str
    payment_id: str
    report: str
    amount: int | None
    currency: str | None
    effect: str
    arrived_at: datetime


async def shown_request(pool: asyncpg.Pool, request_id: str) -> ShownRequest | None:
    """Return a request, None if it is not stored (yet, or any more)."""
    row = await pool.fetchrow(queries.SHOW_REQUEST, request_id)
    if row is None:
        return None
    return ShownRequest(
        request_id=row["request_id"],
        key=ResourceKey(row["kind"], row["resource_id"]),
        source=row["source"],
        claim_id=row["claim_id"],
        command=row["command"],
        reason=row["reason"],
        events=row["events"],
        arrived_at=row["arrived_at"],
        decided_at=row["decided_at"],
        partition=row["topic_partition"],
        offset=row["record_offset"],
    )


async def shown_payment_events(pool: asyncpg.Pool, order_id: str) -> list[ShownPaymentEvent]:
    """Return what providers said of the payments of an order, whether that has come or not."""
    return [ShownPaymentEvent(**row) for row in await pool.fetch(queries.SHOW_PAYMENT_EVENTS, order_id)]
