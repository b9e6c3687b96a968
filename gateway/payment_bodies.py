"""What a payment provider that follows Standard Webhooks tells us: its body becomes a command. Pure."""

from typing import Annotated, Final, Literal

import msgspec

from gateway.unusable import UNREADABLE, Unusable, order_place
from topics import commands
from topics.orders import PaymentReport

PROVIDER: Final = "standard-webhooks"

Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{3}$(?!\n)")]


class PaymentBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /api/payments/webhook`; what else a provider writes there is passed over.

    `amount` is in minor units, left out for the whole amount due; of a refund it is the sum refunded of this payment so
    far, left out for all of it, and `return_units` says that the units come back with it.
    """

    payment_idempotency_key: commands.ProviderId
    payment_id: commands.ProviderId | None = None
    order_id: str
    status: Literal["paid", "failed", "processing", "refunded"]
    amount: commands.Amount | None = None
    currency: Currency | None = None
    return_units: bool = False


_decoder = msgspec.json.Decoder(PaymentBody)


def command_of(event_id: str, body: bytes) -> commands.RecordPayment:
    """Return what a verified webhook asks to record; raises Unusable with the reason."""
    try:
        told = _decoder.decode(body)
    except UNREADABLE as fault:
        raise Unusable(str(fault)) from fault
    place = order_place(told.order_id)
    return commands.RecordPayment(
        resource_id=place.resource_id,
        order_id=str(place),
        provider=PROVIDER,
        payment_id=told.payment_id or told.payment_idempotency_key,
        event_id=event_id,
        status=PaymentReport(told.status),
        amount=told.amount,
        currency=None if told.currency is None else told.currency.upper(),
        return_units=told.return_units,
    )
