"""The auditor's part on sales: where all units and all money are, by what was told, by what providers said, and by the rows.

It does not decide again: it holds each event to the one before it and to the table of the design, and the rows to the last.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.simulation.evidence import Asked, Evidence
from tests.simulation.findings import Audit, Heard
from topics import commands, events
from topics.orders import EndedBy, OrderStatus, OrderView, PaymentReport, PaymentStatus, PaymentView
from topics.resources import HoldStatus

Name = tuple[str, str]
_OUT = (OrderStatus.PAID, OrderStatus.REFUND_REQUIRED, OrderStatus.REFUNDED)
_TAKEN = (PaymentStatus.PAID, PaymentStatus.MISMATCHED, PaymentStatus.REFUND_REQUIRED, PaymentStatus.REFUNDED)


def net(payment: PaymentView) -> int:
    """Return what counts of a payment for its order."""
    if payment.status is not PaymentStatus.PAID or payment.parked_until is not None:
        return 0
    return max(0, (payment.amount or 0) - payment.refunded_amount)


@dataclass
class Product:
    """What was told of one product so far: the last of each thing, and what is wrong with it."""

    faults: list[str]
    holds: dict[str, events.HoldView] = field(default_factory=dict)
    orders: dict[str, OrderView] = field(default_factory=dict)
    payments: dict[Name, PaymentView] = field(default_factory=dict)
    owed: set[Name] = field(default_factory=set)
    untold: set[Name] = field(default_factory=set)

    def hear(self, event: Heard) -> None:
        """Take in the next event of the product."""
        data = event.data
        match data:
            case events.HoldChanged():
                self.holds[data.hold.id] = data.hold
            case events.OrderChanged():
                self._hear_order(event.type, data)
            case events.PaymentRecorded():
                self._hear_payment(event.type, data)
            case events.RefundRequired():
                self._hear_refund(data)
            case _:
                return
        self._audit_units(event)

    def counted(self, order_id: str) -> int:
        """Return what counts for an order."""
        return sum(net(payment) for payment in self.payments.values() if payment.order_id == order_id)

    def _require(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.faults.append(otherwise)

    def _hear_order(self, type_name: str, data: events.OrderChanged) -> None:
        order, before = data.order, self.orders.get(data.order.id)
        if type_name == events.ORDER_PLACED:
            hold = self.holds.pop(order.hold_id, None)
            is_its = hold is not None and hold.status is HoldStatus.HELD and hold.quantity == order.quantity
            self._require(before is None and is_its, f"{order.id} was placed on {hold}, when there was {before}")
            price = None if hold is None else hold.unit_price
            self._require(order.amount == order.quantity * (price or 0), f"{order.id} costs {order.amount} at {price}")
        else:
            self._require(before is not None, f"{order.id} goes on and was never placed")
        self._audit_step(type_name, data, before)
        self.orders[order.id] = order
        if order.status not in {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID}:
            # What counted is to be given back: each is told of next.
            self.untold |= {name for name, it in self.payments.items() if it.order_id == order.id and net(it)}
        counted = self.counted(order.id) if order.status in {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID} else 0
        self._require(
            order.counted == counted, f"{order.id}: {order.counted} is told to count, its payments say {counted}"
        )

    def _audit_step(self, type_name: str, data: events.OrderChanged, before: OrderView | None) -> None:
        order = data.order
        is_over = data.arrived_at >= order.payment_due_at
        if type_name in {events.ORDER_PAID, events.ORDER_RECOVERED}:
            self._require(order.counted >= order.amount, f"{order.id} is paid with {order.counted} of {order.amount}")
        if before is None:
            return
        if type_name == events.ORDER_PAID:
            is_right = before.status is OrderStatus.PENDING_PAYMENT and not is_over
            self._require(is_right, f"{order.id} is paid at {data.arrived_at}, and was {before}")
        if type_name == events.ORDER_RECOVERED:
            ended = before.status in {OrderStatus.CANCELLED, OrderStatus.REFUND_REQUIRED}
            self._require(ended and before.ended_by is not EndedBy.REQUEST, f"{order.id} came back, and was {before}")
        if order.ended_by is EndedBy.DEADLINE and before.ended_by is None:
            self._require(is_over, f"{order.id} ended at {data.arrived_at}, and was due at {order.payment_due_at}")

    def _hear_payment(self, type_name: str, data: events.PaymentRecorded) -> None:
        payment = data.payment
        name = payment.provider, payment.payment_id
        before = self.payments.get(name)
        self._require(before is None or before.order_id == payment.order_id, f"{name} changed its order: {payment}")
        if before is not None and before.status in {PaymentStatus.REFUND_REQUIRED, PaymentStatus.REFUNDED}:
            self._require(payment.status in _TAKEN[2:], f"{name} was {before.status} and is {payment.status}")
        if type_name == events.PAYMENT_ORPHANED:
            until = None if before is None else before.parked_until
            is_due = until is not None and until <= data.arrived_at and payment.order_id not in self.orders
            self._require(is_due, f"{name} is orphaned at {data.arrived_at}, and waited until {until}")
        order = self.orders.get(payment.order_id)
        if payment.parked_until is not None:
            self._require(order is None, f"{name} waits for {payment.order_id}, which is there")
        elif net(payment):
            self._require(order is not None and payment.currency == order.currency, f"{name} counts, for {order}")
        if payment.status is PaymentStatus.REFUND_REQUIRED and name not in self.owed:
            self.untold.add(name)
        self.payments[name] = payment

    def _hear_refund(self, data: events.RefundRequired) -> None:
        name = data.provider, data.payment_id
        self._require(name not in self.owed, f"the refund of {name} is required twice")
        self._require(name in self.untold, f"the refund of {name} is required, and it is {self.payments.get(name)}")
        self.owed.add(name)
        self.untold.discard(name)
        payment = self.payments.get(name)
        if payment is not None:
            left = None if payment.amount is None else max(0, payment.amount - payment.refunded_amount)
            self._require(data.amount == left, f"{data.amount} of {name} is to be given back, and {left} is left")
            self.payments[name] = msgspec.structs.replace(payment, status=PaymentStatus.REFUND_REQUIRED)

    def _audit_units(self, event: Heard) -> None:
        """Held is what live holds and pending orders have; taken what is paid, and what was and is not given back yet."""
        units = event.data.counters
        held = sum(hold.quantity for hold in self.holds.values() if hold.status is HoldStatus.HELD)
        held += sum(it.quantity for it in self.orders.values() if it.status is OrderStatus.PENDING_PAYMENT)
        paid = sum(it.quantity for it in self.orders.values() if it.status is OrderStatus.PAID)
        most = sum(it.quantity for it in self.orders.values() if it.status in _OUT)
        where = f"{event.data.resource_id} at version {event.data.version}"
        changes_later = event.type == events.PAYMENT_RECORDED  # its order follows with an event of its own
        self._require(units.held == held or changes_later, f"{where}: {units.held} held, of holds and orders {held}")
        self._require(
            paid <= units.taken <= most or changes_later, f"{where}: {units.taken} taken, of {paid} to {most}"
        )

    def settle(self) -> None:
        """Look at how everything stands in the end."""
        self._require(not self.untold, f"money is to be given back and nobody was told: {sorted(self.untold)[:3]}")
        for order in self.orders.values():
            counted = self.counted(order.id)
            is_right = {
                OrderStatus.PENDING_PAYMENT: counted < max(1, order.amount),
                OrderStatus.PAID: True,
            }.get(order.status, counted == 0)
            self._require(
                is_right, f"{order.id} is {order.status.value} of {order.amount}, and {counted} counts for it"
            )


def audit_sale(
    evidence: Evidence, asked: Mapping[str, Asked], told: Mapping[str, Sequence[Heard]], found: Audit
) -> None:
    """Note what is wrong with the units and the money of all products."""
    products: dict[str, Product] = defaultdict(lambda: Product(found.faults))
    heard = [event for its in told.values() for event in its if event.type not in events.CHANGE_NOTHING]
    for event in sorted(heard, key=lambda event: (event.data.version, event.type == events.PAYMENT_RECORDED)):
        products[event.data.resource_id].hear(event)
    for product in products.values():
        product.settle()
        for name, things in (("orders", product.orders), ("payments", product.payments), ("refunds", product.owed)):
            found.looked_at[f"{name} of a sale"] += len(things)
        for order in product.orders.values():
            found.looked_at[f"orders in the end {order.status.value}"] += 1
        for payment in product.payments.values():
            found.looked_at[f"payments in the end {payment.status.value}"] += 1
    found.faults += _faults_of_words(evidence, asked, told, products)
    found.faults += _faults_of_rows(evidence, products)


def _faults_of_words(
    evidence: Evidence,
    asked: Mapping[str, Asked],
    told: Mapping[str, Sequence[Heard]],
    products: Mapping[str, Product],
) -> Iterator[str]:
    """Yield what is wrong between what providers said and what was recorded: each word once, and no money lost."""
    recorded: dict[Name, str] = {}
    order_of: dict[Name, set[str]] = defaultdict(set)
    for request_id, it in asked.items():
        said, command = told.get(request_id, ()), it.command
        if not isinstance(command, commands.RecordPayment) or not said:
            continue
        name, answer = (command.provider, command.payment_id), said[-1] if len(said) == 1 else _answer(said)
        if answer.type == events.PAYMENT_RECORDED:
            word = command.provider, command.event_id
            if word in recorded:
                yield f"{word} was recorded by {recorded[word]} and by {request_id}"
            recorded[word] = request_id
            order_of[name].add(command.order_id)
            payment = products[command.resource_id].payments.get(name)
            if command.status is PaymentReport.PAID and (payment is None or payment.status not in _TAKEN):
                yield f"{name} was paid, and in the end it is {payment}"
    for name, order_ids in order_of.items():
        if len(order_ids) > 1:
            yield f"{name} was recorded for {sorted(order_ids)}"
    stored = {(row["provider"], row["event_id"]): row["request_id"] for row in evidence.rows["payment_events"]}
    if stored != recorded:
        yield f"what providers said is not what is stored: {sorted(stored.items() ^ recorded.items())[:3]}"


def _answer(said: Sequence[Heard]) -> Heard:
    return next(event for event in said if "ce_correlationid" in event.headers)


def _faults_of_rows(evidence: Evidence, products: Mapping[str, Product]) -> Iterator[str]:
    """Yield where rows are not what was told last."""
    orders = {it.id: it for product in products.values() for it in product.orders.values()}
    payments = {name: it for product in products.values() for name, it in product.payments.items()}
    holds = {it.id: it for product in products.values() for it in product.holds.values()}
    used = {it.hold_id: it.id for it in orders.values()}
    for row in evidence.rows["orders"]:
        order = orders.pop(row["order_id"], None)
        yield from _differing(f"order {row['order_id']}", row, order, _OF_ORDERS)
    for row in evidence.rows["payments"]:
        payment = payments.pop((row["provider"], row["payment_id"]), None)
        yield from _differing(f"payment {row['payment_id']}", row, payment, _OF_PAYMENTS)
    for row in evidence.rows["holds"]:
        hold = holds.pop(row["hold_id"], None)
        order_id = used.get(row["hold_id"])
        if order_id != row["order_id"] or (hold is None) != (row["status"] == "used"):
            yield f"hold {row['hold_id']} is {row['status']} by {row['order_id']}; told were {hold} and {order_id}"
        elif hold is not None:
            yield from _differing(
                f"hold {row['hold_id']}", row, hold, ("status", "quantity", "unit_price", "expires_at")
            )
    for what in (*orders, *payments, *holds):
        yield f"{what} was told and is not stored"
    yield from _faults_of_counters(evidence)


_OF_ORDERS = (
    "hold_id",
    "status",
    "ended_by",
    "quantity",
    "unit_price",
    "amount",
    "currency",
    "payment_due_at",
    "updated_at",
)
_OF_PAYMENTS = ("order_id", "status", "amount", "currency", "refunded_amount", "parked_until")


def _differing(name: str, row: Mapping[str, Any], told: object, columns: Sequence[str]) -> Iterator[str]:
    if told is None:
        yield f"{name} is stored and was never told"
        return
    for column in columns:
        value = getattr(told, column)
        value = getattr(value, "value", value)
        if row[column] != value:
            yield f"{name}: {column} is stored as {row[column]}, and told was {value}"


def _faults_of_counters(evidence: Evidence) -> Iterator[str]:
    """Yield which pools are not what holds and orders have of them."""
    for pool in evidence.rows["pools"]:
        of_it = [
            [row for row in evidence.rows[table] if row["resource_id"] == pool["resource_id"]]
            for table in ("holds", "orders")
        ]
        held = sum(row["quantity"] for row in of_it[0] if row["status"] == "held")
        held += sum(row["quantity"] for row in of_it[1] if row["units_are"] == "held")
        taken = sum(row["quantity"] for row in of_it[1] if row["units_are"] == "taken")
        if (pool["held"], pool["taken"]) != (held, taken):
            yield f"{pool['resource_id']}: its pool has {pool['held']} held, {pool['taken']} taken; its rows {held}, {taken}"
