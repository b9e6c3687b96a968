"""The state that a decision reads, and the draft that it writes; nothing here knows what a command means.

`State` is one resource as a batch sees it and is owned by that batch: `decide` only reads it, `evolve` moves it on.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import msgspec
from msgspec.structs import replace

from schema.rows import (
    Hold,
    Holding,
    HoldingUpdate,
    Order,
    Payment,
    PaymentEvent,
    PaymentKey,
    Pool,
    Resource,
    ResourceKey,
)
from topics.events import EventData, HoldView
from topics.orders import OrderStatus
from topics.resources import Counters, HoldStatus
from workers.core.kinds import Finder, Kind


class Move(Enum):
    """What a hold does to a pool: holds it, makes it firm, gives it back while held, gives it back when firm."""

    HELD = "held"
    TAKEN = "taken"
    RELEASED = "released"
    RETURNED = "returned"


class Fact(msgspec.Struct, frozen=True):
    """An event to be: its type and data. `answers` marks the one that is the outcome of the request.

    `id` is there where it derives from what the event is about; else it derives from the request. With `pools` it stands for
    one event of each of these, whose versions begin with `version`.
    """

    type: str
    version: int
    answers: bool
    data: EventData
    id: str | None = None
    pools: tuple[str, ...] | None = None


class Decision(msgspec.Struct, frozen=True):
    """What one command changes; `reason` is None if it succeeded. Rows not named here stay as they are."""

    resource: Resource | None
    pools: dict[str, Pool]
    holds: dict[str, Hold]
    orders: dict[str, Order]
    payments: dict[PaymentKey, Payment]
    payment_events: tuple[PaymentEvent, ...]
    holdings: tuple[Holding | HoldingUpdate, ...]
    facts: tuple[Fact, ...]
    reason: str | None


Timed = Hold | Order | Payment
"""What may have a deadline."""

_Name = tuple[int, str] | tuple[int, str, str, str]


@dataclass(slots=True)
class State:
    """A resource (None: there is none yet), its pools by name, the holds and orders that may matter, live holds by buyer.

    Of the pools those that the commands need.

    `payments` has all payments of these orders, and of orders that have not come yet, by the order's id.
    `refused` has account and reason of holds that were asked for and refused, by the id they would have had.
    `finder` is there once a command asked for the best units: the next one looks only at what changed since.
    """

    key: ResourceKey
    resource: Resource | None = None
    pools: dict[str, Pool] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    live_holds_of: dict[str, int] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    payments: dict[str, dict[PaymentKey, Payment]] = field(default_factory=dict)
    finder: Finder | None = None
    _by_expiry: list[tuple[datetime, _Name]] = field(default_factory=list)

    def add(self, rows: Iterable[Timed]) -> None:
        """Take in holds, orders and payments as they are stored."""
        for row in rows:
            self._put(row)

    def due(self, arrived_at: datetime) -> list[Timed]:
        """Return what has a deadline `<= arrived_at`, in the order of the deadlines."""
        due = []
        for due_at, name in self._by_expiry:
            if due_at > arrived_at:
                break
            row = self._row(name)
            if deadline(row) == due_at:
                due.append(row)
        return due

    def evolve(self, decision: Decision) -> None:
        """Move on to the state after `decision`, which was decided on this very state."""
        self._keep_finder(decision)
        self.resource = decision.resource
        self.pools.update(decision.pools)
        for hold in decision.holds.values():
            self._count(self.holds.get(hold.hold_id), -1)
            self._count(hold, +1)
            self._put(hold)
        self.add(decision.orders.values())
        self.add(decision.payments.values())
        self._forget_ended()

    def _keep_finder(self, decision: Decision) -> None:
        """Let it look anew at what changed; other settings, another house."""
        if self.finder is None or self.resource is None or decision.resource is None:
            return
        if decision.resource.settings is self.resource.settings:
            self.finder.forget(decision.pools)
        else:
            self.finder = None

    def _put(self, row: Timed) -> None:
        before: Timed | None
        filed: _Name
        match row:
            case Hold():
                before, filed = self.holds.get(row.hold_id), (0, row.hold_id)
                self.holds[row.hold_id] = row
            case Order():
                before, filed = self.orders.get(row.order_id), (1, row.order_id)
                self.orders[row.order_id] = row
            case _:
                payments = self.payments.setdefault(row.order_id, {})
                before, filed = payments.get(row.key), (2, row.order_id, *row.key)
                payments[row.key] = row
        due_at = deadline(row)
        if due_at is not None and (before is None or deadline(before) != due_at):
            insort(self._by_expiry, (due_at, filed))

    def _row(self, name: _Name) -> Timed:
        """Return what is filed by that name, as it is now."""
        match name:
            case (0, hold_id):
                return self.holds[hold_id]
            case (1, order_id):
                return self.orders[order_id]
            case (_, order_id, *key):
                provider, payment_id = key
                return self.payments[order_id][provider, payment_id]

    def _count(self, hold: Hold | None, step: int) -> None:
        if hold is not None and hold.buyer is not None and hold.status is HoldStatus.HELD:
            self.live_holds_of[hold.buyer] = self.live_holds_of.get(hold.buyer, 0) + step

    def _forget_ended(self) -> None:
        """Drop the expired from the front, so that `due` never walks over them twice."""
        ended = 0
        for due_at, name in self._by_expiry:
            if deadline(self._row(name)) == due_at:
                break
            ended += 1
        del self._by_expiry[:ended]


class Draft:
    """A decision in the making: reads through to the state, keeps what changes to itself."""

    def __init__(
        self, state: State, kind: Kind, arrived_at: datetime, decided_at: datetime, client_reference: str | None = None
    ) -> None:
        """Begin with the state as it is; both times are those of the decision, the reference is its client's."""
        self.state = state
        self.kind = kind
        self.arrived_at = arrived_at
        self.decided_at = decided_at
        self.client_reference = client_reference
        self.resource = state.resource
        self.pools: dict[str, Pool] = {}
        self.holds: dict[str, Hold] = {}
        self.orders: dict[str, Order] = {}
        self.payments: dict[PaymentKey, Payment] = {}
        self.payment_events: list[PaymentEvent] = []
        self.facts: list[Fact] = []
        self.moves: list[tuple[str, Move]] = []
        self.holdings: list[Holding | HoldingUpdate] = []
        self._live_of: dict[str, int] = {}

    def pool(self, name: str) -> Pool | None:
        """Return the pool as this draft has it."""
        return self.pools.get(name) or self.state.pools.get(name)

    def is_free(self, name: str) -> bool:
        """Tell whether a unit of the pool is free: asked of every seat of a house, so without a detour."""
        pool = self.pools.get(name) or self.state.pools.get(name)
        return pool is not None and pool.held + pool.taken < pool.capacity

    def find_best(self, count: int) -> tuple[str, ...] | None:
        """Return the pools of the best free units next to each other; None if there are none such."""
        if self.resource is None:
            return None
        finder = self.state.finder or self.kind.finder(self.resource.settings)
        if finder is None:
            return None
        self.state.finder = finder
        finder.forget(self.pools)  # what ended on the arrival of this command
        return finder.best(count, self.is_free)

    def free(self, name: str) -> int:
        """Return the units of the pool that a new claim could take; none of a pool that is not there."""
        pool = self.pool(name)
        return 0 if pool is None else remaining(pool)

    def hold(self, hold_id: str) -> Hold | None:
        """Return the hold as this draft has it."""
        return self.holds.get(hold_id) or self.state.holds.get(hold_id)

    def order(self, order_id: str) -> Order | None:
        """Return the order as this draft has it."""
        return self.orders.get(order_id) or self.state.orders.get(order_id)

    def payments_of(self, order_id: str) -> list[Payment]:
        """Return the payments of an order as this draft has them, in the order in which they came."""
        changed = {key: payment for key, payment in self.payments.items() if payment.order_id == order_id}
        payments = {**self.state.payments.get(order_id, {}), **changed}
        return sorted(payments.values(), key=lambda payment: (payment.arrived_at, payment.key))

    def payment(self, order_id: str, key: PaymentKey) -> Payment | None:
        """Return a payment of an order as this draft has it."""
        return self.payments.get(key) or self.state.payments.get(order_id, {}).get(key)

    def counters(self) -> Counters:
        """Return the sums over all pools as of now."""
        return Counters() if self.resource is None else self.resource.counters

    def version(self) -> int:
        """Return the version of the resource as of now; 0 if there is none."""
        return 0 if self.resource is None else self.resource.version

    def live_holds_of(self, buyer: str) -> int:
        """Return how many live holds the buyer has."""
        return self.state.live_holds_of.get(buyer, 0) + self._live_of.get(buyer, 0)

    def put_pool(self, name: str, pool: Pool) -> None:
        """Change a pool, and with it the sums of the resource."""
        if self.resource is None:
            message = "a pool cannot change before its resource exists"
            raise AssertionError(message)
        before = self.pool(name) or Pool(0, 0, 0, 0)
        sums = self.resource.counters
        counters = Counters(
            capacity=sums.capacity + pool.capacity - before.capacity,
            held=sums.held + pool.held - before.held,
            taken=sums.taken + pool.taken - before.taken,
            remaining=sums.remaining + remaining(pool) - remaining(before),
            oversubscribed_by=sums.oversubscribed_by + oversubscribed_by(pool) - oversubscribed_by(before),
        )
        self.pools[name] = pool
        self.resource = replace(self.resource, counters=counters)

    def move(self, names: Iterable[str], how: Move) -> None:
        """Note what happens to pools; `telling.tell_moves` tells of those that are told alone."""
        self.moves += [(name, how) for name in names if self.kind.told_alone(name) is not None]

    def put_hold(self, hold: Hold) -> None:
        """Create or change a hold."""
        before = self.hold(hold.hold_id)
        if hold.buyer is not None:
            step = _is_live(hold) - _is_live(before)
            self._live_of[hold.buyer] = self._live_of.get(hold.buyer, 0) + step
        self.holds[hold.hold_id] = hold

    def put_order(self, order: Order) -> None:
        """Create or change an order."""
        self.orders[order.order_id] = order

    def put_payment(self, payment: Payment) -> None:
        """Create or change a payment."""
        self.payments[payment.key] = payment

    def next_version(self, events: int = 1) -> int:
        """Give the resource its next version: each event that changes it has one of its own. Return the last of so many."""
        if self.resource is None:
            message = "a version cannot be given before its resource exists"
            raise AssertionError(message)
        self.resource = replace(self.resource, version=self.resource.version + events)
        return self.resource.version

    def decision(self, reason: str | None) -> Decision:
        """Return what was drafted; even a refusal moves the resource's last arrival on."""
        if self.moves:
            message = f"nobody was told of {self.moves}"
            raise AssertionError(message)
        resource = self.resource
        if resource is not None:
            resource = replace(resource, last_arrived_at=self.arrived_at)
        return Decision(
            resource=resource,
            pools=self.pools,
            holds=self.holds,
            orders=self.orders,
            payments=self.payments,
            payment_events=tuple(self.payment_events),
            holdings=tuple(self.holdings),
            facts=tuple(self.facts),
            reason=reason,
        )


