"""The payment events of one order in every order, with copies, from two providers: money and units add up in the end.

And the final state depends on the order of arrival only where the design's table says so.
"""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import arrived, at
from tests.unit.ledger import Ledger
from tests.unit.money import Money
from topics.commands import CancelOrder, Command, DefineResource, Expire, Hold, PlaceOrder, RecordPayment
from topics.identifiers import hold_id_of, order_id_of
from topics.orders import OrderStatus, PaymentReport, PaymentStatus
from workers.core.batch import Arrived

AMOUNT = 1000
FULL = (None, AMOUNT, AMOUNT + 1)
names = st.tuples(st.sampled_from(["bank", "card"]), st.sampled_from(["p1", "p2"]))
HOLD = Hold(resource_id="shoe", quantity=2)
HELD = arrived(HOLD, claim="hold", kind="product")
PLACE = PlaceOrder(resource_id="shoe", hold_id=hold_id_of(HELD.request_id))
ORDER_ID = order_id_of(arrived(PLACE, claim="order", kind="product").request_id)


@dataclass
class Shop:
    """A product of two units with one hold on both, and the books of the order that may be made of it."""

    ledger: Ledger = field(default_factory=Ledger)
    money: Money = field(default_factory=lambda: Money(AMOUNT, "EUR"))
    now: float = 0
    sent: int = 0

    def __post_init__(self) -> None:
        """Begin with the hold; it lives for long."""
        self.send(
            DefineResource(
                resource_id="shoe",
                capacity=2,
                price=AMOUNT // 2,
                currency="EUR",
                hold_seconds=9000,
                payment_seconds=900,
            )
        )
        self.send(HOLD, "hold")

    def send(self, command: Command, claim: str | None = None) -> None:
        """Decide a command, and check units and money."""
        self.sent += 1
        if isinstance(command, RecordPayment):
            self.money.hear(command)
        self._apply([arrived(command, claim=claim or f"c{self.sent}", appended_at=at(self.now), kind="product")])
        self.money.check(self.ledger)

    def _apply(self, commands: list[Arrived]) -> None:
        for outcome in self.ledger.apply(commands, self.instant()).outcomes:
            if not outcome.repeated:
                self.money.read(outcome.events or ())
        self.ledger.check_sums()

    def instant(self) -> datetime:
        """Return the time of the shop."""
        return at(self.now)

    def status(self) -> OrderStatus:
        """Return the state of the order."""
        return self.ledger.orders[ORDER_ID][1].status

    def statuses(self) -> dict[tuple[str, str], PaymentStatus]:
        """Return the states of the payments."""
        return {key: payment.status for key, (_, payment) in self.ledger.payments.items()}


def said(name: tuple[str, str], status: PaymentReport, amount: int | None, **more: object) -> RecordPayment:
    """Return what a provider says of a payment; the same words are the same event."""
    provider, payment_id = name
    event_id = f"{payment_id}-{status.value}-{amount}-{more}"
    fields = {"resource_id": "shoe", "order_id": ORDER_ID, "provider": provider, "payment_id": payment_id}
    return msgspec.convert({**fields, "event_id": event_id, "status": status, "amount": amount, **more}, RecordPayment)


