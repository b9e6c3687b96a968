"""Situations in which a command is granted, until reasons against it are made to apply, one after the other."""

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from schema.rows import Hold as HoldRow
from schema.rows import Order, Pool, Resource, ResourceKey, UnitsAre
from tests.unit.builders import at
from topics.commands import (
    Cancel,
    CancelOrder,
    ChangeHold,
    Command,
    Confirm,
    DefineResource,
    Extend,
    Hold,
    PlaceOrder,
    RecordPayment,
)
from topics.identifiers import hold_id_of, order_id_of
from topics.orders import OrderStatus, PaymentReport
from topics.resources import Counters, HoldStatus, Sale, Settings
from workers.core.decide import decide
from workers.core.kinds import Kind
from workers.core.kinds.one_pool import POOL
from workers.core.kinds.product import Product
from workers.core.kinds.slot import Slot
from workers.core.state import Decision, State
from workers.core.telling import Ask

NOW = at(1000)
REQUEST = "req_slot~r~" + "a" * 32
HOLD = hold_id_of("req_slot~r~" + "b" * 32)
ORDER = order_id_of("req_product~r~" + "c" * 32)
PAYMENT = RecordPayment(
    resource_id="r",
    order_id=ORDER,
    provider="bank",
    payment_id="p1",
    event_id="e1",
    status=PaymentReport.PROCESSING,
)


class WithoutPools(Slot):
    """A slot that has no pool."""

    def unknown_of(self, claims: dict[str, int], settings: Settings) -> list[str]:
        """Know none."""
        del settings
        return list(claims)


class Situation:
    """A slot with one unit of nine held and a command that nothing speaks against until `make` says so.

    `hold` is the hold that the command is of, if it is of one: alice's, live, with no unit of its own until it is firm.
    """

    def __init__(self, command: Command, *, claimed: int = 0) -> None:
        """Begin; the hold of the situation has claimed so many units."""
        self.ask = Ask(command, request_id=REQUEST, account="alice")
        self.settings = Settings(hold_seconds=300, max_hold_seconds=1800)
        self.exists = True
        self.pool = Pool(capacity=9, held=1, taken=0, ceiling=9)
        self.live_holds_of: dict[str, int] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        self.kind: Kind = Slot()
        self.order: Order | None = None
        self.hold: HoldRow | None = HoldRow(
            hold_id=HOLD,
            account="alice",
            token_hash="f" * 64,
            buyer="ann",
            client_reference=None,
            status=HoldStatus.HELD,
            quantity=1,
            units={POOL: claimed} if claimed else {},
            granted_at=at(990),
            expires_at=at(1290),
            expires_latest_at=at(2790),
        )

    def make(self, reason: str) -> None:
        """Let one more reason apply."""
        change = msgspec.structs.replace
        match reason:
            case "idempotency_key_reused":
                self.ask = replace(self.ask, key_is_reused=True)
            case "command_expired":
                self.ask = replace(self.ask, expiry_time=NOW)
            case "not_found":
                self.exists = False
            case "version_mismatch":
                self.ask = replace(self.ask, command=DefineResource(resource_id="r", capacity=1, if_version=6))
            case "closed":
                self.settings = change(self.settings, open=False)
            case "not_open_yet":
                self.settings = change(self.settings, opens_at=NOW + timedelta(microseconds=1))
            case "units_per_hold_exceeded":
                self.settings = change(self.settings, units_per_hold=1)
            case "holds_per_buyer_exceeded":
                self.settings = change(self.settings, holds_per_buyer=1)
                self.live_holds_of["ann"] = 1
            case "sold_out":
                self.pool = Pool(capacity=1, held=1, taken=0, ceiling=1)
            case _:
                self._make_of_hold(reason)

    def _make_of_hold(self, reason: str) -> None:
        match reason:
            case "hold_refused":
                self.hold = None
                self.refused[HOLD] = (self.ask.account, "sold_out")
            case "hold_not_found":
                self.ask = replace(self.ask, account="mallory")
            case "needs_order" | "unknown_pool":
                self.kind = Product() if reason == "needs_order" else WithoutPools()
            case "hold_used":
                self._end(HoldStatus.USED)
            case "order_not_found":
                self.ask = replace(self.ask, account="mallory")
            case "payment_of_another_order":
                self.ask = replace(self.ask, payment_order_id="order_product~r~" + "z" * 32)
            case "hold_confirmed":
                self._end(HoldStatus.CONFIRMED)
            case "hold_cancelled":
                self._end(HoldStatus.CANCELLED)
            case "hold_expired":
                self._end(HoldStatus.EXPIRED)
            case _:
                raise AssertionError(reason)

    def _end(self, status: HoldStatus) -> None:
        assert self.hold is not None
        self.hold = replace(self.hold, status=status, ended_at=None if status is HoldStatus.CONFIRMED else at(995))

    def state(self) -> State:
        """Return the resource as the decision sees it."""
        key = ResourceKey("slot", "r")
        if not self.exists:
            return State(key, refused=self.refused)
        counters = Counters(self.pool.capacity, self.pool.held, 0, self.pool.capacity - self.pool.held, 0)
        resource = Resource(7, self.settings, counters, at(0))
        state = State(key, resource, {POOL: self.pool}, live_holds_of=self.live_holds_of, refused=self.refused)
        state.add([row for row in (self.hold, self.order) if row is not None])
        return state

    def decide(self, arrived_at: datetime = NOW) -> Decision:
        """Decide in this situation."""
        return decide(self.state(), self.kind, self.ask, arrived_at, NOW)


def situation(name: str) -> Situation:
    """Return the situation of a command: each asks for all that a command of its type may ask for."""
    match name:
        case "Hold":
            its = Situation(Hold(resource_id="r", quantity=2, buyer="ann"))
        case "DefineResource":
            its = Situation(DefineResource(resource_id="r", capacity=1, if_version=7))
        case "Confirm":
            its = Situation(Confirm(resource_id="r", hold_id=HOLD))
        case "Cancel":
            its = Situation(Cancel(resource_id="r", hold_id=HOLD), claimed=1)
        case "Extend":
            its = Situation(Extend(resource_id="r", hold_id=HOLD, seconds=600), claimed=1)
        case "ChangeHold":
            its = Situation(ChangeHold(resource_id="r", hold_id=HOLD, quantity=2), claimed=1)
        case "PlaceOrder":
            its = _sale(PlaceOrder(resource_id="r", hold_id=HOLD))
        case "CancelOrder":
            its = _sale(CancelOrder(resource_id="r", order_id=ORDER), ordered=True)
        case "RecordPayment":
            its = _sale(PAYMENT, ordered=True)
        case _:
            raise AssertionError(name)
    return its


def _sale(command: Command, *, ordered: bool = False) -> Situation:
    """Return a situation of a product: with the hold, or with an order that was placed with another."""
    its = Situation(command)
    assert its.hold is not None
    its.kind = Product()
    its.settings = msgspec.structs.replace(its.settings, sale=Sale(price=500, currency="EUR", payment_seconds=900))
    if not ordered:
        its.hold = replace(its.hold, unit_price=500, currency="EUR")
        return its
    its.hold = None
    its.order = Order(
        order_id=ORDER,
        hold_id=HOLD,
        account="alice",
        token_hash="f" * 64,
        client_reference=None,
        status=OrderStatus.PENDING_PAYMENT,
        ended_by=None,
        quantity=1,
        units={POOL: 1},
        units_are=UnitsAre.HELD,
        unit_price=500,
        amount=500,
        currency="EUR",
        payment_due_at=at(1890),
        placed_at=at(990),
        updated_at=at(990),
    )
    return its
