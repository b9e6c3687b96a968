"""What Stripe's events tell of payments (docs.stripe.com/api/events/types): each becomes a command, or none. Pure.

The payment is the PaymentIntent: its id holds through all tries, and a refunded charge names it. Amounts are in the
currency's smallest unit already, yen in yen. A charge has its PaymentIntent's metadata, copied when it was made.
"""

from typing import Final

import msgspec

from gateway.payment_bodies import Currency
from gateway.unusable import UNREADABLE, Unusable, order_place
from topics import commands
from topics.orders import PaymentReport

PROVIDER: Final = "stripe"
ORDER_ID: Final = "order_id"
RETURN_UNITS: Final = "return_units"
_REPORTS: Final = {
    "payment_intent.succeeded": PaymentReport.PAID,
    "payment_intent.processing": PaymentReport.PROCESSING,
    "payment_intent.payment_failed": PaymentReport.ATTEMPT_FAILED,  # another try may follow
    "payment_intent.canceled": PaymentReport.FAILED,
    "charge.refunded": PaymentReport.REFUNDED,
}
# They come with every payment and say nothing that the others do not.
_TOLD_ELSEWHERE: Final = frozenset(
    (
        "payment_intent.created",
        "payment_intent.requires_action",
        "charge.pending",
        "charge.succeeded",
        "charge.failed",
        "charge.updated",
    )
)


class _Data(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class _Event(msgspec.Struct, frozen=True):
    id: commands.ProviderId
    type: str
    data: _Data


class _Object(msgspec.Struct, frozen=True):
    """A PaymentIntent, or a charge."""

    id: commands.ProviderId
    amount: commands.Amount | None = None
    amount_received: commands.Amount | None = None
    amount_refunded: commands.Amount | None = None
    refunded: bool = False
    currency: Currency | None = None
    payment_intent: commands.ProviderId | None = None
    metadata: dict[str, str] | None = None

    def amount_of(self, report: PaymentReport) -> int | None:
        """Return what was received, or given back so far (None for all of it), or is asked for.

        Money that moved is never guessed: raises Unusable if it does not say how much that was.
        """
        match report:
            case PaymentReport.REFUNDED if self.refunded:
                return None
            case PaymentReport.REFUNDED if self.amount_refunded is None:
                raise Unusable("it says neither that all was refunded (refunded) nor how much (amount_refunded)")
            case PaymentReport.REFUNDED:
                return self.amount_refunded
            case PaymentReport.PAID if self.amount_received is not None:
                return self.amount_received
            case PaymentReport.PAID if self.amount is None:
                raise Unusable("it does not say how much was paid: it has neither amount_received nor amount")
            case _:
                return self.amount


_events = msgspec.json.Decoder(_Event)
_objects = msgspec.json.Decoder(_Object)


def command_of(body: bytes) -> commands.RecordPayment | None:
    """Return what a verified event asks to record, None if another event tells it; raises Unusable with the reason."""
    try:
        event = _events.decode(body)
        if event.type in _TOLD_ELSEWHERE:
            return None
        report = _REPORTS.get(event.type)
        if report is None:
            raise Unusable(f"events of type {event.type[:200]!r} are not used here")
        told = _objects.decode(event.data.object)
    except UNREADABLE as fault:
        raise Unusable(str(fault)) from fault
    metadata = told.metadata or {}
    if ORDER_ID not in metadata:
        raise Unusable(f"its metadata has no {ORDER_ID}")
    place = order_place(metadata[ORDER_ID])
    return commands.RecordPayment(
        resource_id=place.resource_id,
        order_id=str(place),
        provider=PROVIDER,
        payment_id=told.payment_intent or told.id,
        event_id=event.id,
        status=report,
        amount=told.amount_of(report),
        currency=None if told.currency is None else told.currency.upper(),
        return_units=report is PaymentReport.REFUNDED and metadata.get(RETURN_UNITS) == "true",
    )