full_payments = st.builds(said, names, st.just(PaymentReport.PAID), st.sampled_from(FULL))
failures = st.builds(said, names, st.just(PaymentReport.FAILED), st.none())
quiet = st.builds(
    said, names, st.sampled_from([PaymentReport.PROCESSING, PaymentReport.ATTEMPT_FAILED]), st.sampled_from([None, 5])
)
part_payments = st.builds(said, names, st.just(PaymentReport.PAID), st.sampled_from([-1, 0, 300, 500, 700]))
others = st.tuples(
    st.sampled_from(["bank", "card"]), st.just("p3")
)  # a provider does not change the currency of a payment
strange = st.builds(said, others, st.just(PaymentReport.PAID), st.just(AMOUNT), currency=st.just("USD"))
refunds = st.builds(
    said, names, st.just(PaymentReport.REFUNDED), st.sampled_from([None, 100, 500, 2000]), return_units=st.booleans()
)
strange_refunds = st.builds(
    said,
    others,
    st.just(PaymentReport.REFUNDED),
    st.sampled_from([None, 400, AMOUNT]),
    currency=st.sampled_from([None, "USD"]),
)
anything = st.one_of(full_payments, failures, quiet, part_payments, strange, refunds, strange_refunds)
beginnings = st.sampled_from(
    [
        [],
        ["order"],
        ["order", "later", "later", "sweep"],
        ["order", "call off"],
        ["order", "later", "later", "another hold"],
    ]
)
beside = st.sampled_from(["order", "later", "sweep", "call off", "another hold", "give it back", "again"])


@settings(max_examples=400, deadline=None)
@given(beginnings, st.lists(st.one_of(anything, anything, beside), max_size=10), st.data())
def test_money_and_units_add_up_whatever_comes(
    beginning: list[str], steps: list[RecordPayment | str], data: st.DataObject
) -> None:
    """After each step, with copies, deadlines, other buyers, an order that comes late or is called off.

    Seen to fail with a payment counted a second time, with one counted although its order was called off, with units retaken
    without asking whether they are free, with events that are not remembered, with an id of a refund made of the request, and
    with refunds in another currency that are forgotten if they overtake their payment.
    """
    shop = Shop()
    heard: list[RecordPayment] = []
    for step in [*beginning, *steps]:
        if isinstance(step, RecordPayment):
            heard.append(step)
            shop.send(step, f"{step.provider}/{step.event_id}")
        elif step == "again" and heard:
            copied = data.draw(st.sampled_from(heard))
            shop.send(copied, data.draw(st.sampled_from([f"{copied.provider}/{copied.event_id}", None])))
        else:
            do_beside(shop, step)
    shop.now += 20_000
    shop.send(Expire(resource_id="shoe"))
    assert all(payment.parked_until is None for _, payment in shop.ledger.payments.values())


@st.composite
def stories(draw: st.DrawFn) -> list[RecordPayment]:
    """Draw what happened to up to three payments at two providers: taken, perhaps failed before, perhaps given back."""
    told = []
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        amount = draw(st.sampled_from([None, 400, 600, AMOUNT, AMOUNT + 1]))
        told.append(said(name, PaymentReport.PAID, amount))
        if draw(st.booleans()):
            back = st.sampled_from([None, 100, 400]) if amount is None else st.sampled_from([None, 100, amount])
            told += [
                said(name, PaymentReport.REFUNDED, some, return_units=draw(st.booleans()))
                for some in draw(st.lists(back, min_size=1, max_size=2, unique=True))
            ]
        if draw(st.integers(0, 4)) == 0:
            told.append(said(name, PaymentReport.FAILED, None))
    return told + draw(
        st.lists(st.one_of(strange, strange_refunds), max_size=2, unique_by=lambda it: it.event_id + it.provider)
    )


@settings(max_examples=600, deadline=None)
@given(stories(), st.data())
def test_the_events_of_one_order_in_every_order(told: list[RecordPayment], data: st.DataObject) -> None:
    """Of two providers, with copies, around the order, its deadline and its being called off: money and units add up.

    Seen to fail with units that any refund brings back, be it of money that did not buy them, or of any payment while the
    order is not paid; and with a payment without an amount that counts for the whole order behind a part.
    """
    copies = data.draw(st.lists(st.sampled_from(told), max_size=2))
    happened = data.draw(st.sampled_from([[], ["later", "later"], ["call off"], ["later", "later", "another hold"]]))
    ordered: list[RecordPayment | str] = ["order", *happened]
    # The buyer's steps keep their order; what the providers say falls anywhere among them.
    shop, steps = Shop(), data.draw(st.permutations([*told, *copies, *(None for _ in ordered)]))
    for step in [ordered.pop(0) if step is None else step for step in steps]:
        if isinstance(step, RecordPayment):
            shop.send(step, f"{step.provider}/{step.event_id}")
        else:
            do_beside(shop, step)


