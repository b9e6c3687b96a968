"""What `firmhold requests show` says: a stored request, and the order that it concerns with its money, parked money too."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from firmhold.settings import Settings
from schema.connections import Timeouts, lazy_pool
from schema.money import order_view
from schema.reads import Reads
from schema.rows import Order, Payment
from schema.showing import ShownPaymentEvent, ShownRequest, shown_payment_events, shown_request
from topics import events
from topics.identifiers import HOLD, ORDER, REQUEST, parse

_TRUNCATED = 200


class NoSuchIdError(ValueError):
    """What was asked for is the id of nothing that is kept; the message says what may be asked for."""


class _Named(msgspec.Struct, frozen=True):
    id: str | None = None
    order_id: str | None = None


class _Told(msgspec.Struct, frozen=True):
    """What an event tells of: the order that it names, directly or by a hold or a payment."""

    order: _Named = _Named()
    hold: _Named = _Named()
    payment: _Named = _Named()
    order_id: str | None = None


async def show(settings: Settings, asked: str) -> list[str]:
    """Return lines on a request, by its id or by that of the hold or order that it asked for.

    Raises:
        NoSuchIdError: it is no such id, or nothing is stored of it.

    """
    place = next((routed for prefix in (REQUEST, HOLD, ORDER) if (routed := parse(asked, prefix))), None)
    if place is None:
        raise NoSuchIdError(f"{asked[:_TRUNCATED]} is no id of a request, a hold or an order")
    request_id = str(place._replace(prefix=REQUEST))
    pool = lazy_pool(settings.postgres.get_secret_value(), connections_max=1, timeouts=Timeouts(), role="show")
    async with pool:
        request = await shown_request(pool, request_id)
        order_id = asked if place.prefix == ORDER else _order_of(request)
        lines = [] if request is None else list(_of_request(settings, request))
        if order_id is not None:
            reads = Reads(pool)
            found = await reads.order(order_id)
            payments = await reads.payments_of(order_id)
            said = await shown_payment_events(pool, order_id)
            if found is not None or said:
                lines += _of_order(order_id, None if found is None else found[0], payments, said)
    if not lines:
        raise NoSuchIdError(
            f"nothing is stored of {asked[:_TRUNCATED]}: it was never decided, or its outcome was purged"
        )
    return lines


def _order_of(request: ShownRequest | None) -> str | None:
    """Return the order that a request's events tell of."""
    for event in [] if request is None else events.decode_stored(request.events):
        told = msgspec.json.decode(event.data, type=_Told)
        found = told.order.id or told.payment.order_id or told.hold.order_id or told.order_id
        if found is not None:
            return found
    return None


def _of_request(settings: Settings, request: ShownRequest) -> Iterator[str]:
    place = f"{settings.catalogue().commands(request.key.kind)}/{request.partition}/{request.offset}"
    yield f"{request.request_id}: {request.command} for {request.key.kind} {request.key.resource_id}"
    yield f"  from {request.source}, id {request.claim_id}, at {place}"
    yield f"  arrived {_instant(request.arrived_at)}, decided {_instant(request.decided_at)}"
    yield f"  {'succeeded' if request.reason is None else f'refused: {request.reason}'}"
    for event in events.decode_stored(request.events):
        yield f"  told {event.type}, version {event.version}{', the answer' if event.answers else ''}"


def _of_order(
    order_id: str, order: Order | None, payments: Sequence[Payment], said: Sequence[ShownPaymentEvent]
) -> Iterator[str]:
    if order is None:
        yield f"{order_id}: this order has not come"
    else:
        view = order_view(order, payments)
        yield f"{order_id}: {view.status.value}, {_money(view.amount, view.currency)} due {_instant(view.payment_due_at)}"
        yield f"  {view.counted} counted, {view.overpaid_by} too much, {view.refund_due} to be given back"
    for payment in payments:
        yield f"  payment {payment.payment_id} of {payment.provider}: {_standing(payment)}"
    for event in said:
        what = f"{event.report} {_money(event.amount, event.currency)}".strip()
        yield f"  {_instant(event.arrived_at)} {event.provider} said {what} of {event.payment_id}: {event.effect}"


def _standing(payment: Payment) -> str:
    """Say where a payment is, and what becomes of it where that is not plain."""
    text = f"{payment.status.value} {_money(payment.amount, payment.currency)}".strip()
    if payment.refunded_amount:
        text += f", {payment.refunded_amount} refunded"
    if payment.parked_until is not None:
        text += f", waits for its order until {_instant(payment.parked_until)}, then it is to be given back"
    return text


def _money(amount: int | None, currency: str | None) -> str:
    return " ".join(str(part) for part in (amount, currency) if part is not None)


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds")
