"""What the contract suites of the store write, and on what."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import msgspec

from schema.reads import Reads
from schema.rows import Hold, Order, Payment, PaymentEvent, Pool, Request, Resource, ResourceKey, UnitsAre
from schema.snapshots import Claim, Snapshot, Wanted
from schema.store import Store, Transaction
from schema.writing import ResourceWrite, Writes
from topics.orders import OrderStatus, PaymentEffect, PaymentReport, PaymentStatus
from topics.resources import Counters, HoldStatus, Settings

LOCK_SECONDS = 2.5
IDLE_SECONDS = 1.0
TRANSACTION_SECONDS = 5.0
SETTLE_SECONDS = 0.3  # after so long, who waits for a lock does wait
AULA, BAR, CLUB = (ResourceKey("slot", name) for name in ("aula", "bar", "club"))
SETTINGS = Settings(hold_seconds=300, max_hold_seconds=1800)
NOW = datetime.now(UTC)

OpenPool = Callable[[], Any]


@dataclass(frozen=True)
class Server:
    """One of the two, and how a client opens its pool."""

    pool: OpenPool

    def store(self) -> Store:
        """Return the store of a client."""
        return Store(cast("asyncpg.Pool", self.pool()))

    def reads(self) -> Reads:
        """Return what a gateway reads with."""
        return Reads(cast("asyncpg.Pool", self.pool()))


def resource(version: int = 1, capacity: int = 5) -> Resource:
    """Return a resource as it may be stored."""
    return Resource(version, SETTINGS, Counters(capacity, 0, 0, capacity, 0), NOW)


def write_of(key: ResourceKey, before: Resource | None = None) -> ResourceWrite:
    """Return a resource's next version."""
    return ResourceWrite(key, before, resource(1 if before is None else before.version + 1))


def hold(
    name: str, *, expires_in: float = 36_000, status: HoldStatus = HoldStatus.HELD, buyer: str | None = None
) -> Hold:
    """Return a hold of two units."""
    expires_at = NOW + timedelta(seconds=expires_in)
    return Hold(name, "alice", None, buyer, None, status, 2, {"units": 2}, NOW, expires_at, expires_at)


def order(name: str, *, due_in: float = 60, status: OrderStatus = OrderStatus.PENDING_PAYMENT) -> Order:
    """Return an order of two units at 150; its hold is named after it."""
    return Order(
        order_id=name,
        hold_id=f"hold of {name}",
        account="alice",
        token_hash=None,
        client_reference=None,
        status=status,
        ended_by=None,
        quantity=2,
        units={"units": 2},
        units_are=UnitsAre.HELD if status is OrderStatus.PENDING_PAYMENT else UnitsAre.TAKEN,
        unit_price=150,
        amount=300,
        currency="EUR",
        payment_due_at=NOW + timedelta(seconds=due_in),
        placed_at=NOW,
        updated_at=NOW,
    )


def payment(name: str, order_id: str, *, parked_for: float | None = None) -> Payment:
    """Return a payment of 300, counted or parked."""
    parked_until = None if parked_for is None else NOW + timedelta(seconds=parked_for)
    return Payment("stripe", name, order_id, PaymentStatus.PAID, 300, "EUR", 0, False, False, parked_until, NOW)


def payment_event(name: str, of: Payment) -> PaymentEvent:
    """Return what a provider says of a payment."""
    return PaymentEvent(
        provider=of.provider,
        event_id=name,
        payment_id=of.payment_id,
        order_id=of.order_id,
        report=PaymentReport.PAID,
        amount=of.amount,
        currency=of.currency,
        return_units=False,
        effect=PaymentEffect.COUNTED,
        request_id="r1",
        arrived_at=NOW,
        decided_at=NOW,
    )


def sales(
    orders: Sequence[tuple[ResourceKey, Order]] = (),
    payments: Sequence[tuple[ResourceKey, Payment]] = (),
    payment_events: Sequence[PaymentEvent] = (),
) -> Writes:
    """Return what a batch writes of orders and payments."""
    return replace(writes(), orders=orders, payments=payments, payment_events=payment_events)


def request(
    request_id: str, claim_id: str = "", *, key: ResourceKey = AULA, owns: bool = True, reason: str | None = None
) -> Request:
    """Return a decided request."""
    return Request(
        request_id=request_id,
        key=key,
        source="gateway/alice",
        claim_id=claim_id or request_id,
        owns_claim=owns,
        fingerprint=b"print",
        command="Hold",
        reason=reason,
        events='[{"word":  "for word"}]',
        arrived_at=NOW,
        decided_at=NOW,
        partition=1,
        offset=2,
    )


def writes(
    requests: Sequence[Request] = (),
    resources: Sequence[ResourceWrite] = (),
    pools: dict[tuple[ResourceKey, str], Pool] | None = None,
    holds: Sequence[tuple[ResourceKey, Hold]] = (),
) -> Writes:
    """Return what a batch writes."""
    return Writes(requests, resources, pools or {}, holds)


async def write(store: Store, *given: Writes) -> None:
    """Write, in a transaction each."""
    for one in given:
        async with store.transaction() as transaction:
            await transaction.write(one)


@asynccontextmanager
async def two_transactions(server: Server) -> AsyncIterator[tuple[Transaction, Transaction, AsyncExitStack]]:
    """Give two clients' open transactions; closing the stack commits the first."""
    async with server.store().transaction() as other, AsyncExitStack() as stack:
        one = await stack.enter_async_context(server.store().transaction())
        yield one, other, stack


async def waits(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task still waits when it has had its time."""
    done, _ = await asyncio.wait((task,), timeout=SETTLE_SECONDS)
    return not done


async def seen(store: Store, *keys: ResourceKey, **wanted: Any) -> Snapshot:  # noqa: ANN401 - the fields of Wanted
    """Read of these resources what is wanted."""
    async with store.transaction(is_locking=False) as transaction:
        return await transaction.read(Wanted(keys, **wanted))


async def stored(store: Store, key: ResourceKey) -> Resource:
    """Read a resource."""
    return (await seen(store, key)).resources[key]


def resources_in(snapshot: Snapshot) -> dict[ResourceKey, Resource]:
    """Return the resources without who wrote them."""
    return {key: msgspec.structs.replace(one, written_by=None) for key, one in snapshot.resources.items()}


async def assert_empty(store: Store) -> None:
    """Find nothing."""
    found = await seen(store, AULA, claims=[Claim("gateway/alice", "r1", "r1")], hold_ids=["h1"], due_max=10)
    assert (found.resources, found.decided, found.due_holds, found.named_holds) == ({}, [], [], [])