def do_beside(shop: Shop, step: str) -> None:
    """Do what is no payment."""
    others = [hold for _, hold in shop.ledger.holds.values() if hold.hold_id != PLACE.hold_id]
    match step:
        case "order":
            shop.send(PLACE, "order")
        case "later":
            shop.now += 450
        case "sweep":
            shop.send(Expire(resource_id="shoe"))
        case "call off":
            shop.send(CancelOrder(resource_id="shoe", order_id=ORDER_ID))
            shop.money.is_called_off = ORDER_ID in shop.ledger.orders
        case "another hold":
            shop.send(Hold(resource_id="shoe"))
        case "give it back" if others:
            shop.now += 9000
        case _:
            return


@settings(max_examples=300, deadline=None)
@given(
    st.data(),
    st.lists(st.one_of(full_payments, failures, quiet), max_size=5, unique_by=lambda it: it.event_id + it.provider),
)
def test_r13_the_order_of_full_payments_and_failures_is_all_one(
    data: st.DataObject, events: list[RecordPayment]
) -> None:
    """One payment counts and each other is given back, however they come, before or behind their order, with copies.

    Seen to fail with a late failure that ends a paid order, and with parked failures that are looked at before the money.
    """
    copies = data.draw(st.lists(st.sampled_from(events), max_size=3)) if events else []
    given_steps: list[RecordPayment | PlaceOrder] = [*events, *copies, PLACE]
    steps = data.draw(st.permutations(given_steps))
    shop = Shop()
    for step in steps:
        shop.send(step, "order" if isinstance(step, PlaceOrder) else f"{step.provider}/{step.event_id}")
    full = {(it.provider, it.payment_id) for it in events if it.status is PaymentReport.PAID}
    failed = {(it.provider, it.payment_id) for it in events if it.status is PaymentReport.FAILED}
    states = list(shop.statuses().values())
    if full:
        assert shop.status() is OrderStatus.PAID
        assert states.count(PaymentStatus.PAID) == 1
        assert states.count(PaymentStatus.REFUND_REQUIRED) == len(full) - 1
        assert len(shop.money.required) == len(full) - 1
    else:
        assert shop.status() is (OrderStatus.CANCELLED if failed else OrderStatus.PENDING_PAYMENT)
    assert states.count(PaymentStatus.FAILED) == len(failed - full)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.lists(anything, max_size=6, unique_by=lambda it: it.event_id + it.provider))
def test_e36_copies_change_nothing(data: st.DataObject, events: list[RecordPayment]) -> None:
    """Whatever came first is what came: orders, payments and units are the same with copies as without, at any distance.

    Seen to fail with events that are not remembered once their request is.
    """
    given_steps: list[RecordPayment | PlaceOrder] = [*events, PLACE]
    steps = data.draw(st.permutations(given_steps))
    plain, copied = Shop(), Shop()
    heard: list[RecordPayment] = []
    for step in steps:
        for shop in (plain, copied):
            shop.send(step, "order" if isinstance(step, PlaceOrder) else f"{step.provider}/{step.event_id}")
        if isinstance(step, RecordPayment):
            heard.append(step)
        if heard:
            again = data.draw(st.sampled_from(heard))
            if data.draw(st.booleans()):
                copied.ledger.purge()
            copied.send(again, data.draw(st.sampled_from([f"{again.provider}/{again.event_id}", None])))
    assert copied.ledger.payments == plain.ledger.payments
    assert copied.ledger.orders == plain.ledger.orders
    assert copied.ledger.pools == plain.ledger.pools
    its, other = (next(iter(shop.ledger.resources.values())) for shop in (copied, plain))
    assert msgspec.structs.replace(its, last_arrived_at=other.last_arrived_at) == other