def deadline(row: Timed) -> datetime | None:
    """Return when the time of something is over: a live hold's, an unpaid order's, a parked payment's."""
    match row:
        case Hold():
            return row.expires_at if row.status is HoldStatus.HELD else None
        case Order():
            return row.payment_due_at if row.status is OrderStatus.PENDING_PAYMENT else None
        case Payment():
            return row.parked_until


def remaining(pool: Pool) -> int:
    """Return the units that a new claim could take."""
    return max(0, pool.capacity - pool.held - pool.taken)


def oversubscribed_by(pool: Pool) -> int:
    """Return how many units are out beyond a capacity that was lowered."""
    return max(0, pool.held + pool.taken - pool.capacity)


def view(hold: Hold) -> HoldView:
    """Return the hold as events show it: without owner, token or buyer."""
    return HoldView(
        id=hold.hold_id,
        status=hold.status,
        quantity=hold.quantity,
        units=hold.units,
        granted_at=hold.granted_at,
        expires_at=hold.expires_at,
        expires_latest_at=hold.expires_latest_at,
        ended_at=hold.ended_at,
        client_reference=hold.client_reference,
        unit_price=hold.unit_price,
        currency=hold.currency,
        order_id=hold.order_id,
    )


def _is_live(hold: Hold | None) -> int:
    return 1 if hold is not None and hold.status is HoldStatus.HELD else 0
