"""What the payments of an order come to, and how events and answers show the order with it. Amounts are in minor units."""

from collections.abc import Sequence

from msgspec.structs import replace

from schema.rows import Order, Payment
from topics.orders import EndedBy, OrderStatus, OrderView, PaymentStatus, PaymentView


def counts(payment: Payment) -> bool:
    """Tell whether a payment counts for its order: it is paid, and no longer parked."""
    return payment.status is PaymentStatus.PAID and payment.parked_until is None


def net(payment: Payment) -> int:
    """Return what is left of a payment behind its refunds; 0 where nobody said how much it was."""
    return max(0, (payment.amount or 0) - payment.refunded_amount)


def counted(payments: Sequence[Payment]) -> int:
    """Return the money that counts for an order that has these payments."""
    return sum(net(payment) for payment in payments if counts(payment))


def order_view(order: Order, payments: Sequence[Payment]) -> OrderView:
    """Return an order with all its payments as anyone may see it: without owner or token."""
    money = counted(payments)
    return OrderView(
        id=order.order_id,
        hold_id=order.hold_id,
        status=order.status,
        quantity=order.quantity,
        unit_price=order.unit_price,
        amount=order.amount,
        currency=order.currency,
        payment_due_at=order.payment_due_at,
        placed_at=order.placed_at,
        updated_at=order.updated_at,
        counted=money,
        overpaid_by=max(0, money - order.amount) if order.status is OrderStatus.PAID else 0,
        refund_due=sum(net(payment) for payment in payments if _is_due(order, payment)),
        ended_by=order.ended_by,
        client_reference=order.client_reference,
    )


def overdue(order: Order, payments: Sequence[Payment]) -> tuple[Order, list[Payment]]:
    """Return an order whose time to be paid is over, and its payments, as a worker that comes to it will leave them."""
    owes = any(counts(payment) for payment in payments)
    status = OrderStatus.REFUND_REQUIRED if owes else OrderStatus.CANCELLED
    return replace(order, status=status, ended_by=EndedBy.DEADLINE), [
        replace(payment, status=PaymentStatus.REFUND_REQUIRED) if counts(payment) else payment for payment in payments
    ]


def _is_due(order: Order, payment: Payment) -> bool:
    """Tell whether money is to be given back in the order's currency: what came before its order may be of another."""
    return payment.status is PaymentStatus.REFUND_REQUIRED and payment.currency in {None, order.currency}


def payment_view(payment: Payment) -> PaymentView:
    """Return a payment as events and answers show it."""
    return PaymentView(
        provider=payment.provider,
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        status=payment.status,
        amount=payment.amount,
        refunded_amount=payment.refunded_amount,
        currency=payment.currency,
        parked_until=payment.parked_until,
    )
