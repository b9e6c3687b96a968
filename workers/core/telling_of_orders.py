"""Tell what was decided of orders and payments: every change is an event."""

from msgspec.structs import replace

from schema.money import net, order_view, payment_view
from schema.rows import Order, Payment
from topics import events
from topics.identifiers import refund_id
from topics.orders import PaymentEffect, RefundCause
from workers.core.state import Draft, Fact


def tell_order(draft: Draft, event: str, order: Order, *, answers: bool = False) -> None:
    """Record a change of an order and tell of it, with a version of its own."""
    order = replace(order, updated_at=draft.decided_at)
    draft.put_order(order)
    draft.next_version()
    _tell_order(draft, event, order, answers=answers)


def tell_order_unchanged(draft: Draft, order: Order) -> None:
    """Answer with the order as it stands. The resource keeps its version."""
    _tell_order(draft, events.ORDER_UNCHANGED, order, answers=True)


def tell_payment(
    draft: Draft,
    event: str,
    payment: Payment,
    effect: PaymentEffect | None = None,
    event_id: str | None = None,
    *,
    answers: bool = False,
) -> None:
    """Tell of a payment; what changes it has a version of its own, what does not keeps the resource's."""
    if draft.payment(payment.order_id, payment.key) != payment:
        draft.put_payment(payment)
        draft.next_version()
    data = events.PaymentRecorded(
        resource_id=draft.state.key.resource_id,
        version=draft.version(),
        payment=payment_view(payment),
        counters=draft.counters(),
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
        event_id=event_id,
        effect=effect,
        client_reference=draft.client_reference if answers else None,
    )
    draft.facts.append(Fact(event, draft.version(), answers=answers, data=data))


def tell_refund(draft: Draft, payment: Payment, why: RefundCause) -> None:
    """Tell that a payment is to be given back: once, as it never comes back from `refund_required`."""
    key = draft.state.key
    version = draft.next_version()
    data = events.RefundRequired(
        resource_id=key.resource_id,
        version=version,
        provider=payment.provider,
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        why=why,
        counters=draft.counters(),
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
        amount=None if payment.amount is None else net(payment),
        currency=payment.currency,
    )
    its_id = refund_id(key.kind, key.resource_id, payment.provider, payment.payment_id)
    draft.facts.append(Fact(events.REFUND_REQUIRED, version, answers=False, data=data, id=its_id))


def _tell_order(draft: Draft, event: str, order: Order, *, answers: bool) -> None:
    data = events.OrderChanged(
        resource_id=draft.state.key.resource_id,
        version=draft.version(),
        order=order_view(order, draft.payments_of(order.order_id)),
        counters=draft.counters(),
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
        client_reference=draft.client_reference if answers else None,
    )
    draft.facts.append(Fact(event, draft.version(), answers=answers, data=data))
