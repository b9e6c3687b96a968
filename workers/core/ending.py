"""End an order before it is done with: what is held returns, money that counted for it is to be given back."""

from msgspec.structs import replace

from schema.money import counts
from schema.rows import Order, UnitsAre
from topics import events
from topics.orders import EndedBy, RefundCause
from workers.core.order_lifecycle import NEXT_OF_ORDER, NEXT_OF_PAYMENT, OrderHappening, PaymentHappening
from workers.core.state import Draft
from workers.core.telling_of_orders import tell_order, tell_refund
from workers.core.units import put_back


def end(draft: Draft, order: Order, ended_by: EndedBy, *, answers: bool = False) -> None:
    """End an order that waits for payment or is paid.

    The units of a paid order stay taken until a refund says that they come back; where there is no money to refund, at once.
    """
    owed = [
        replace(
            payment,
            status=NEXT_OF_PAYMENT[payment.status][PaymentHappening.REQUIRE_REFUND],
            took_units=order.units_are is UnitsAre.TAKEN,
        )
        for payment in draft.payments_of(order.order_id)
        if counts(payment)
    ]
    for payment in owed:
        draft.put_payment(payment)
    ended = replace(
        _returned(draft, order, owing=bool(owed)),
        status=NEXT_OF_ORDER[order.status][OrderHappening.END_OWING if owed else OrderHappening.END],
        ended_by=ended_by,
    )
    tell_order(draft, events.ORDER_REFUND_REQUIRED if owed else events.ORDER_CANCELLED, ended, answers=answers)
    for payment in owed:
        tell_refund(draft, payment, RefundCause.ORDER_ENDED)


def _returned(draft: Draft, order: Order, *, owing: bool) -> Order:
    firm = order.units_are is UnitsAre.TAKEN
    if firm and owing:
        return order
    put_back(draft, order.units, firm=firm)
    return replace(order, units_are=UnitsAre.RETURNED)
