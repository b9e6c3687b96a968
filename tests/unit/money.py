"""An independent ledger of money, and of the units that it buys.

It has what providers said that they took and gave back, and what events say that we did about it.

It knows nothing of how orders and payments are decided: it adds up.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from schema.rows import Order, Payment, UnitsAre
from tests.unit.ledger import Ledger
from topics import events
from topics.commands import RecordPayment
from topics.events import OrderChanged, PaymentRecorded, RefundRequired, Stored
from topics.identifiers import refund_id
from topics.orders import OrderStatus, PaymentEffect, PaymentReport, PaymentStatus

Name = tuple[str, str]
ALL = -1
COUNTING = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID)


@dataclass
class Money:
    """The books of one order of a fixed amount and currency, and what became of its units.

    `taken` is None for an amount that nobody has said, `returned` is `ALL` if no amount was said. `counting` has what was
    told to count; `bought` what counted when the order was told paid: only with refunds of these can its units return.
    `abroad` are the payments in another currency, which never count.
    """

    amount: int
    currency: str
    taken: dict[Name, int | None] = field(default_factory=dict)
    returned: dict[Name, int] = field(default_factory=lambda: defaultdict(int))
    abroad: set[Name] = field(default_factory=set)
    required: dict[str, Name] = field(default_factory=dict)
    counting: set[Name] = field(default_factory=set)
    bought: set[Name] = field(default_factory=set)
    given_back_with_units: set[Name] = field(default_factory=set)
    is_called_off: bool = False

    def hear(self, said: RecordPayment) -> None:
        """Write down what a provider said; the first amount that it took counts, and the most that it gave back."""
        name = said.provider, said.payment_id
        if said.amount is not None and said.amount <= 0:
            return
        if said.currency not in {None, self.currency}:
            self.abroad.add(name)
        if said.status is PaymentReport.PAID and self.returned.get(name) != ALL:
            self.taken.setdefault(name, said.amount)
        if said.status is PaymentReport.REFUNDED:
            # What was asked back as a whole is given back as a whole.
            is_all = said.amount is None or (name in self.required.values() and self.taken[name] is None)
            if self.returned[name] != ALL:
                self.returned[name] = ALL if is_all else max(self.returned[name], said.amount or 0)
            if said.return_units:
                self.given_back_with_units.add(name)

    def read(self, told: Iterable[Stored]) -> None:
        """Write down what was told of money, and which refunds are required: each once, by an event with its payment's id."""
        is_bought = False
        for event in told:
            data = events.decode_data(event.type, bytes(event.data))
            match data:
                case PaymentRecorded():
                    self._read_payment(data)
                case OrderChanged() if event.type in {events.ORDER_PAID, events.ORDER_RECOVERED}:
                    assert data.order.counted >= data.order.amount, "paid with too little"
                    assert not self.is_called_off, "what is called off never comes back"
                    is_bought = True
                case RefundRequired():
                    name = data.provider, data.payment_id
                    assert event.id not in self.required, "a refund is required once"
                    assert event.id == refund_id("product", data.resource_id, *name)
                    self.required[event.id] = name
        if is_bought:
            assert not self.bought, "units are bought once"
            self.bought = {name for name in self.counting - {*self.required.values()} if self.left(name)}

    def _read_payment(self, data: PaymentRecorded) -> None:
        """Write down whether it counts, and how much it is said to be if its provider did not say it."""
        name = data.payment.provider, data.payment.payment_id
        if name in self.taken and self.taken[name] is None and data.payment.amount is not None:
            lacking = self.amount - sum(self.left(other) for other in self.counting - {*self.required.values()})
            may_be = {PaymentEffect.COUNTED: {lacking}, PaymentEffect.RECORDED: {lacking, self.amount}}
            assert data.payment.amount in may_be.get(data.effect or PaymentEffect.IGNORED, {self.amount})
            self.taken[name] = data.payment.amount
        if data.effect is PaymentEffect.COUNTED:
            self.counting.add(name)

    def left(self, name: Name) -> int:
        """Return what we still have of a payment."""
        returned = self.returned.get(name, 0)
        return 0 if returned == ALL else max(0, (self.taken.get(name) or 0) - returned)

    def check(self, ledger: Ledger) -> None:
        """Check that all money which we have counts for the order or is to be given back, and that this was said once.

        And that units are where the money says: with who bought them, until all of that is given back and a refund of it
        says that they return.
        """
        rows = {key: payment for key, (_, payment) in ledger.payments.items()}
        for name in {*self.taken, *self.returned}:
            its = rows[name]
            if its.amount is None and its.status is not PaymentStatus.REFUNDED:
                continue  # nobody knows how much it is before its order comes
            left = self.left(name)
            held_back = its.status in {PaymentStatus.PAID, PaymentStatus.REFUND_REQUIRED}
            assert name not in self.abroad or its.status is not PaymentStatus.PAID or its.parked_until is not None
            held_back = held_back or (name in self.abroad and its.status is PaymentStatus.MISMATCHED)
            assert held_back == (left > 0), f"{name} has {left} left and is {its.status}"
            assert not held_back or (its.amount or 0) - its.refunded_amount == left
        required = set(self.required.values())
        for name, its in rows.items():
            assert its.status is not PaymentStatus.REFUND_REQUIRED or name in required
            assert its.status is not PaymentStatus.PAID or name not in required
        for _, order in ledger.orders.values():
            self._check_order(order, rows)

    def _check_order(self, order: Order, rows: dict[Name, Payment]) -> None:
        counted = sum(self.left(name) for name, its in rows.items() if its.status is PaymentStatus.PAID)
        due = sum(self.left(name) for name, its in rows.items() if its.status is PaymentStatus.REFUND_REQUIRED)
        assert not counted or order.status in COUNTING, "money counts for nothing"
        assert order.status is not OrderStatus.PENDING_PAYMENT or counted < order.amount
        assert order.status is not OrderStatus.PAID or counted > 0
        assert order.status is not OrderStatus.REFUND_REQUIRED or due > 0
        where = UnitsAre.HELD if order.status is OrderStatus.PENDING_PAYMENT else UnitsAre.RETURNED
        if self.bought and not (order.status is OrderStatus.REFUNDED and self.bought & self.given_back_with_units):
            where = UnitsAre.TAKEN
        assert order.units_are is where, f"bought by {self.bought}, back with {self.given_back_with_units}"
