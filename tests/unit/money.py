"""An independent ledger of money: what providers said that they took and gave back, and what events say that we did about it.

It knows nothing of how orders and payments are decided: it adds up.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.unit.ledger import Ledger
from topics import events
from topics.commands import RecordPayment
from topics.events import OrderChanged, RefundRequired, Stored
from topics.identifiers import refund_id
from topics.orders import OrderStatus, PaymentReport, PaymentStatus

Name = tuple[str, str]
COUNTING = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID)


@dataclass
class Money:
    """The books of one order of a fixed amount and currency."""

    amount: int
    currency: str
    taken: dict[Name, int] = field(default_factory=dict)
    returned: dict[Name, int] = field(default_factory=lambda: defaultdict(int))
    required: dict[str, Name] = field(default_factory=dict)
    is_called_off: bool = False

    def hear(self, said: RecordPayment) -> None:
        """Write down what a provider said; the first amount that it took counts, and the most that it gave back."""
        name = said.provider, said.payment_id
        amount = self.amount if said.amount is None else said.amount
        if amount <= 0 or said.currency not in {None, self.currency}:
            return
        if said.status is PaymentReport.PAID and self.returned.get(name) != -1:
            self.taken.setdefault(name, amount)
        if said.status is PaymentReport.REFUNDED and self.returned[name] != -1:
            # All of it: -1, whatever it was.
            self.returned[name] = -1 if said.amount is None else max(self.returned[name], amount)

    def read(self, told: Iterable[Stored]) -> None:
        """Write down which refunds are required: each once, by an event whose id is that of its payment."""
        for event in told:
            data = events.decode_data(event.type, bytes(event.data))
            if isinstance(data, OrderChanged) and event.type in {events.ORDER_PAID, events.ORDER_RECOVERED}:
                assert data.order.counted >= data.order.amount, "paid with too little"
                assert not self.is_called_off, "what is called off never comes back"
            if isinstance(data, RefundRequired):
                name = data.provider, data.payment_id
                assert event.id not in self.required, "a refund is required once"
                assert event.id == refund_id("product", data.resource_id, *name)
                self.required[event.id] = name

    def left(self, name: Name) -> int:
        """Return what we still have of a payment."""
        returned = self.returned.get(name, 0)
        return 0 if returned == -1 else max(0, self.taken.get(name, 0) - returned)

    def check(self, ledger: Ledger) -> None:
        """Check that all money which we have counts for the order or is to be given back, and that this was said once."""
        rows = {key: payment for key, (_, payment) in ledger.payments.items()}
        for name in {*self.taken, *self.returned}:
            its = rows[name]
            if its.amount is None and its.status is not PaymentStatus.REFUNDED:
                continue  # nobody knows how much it is before its order comes
            left = self.left(name)
            held_back = its.status in {PaymentStatus.PAID, PaymentStatus.REFUND_REQUIRED}
            assert held_back == (left > 0), f"{name} has {left} left and is {its.status}"
            assert not held_back or (its.amount or self.amount) - its.refunded_amount == left
        required = set(self.required.values())
        for name, its in rows.items():
            assert its.status is not PaymentStatus.REFUND_REQUIRED or name in required
            assert its.status is not PaymentStatus.PAID or name not in required
        for _, order in ledger.orders.values():
            counted = sum(self.left(name) for name, its in rows.items() if its.status is PaymentStatus.PAID)
            due = sum(self.left(name) for name, its in rows.items() if its.status is PaymentStatus.REFUND_REQUIRED)
            assert not counted or order.status in COUNTING, "money counts for nothing"
            assert order.status is not OrderStatus.PENDING_PAYMENT or counted < order.amount
            assert order.status is not OrderStatus.PAID or counted > 0
            assert order.status is not OrderStatus.REFUND_REQUIRED or due > 0
