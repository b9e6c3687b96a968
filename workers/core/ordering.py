"""What is asked of orders: placed on a hold, called off, their time to be paid over. What payments do to them is `paying`."""

from datetime import timedelta

from msgspec.structs import replace

from schema.rows import Order, UnitsAre
from topics import commands, events
from topics.identifiers import order_id_of
from topics.orders import EndedBy, OrderStatus
from workers.core import holding
from workers.core.ending import end
from workers.core.lifecycle import NEXT, Happening
from workers.core.order_lifecycle import NEXT_OF_ORDER, OrderHappening
from workers.core.paying import settle
from workers.core.state import Draft
from workers.core.telling import Ask, No
from workers.core.telling_of_orders import tell_order, tell_order_unchanged
from workers.core.units import take


def place(draft: Draft, ask: Ask, command: commands.PlaceOrder) -> No | None:
    """Place an order on a live hold, at the hold's price; the hold is used up, its units stay held.

    A hold that has not claimed its units yet takes them now, or lives on. Payments that came before are settled at once.
    """
    hold = holding.find(draft, ask, command, Happening.ORDER)
    if isinstance(hold, No):
        return hold
    units = hold.units or draft.kind.claims_of(hold)
    no = None if hold.units else take(draft, units)
    if no is not None:
        return no
    sale = holding.existing(draft).settings.terms
    if sale is None or hold.unit_price is None or hold.currency is None:
        message = f"the hold {hold.hold_id} was granted without a price"
        raise AssertionError(message)
    order_id = order_id_of(ask.request_id)
    draft.put_hold(
        replace(
            hold, status=NEXT[hold.status][Happening.ORDER], units=units, ended_at=draft.decided_at, order_id=order_id
        )
    )
    order = Order(
        order_id=order_id,
        hold_id=hold.hold_id,
        account=ask.account,
        token_hash=hold.token_hash,
        client_reference=command.client_reference,
        status=OrderStatus.PENDING_PAYMENT,
        ended_by=None,
        quantity=hold.quantity,
        units=units,
        units_are=UnitsAre.HELD,
        unit_price=hold.unit_price,
        amount=hold.quantity * hold.unit_price,
        currency=hold.currency,
        payment_due_at=draft.decided_at + timedelta(seconds=sale.payment_seconds),
        placed_at=draft.decided_at,
        updated_at=draft.decided_at,
    )
    tell_order(draft, events.ORDER_PLACED, order, answers=True)
    settle(draft, order)
    return None


def placed_before(draft: Draft, ask: Ask) -> bool:
    """Answer from the order that this request placed before its outcome was purged, if it did: it stands for the outcome."""
    order = draft.order(order_id_of(ask.request_id)) if isinstance(ask.command, commands.PlaceOrder) else None
    if order is not None:
        tell_order_unchanged(draft, order)
    return order is not None


def cancel(draft: Draft, ask: Ask, command: commands.CancelOrder) -> No | None:
    """Call an order off. One that ended otherwise is from now on ended on request: a late payment never brings it back."""
    if draft.resource is None:
        return holding.no_resource(command.resource_id)
    order = draft.order(command.order_id)
    if order is None or not holding.is_entitled(ask, order.account, order.token_hash, command.token_hash):
        return No("order_not_found", f"there is no order {command.order_id}, or it is not yours")
    if order.status is OrderStatus.REFUNDED or order.ended_by is EndedBy.REQUEST:
        tell_order_unchanged(draft, order)
    elif order.ended_by is None:
        end(draft, order, EndedBy.REQUEST, answers=True)
    else:
        status = NEXT_OF_ORDER[order.status][OrderHappening.END]
        tell_order(
            draft, f"order.{status.value}", replace(order, status=status, ended_by=EndedBy.REQUEST), answers=True
        )
    return None


def expire(draft: Draft, order: Order) -> None:
    """End an order that was not paid in time."""
    end(draft, order, EndedBy.DEADLINE)
