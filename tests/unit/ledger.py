"""A ledger that keeps what batches write, in memory, with the checks that Postgres makes.

It reads for a batch what the shell reads (`workers.applying`): holds that are due, named or would be placed, why named
ones were refused, the live holds of buyers who ask, what is decided of the claims.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schema.rows import (
    Hold,
    Holding,
    HoldingUpdate,
    Order,
    Payment,
    PaymentEvent,
    PaymentKey,
    Pool,
    Request,
    Resource,
    ResourceKey,
    UnitsAre,
)
from topics.commands import Hold as HoldCommand
from topics.commands import OfHold, OfOrder, PlaceOrder, RecordPayment
from topics.identifiers import hold_id_of, order_id_of, request_id_of
from topics.orders import OrderStatus
from topics.resources import Counters, HoldStatus
from topics.signatures import account_of
from workers.core.batch import Arrived, BatchDecision, Known, decide_batch, fail_one, touched
from workers.core.holdings import is_over, updated
from workers.core.kinds.registry import KINDS
from workers.core.needs import claimed_pools, named_pools
from workers.core.state import State

RETENTION = timedelta(days=14)


@dataclass
class Ledger:
    """The tables."""

    resources: dict[ResourceKey, Resource] = field(default_factory=dict)
    pools: dict[tuple[ResourceKey, str], Pool] = field(default_factory=dict)
    holds: dict[str, tuple[ResourceKey, Hold]] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    orders: dict[str, tuple[ResourceKey, Order]] = field(default_factory=dict)
    payments: dict[PaymentKey, tuple[ResourceKey, Payment]] = field(default_factory=dict)
    payment_events: dict[tuple[str, str], PaymentEvent] = field(default_factory=dict)
    holdings: list[tuple[ResourceKey, Holding]] = field(default_factory=list)

    def apply(self, commands: Sequence[Arrived], decided_at: datetime) -> BatchDecision:
        """Decide a batch on what is kept, and keep what it writes."""
        decision = decide_batch(
            commands,
            states=self._states(commands, decided_at),
            known=self._known(commands),
            kinds=KINDS,
            decided_at=decided_at,
            request_retention=RETENTION,
        )
        self._write(decision)
        return decision

    def fail(self, command: Arrived, decided_at: datetime) -> BatchDecision:
        """Refuse a command as one that made the worker fail, and keep that."""
        state = self._states([command], decided_at)[command.key]
        decision = fail_one(
            command,
            state=state,
            known=self._known([command]),
            kinds=KINDS,
            decided_at=decided_at,
            detail="a fault of ours",
        )
        self._write(decision)
        return decision

    def purge(self) -> None:
        """Forget all outcomes, as the retention of requests does."""
        self.requests.clear()

    def holds_of(self, key: ResourceKey, status: HoldStatus) -> list[Hold]:
        """Return the holds of a resource that say so."""
        return [hold for its, hold in self.holds.values() if its == key and hold.status is status]

    def _states(self, commands: Sequence[Arrived], decided_at: datetime) -> dict[ResourceKey, State]:
        keys = touched(commands)
        until = max([decided_at, *(self.resources[key].last_arrived_at for key in keys if key in self.resources)])
        named = {_named(arrived) for arrived in commands}
        states = {key: self._state(key, commands, until, named) for key in keys}
        self._add_pools(states, commands)
        for hold_id in named:
            request = None if hold_id is None else self.requests.get(request_id_of(hold_id))
            if request is None or request.reason is None or request.command != "Hold" or request.key not in states:
                continue
            state = states[request.key]
            if any(arrived.key == request.key and _names(arrived, hold_id) for arrived in commands):
                state.refused[hold_id_of(request.request_id)] = (account_of(request.source), request.reason)
        return states

    def _state(self, key: ResourceKey, commands: Sequence[Arrived], until: datetime, named: set[str | None]) -> State:
        live = self.holds_of(key, HoldStatus.HELD)
        asking = {getattr(arrived.command, "buyer", None) for arrived in commands if arrived.key == key}
        state = State(
            key,
            self.resources.get(key),
            # As from Postgres: there is no count of a buyer who has none.
            live_holds_of=dict(Counter(hold.buyer for hold in live if hold.buyer is not None and hold.buyer in asking)),
        )
        state.add(
            hold
            for its, hold in self.holds.values()
            if its == key and (hold.hold_id in named or (hold.status is HoldStatus.HELD and hold.expires_at <= until))
        )
        self._add_orders(state, {_ordered(arrived) for arrived in commands}, until)
        return state

    def _add_pools(self, states: dict[ResourceKey, State], commands: Sequence[Arrived]) -> None:
        """Give each state the pools that its commands and holds need, and no other."""
        for key, names in named_pools(commands, KINDS).items():
            states[key].pools |= {
                name: pool
                for (its, name), pool in self.pools.items()
                if its == key and (names is None or name in names)
            }
        for key, name in claimed_pools(states.values(), KINDS):
            states[key].pools[name] = self.pools[key, name]

    def _add_orders(self, state: State, named: set[str | None], until: datetime) -> None:
        orders = [
            order
            for its, order in self.orders.values()
            if its == state.key and (order.order_id in named or _is_over(order, until))
        ]
        named |= {order.order_id for order in orders}
        state.add(orders)
        state.add(
            payment
            for its, payment in self.payments.values()
            if its == state.key
            and (payment.order_id in named or (payment.parked_until is not None and payment.parked_until <= until))
        )

    def _known(self, commands: Sequence[Arrived]) -> Known:
        claims = {arrived.claim for arrived in commands}
        ids = {arrived.request_id for arrived in commands}
        owning = {
            (request.source, request.claim_id): request.request_id
            for request in self.requests.values()
            if request.owns_claim and (request.source, request.claim_id) in claims
        }
        decided = self.requests.keys() & (ids | set(owning.values()))
        reports = [arrived.command for arrived in commands if isinstance(arrived.command, RecordPayment)]
        return Known(
            events={request_id: self.requests[request_id].events for request_id in decided},
            owners=owning,
            order_of_payment={
                key: self.payments[key][1].order_id
                for key in {(its.provider, its.payment_id) for its in reports} & self.payments.keys()
            },
            said={
                key: self.payment_events[key].words
                for key in {(its.provider, its.event_id) for its in reports} & self.payment_events.keys()
            },
        )

    def _write(self, decision: BatchDecision) -> None:
        for request in decision.requests:
            assert request.request_id not in self.requests, "a request is stored once"
            self.requests[request.request_id] = request
        for key, (before, resource) in decision.resources.items():
            assert before == self.resources.get(key), "decided on what stood"
            self.resources[key] = resource
        self.pools.update(decision.pools)
        self.holds.update({hold.hold_id: (key, hold) for key, hold in decision.holds})
        self.orders.update({order.order_id: (key, order) for key, order in decision.orders})
        self.payments.update({payment.key: (key, payment) for key, payment in decision.payments})
        for event in decision.payment_events:
            assert (event.provider, event.event_id) not in self.payment_events, "a provider's event is recorded once"
            self.payment_events[event.provider, event.event_id] = event
        self._write_holdings(decision)
        used = [order.hold_id for _, order in self.orders.values()]
        assert len(used) == len(set(used)), "the unique index on the holds of orders"
        owners = [(request.source, request.claim_id) for request in self.requests.values() if request.owns_claim]
        assert len(owners) == len(set(owners)), "the unique index on owned claims"
        for pool in self.pools.values():
            assert min(pool.capacity, pool.held, pool.taken) >= 0, "the checks on pools"
            assert pool.held + pool.taken <= pool.ceiling, "pools_never_oversold"

    def _write_holdings(self, decision: BatchDecision) -> None:
        for news in decision.holding_updates:
            (place,) = [place for place, (_, holding) in enumerate(self.holdings) if _is_of(news, holding)]
            key, holding = self.holdings[place]
            self.holdings[place] = key, updated(holding, news)
        self.holdings += decision.holdings
        open_ones = [(key, holding.pool) for key, holding in self.holdings if holding.ended_at is None]
        assert len(open_ones) == len(set(open_ones)), "seat_holds_open"

    def check_holdings(self) -> None:
        """Check that the audit agrees with the holds: what is held now, and what was made firm and not given back."""
        for key in self.resources:
            tells = KINDS[key.kind].told_alone
            holdings = [holding for its, holding in self.holdings if its == key]
            for status, shown in (
                (HoldStatus.HELD, [it for it in holdings if it.ended_at is None]),
                (HoldStatus.CONFIRMED, [it for it in holdings if it.end and it.end.value == "confirmed"]),
            ):
                holds = self.holds_of(key, status)
                wanted = {(hold.hold_id, pool) for hold in holds for pool in hold.units if tells(pool)}
                assert {(it.hold_id, it.pool) for it in shown if it.returned_at is None} == wanted

    def check_sums(self) -> None:
        """Check that counters are the sums over the pools, and `held` the sum over the live holds.

        And `taken` that over the confirmed ones; and that a ceiling is the capacity, or what is out where that is more.
        """
        for key, resource in self.resources.items():
            pools = [pool for (its, _), pool in self.pools.items() if its == key]
            free = [pool.capacity - pool.held - pool.taken for pool in pools]
            assert resource.counters == Counters(
                capacity=sum(pool.capacity for pool in pools),
                held=sum(pool.held for pool in pools),
                taken=sum(pool.taken for pool in pools),
                remaining=sum(max(0, units) for units in free),
                oversubscribed_by=sum(max(0, -units) for units in free),
            )
            assert all(pool.ceiling == max(pool.capacity, pool.held + pool.taken) for pool in pools)
            held, taken = self._ordered_units(key)
            assert resource.counters.held == _claimed(self.holds_of(key, HoldStatus.HELD)) + held
            assert resource.counters.taken == _claimed(self.holds_of(key, HoldStatus.CONFIRMED)) + taken
            for hold in self.holds_of(key, HoldStatus.CONFIRMED):
                assert sum(hold.units.values()) == hold.quantity, "what is firm has all its units"
        self.check_holdings()

    def _ordered_units(self, key: ResourceKey) -> tuple[int, int]:
        """Return the units that orders hold and have taken, by what became of each."""
        held = taken = 0
        for its, order in self.orders.values():
            if its == key:
                assert sum(order.units.values()) == order.quantity
                assert self.holds[order.hold_id][1].status is HoldStatus.USED
                assert (order.status is OrderStatus.PENDING_PAYMENT) == (order.units_are is UnitsAre.HELD)
                assert order.status is not OrderStatus.PAID or order.units_are is UnitsAre.TAKEN
                held += order.quantity * (order.units_are is UnitsAre.HELD)
                taken += order.quantity * (order.units_are is UnitsAre.TAKEN)
        return held, taken


def _is_of(news: HoldingUpdate, holding: Holding) -> bool:
    """Tell whether the news is of this holding, as the query finds it: of the hold's seat, and not over."""
    return (holding.hold_id, holding.pool) == (news.hold_id, news.pool) and not is_over(holding)


def _named(arrived: Arrived) -> str | None:
    """Return the hold that a command names, or would place."""
    if isinstance(arrived.command, HoldCommand):
        return hold_id_of(arrived.request_id)
    return arrived.command.hold_id if isinstance(arrived.command, OfHold) else None


def _names(arrived: Arrived, hold_id: str | None) -> bool:
    return isinstance(arrived.command, OfHold) and arrived.command.hold_id == hold_id


def _claimed(holds: list[Hold]) -> int:
    return sum(sum(hold.units.values()) for hold in holds)


def _ordered(arrived: Arrived) -> str | None:
    """Return the order that a command names, or would place."""
    if isinstance(arrived.command, PlaceOrder):
        return order_id_of(arrived.request_id)
    return arrived.command.order_id if isinstance(arrived.command, OfOrder) else None


def _is_over(order: Order, until: datetime) -> bool:
    return order.status is OrderStatus.PENDING_PAYMENT and order.payment_due_at <= until
