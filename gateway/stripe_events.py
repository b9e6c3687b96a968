"""What Stripe's events tell of payments (docs.stripe.com/api/events/types): each becomes a command, or none. Pure.

The payment is the PaymentIntent: its id holds through all tries, and a refunded charge names it. A charge that names none
was made by itself, and is the payment: nobody else tells of it. Amounts are in the currency's smallest unit already, yen in
yen. A charge has its PaymentIntent's metadata, copied when it was made.
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
_TOLD_ELSEWHERE: Final = frozenset(("payment_intent.created", "payment_intent.requires_action"))
# So do these if the charge names its PaymentIntent; of a charge made by itself they are all that is told. Updated is none.
_OF_CHARGES: Final = {
    "charge.pending": PaymentReport.PROCESSING,
    "charge.succeeded": PaymentReport.PAID,
    "charge.captured": PaymentReport.PAID,
    "charge.failed": PaymentReport.ATTEMPT_FAILED,  # a declined card: another charge may follow
    "charge.updated": None,
}


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
    amount_captured: commands.Amount | None = None
    amount_refunded: commands.Amount | None = None
    refunded: bool = False
    captured: bool = True
    currency: Currency | None = None
    payment_intent: commands.ProviderId | None = None
    metadata: dict[str, str] | None = None

    def report_of(self, type_name: str) -> PaymentReport | None:
        """Return what an event of a used type says of the payment, None if another event tells it."""
        if type_name not in _OF_CHARGES:
            return _REPORTS[type_name]
        report = None if self.payment_intent is not None else _OF_CHARGES[type_name]
        if report is PaymentReport.PAID and not self.captured:
            return PaymentReport.PROCESSING  # the card was only asked whether it would pay
        return report

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
            case PaymentReport.PAID if self.amount_captured is not None:
                return self.amount_captured
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
        if event.type not in _REPORTS and event.type not in _OF_CHARGES:
            raise Unusable(f"events of type {event.type[:200]!r} are not used here")
        told = _objects.decode(event.data.object)
    except UNREADABLE as fault:
        raise Unusable(str(fault)) from fault
    report = told.report_of(event.type)
    if report is None:
        return None
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
