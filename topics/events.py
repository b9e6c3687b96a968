"""The events, version 1: past-tense messages. The one that answers a request bears its id as `correlationid`.

An event may be seen twice with one id, never zero times. Those that change a resource have a `version` of their own,
without gaps; a refusal carries the current one. No event carries a token, its hash, or who the buyer is.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from topics.cloudevents import Envelope, Headers
from topics.cloudevents import encode as encode_headers
from topics.orders import OrderView, PaymentEffect, PaymentView, RefundCause
from topics.resources import Counters, HoldStatus, Settings

SOURCE: Final = "firmhold/worker"
FAMILY: Final = "events"
_SEQUENCE_DIGITS: Final = 20

RESOURCE_DEFINED: Final = "resource.defined"
HOLD_PLACED: Final = "hold.placed"
HOLD_CHANGED: Final = "hold.changed"
HOLD_EXTENDED: Final = "hold.extended"
HOLD_CONFIRMED: Final = "hold.confirmed"
HOLD_CANCELLED: Final = "hold.cancelled"
HOLD_EXPIRED: Final = "hold.expired"
HOLD_UNCHANGED: Final = "hold.unchanged"
ORDER_PLACED: Final = "order.placed"
ORDER_PAID: Final = "order.paid"
ORDER_RECOVERED: Final = "order.recovered"
ORDER_CANCELLED: Final = "order.cancelled"
ORDER_REFUND_REQUIRED: Final = "order.refund_required"
ORDER_REFUNDED: Final = "order.refunded"
ORDER_UNCHANGED: Final = "order.unchanged"
PAYMENT_RECORDED: Final = "payment.recorded"
PAYMENT_UNCHANGED: Final = "payment.unchanged"
PAYMENT_ORPHANED: Final = "payment.orphaned"
REFUND_REQUIRED: Final = "refund.required"
REQUEST_REFUSED: Final = "request.refused"
RECORD_REJECTED: Final = "record.rejected"


CHANGE_NOTHING: Final = frozenset(
    (HOLD_UNCHANGED, ORDER_UNCHANGED, PAYMENT_UNCHANGED, REQUEST_REFUSED, RECORD_REJECTED)
)
"""What has no version of its own, ever."""


class HoldView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hold as anyone may see it. `units` is what it claims of each pool."""

    id: str
    status: HoldStatus
    quantity: int
    units: dict[str, int]
    granted_at: datetime
    expires_at: datetime
    expires_latest_at: datetime
    ended_at: datetime | None = None
    client_reference: str | None = None
    unit_price: int | None = None
    currency: str | None = None
    order_id: str | None = None


class ResourceDefined(msgspec.Struct, frozen=True, kw_only=True):
    """A resource was created, or its settings replaced."""

    resource_id: str
    version: int
    created: bool
    settings: Settings
    counters: Counters
    arrived_at: datetime
    decided_at: datetime
    client_reference: str | None = None


class HoldChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A hold was placed or changed: the event's type says how.

    `hold.unchanged` answers who asked for what is so already; it has no version of its own but the current one.
    `client_reference` is that of the request, beside the hold's own; null where no request caused it.
    """

    resource_id: str
    version: int
    hold: HoldView
    counters: Counters
    arrived_at: datetime
    decided_at: datetime
    client_reference: str | None = None


class OrderChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An order was placed or went on: the event's type says how.

    `order.unchanged` answers who asked for what is so already; it has no version of its own but the current one.
    `client_reference` is that of the request, beside the order's own; null where no request asked for it.
    """

    resource_id: str
    version: int
    order: OrderView
    counters: Counters
    arrived_at: datetime
    decided_at: datetime
    client_reference: str | None = None


class PaymentRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's event was recorded, and what it came to. It has a version of its own if the payment changed by it.

    `payment.unchanged` answers a provider's event that was recorded before. `payment.orphaned` raises the alarm for money
    whose order did not come in time: it answers nobody, and there is no event of a provider to it.
    """

    resource_id: str
    version: int
    payment: PaymentView
    counters: Counters
    arrived_at: datetime
    decided_at: datetime
    event_id: str | None = None
    effect: PaymentEffect | None = None
    client_reference: str | None = None


class RefundRequired(msgspec.Struct, frozen=True, kw_only=True):
    """Money is to be given back, by whoever does that: told once for a payment, the event's id derives from it.

    `amount` is None where nobody said how much was paid: then all that is left of it.
    """

    resource_id: str
    version: int
    provider: str
    payment_id: str
    order_id: str
    why: RefundCause
    counters: Counters
    arrived_at: datetime
    decided_at: datetime
    amount: int | None = None
    currency: str | None = None


class RequestRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A request was decided with "no". `reason` is of the catalogue of refusals; `version` is 0 where there is no resource.

    `retry_at` is the instant before which another request would be refused for the same reason, where one is known.
    `order_id` is the order that used the hold, where that is the reason.
    """

    resource_id: str
    command: str
    version: int
    reason: str
    detail: str
    arrived_at: datetime
    decided_at: datetime
    counters: Counters | None = None
    client_reference: str | None = None
    retry_at: datetime | None = None
    order_id: str | msgspec.UnsetType = msgspec.UNSET


class RecordRejected(msgspec.Struct, frozen=True, kw_only=True):
    """A record was not decided: no outcome is stored, its claim is still free.

    The reason is that of the dead letter, or `forbidden`.
    """

    reason: str
    detail: str
    source: str | None
    id: str | None
    topic: str
    partition: int
    offset: int


EventData = ResourceDefined | HoldChanged | OrderChanged | PaymentRecorded | RefundRequired | RequestRefused

EVENTS: Final[dict[str, type[msgspec.Struct]]] = {
    RESOURCE_DEFINED: ResourceDefined,
    HOLD_PLACED: HoldChanged,
    HOLD_CHANGED: HoldChanged,
    HOLD_EXTENDED: HoldChanged,
    HOLD_CONFIRMED: HoldChanged,
    HOLD_CANCELLED: HoldChanged,
    HOLD_EXPIRED: HoldChanged,
    HOLD_UNCHANGED: HoldChanged,
    ORDER_PLACED: OrderChanged,
    ORDER_PAID: OrderChanged,
    ORDER_RECOVERED: OrderChanged,
    ORDER_CANCELLED: OrderChanged,
    ORDER_REFUND_REQUIRED: OrderChanged,
    ORDER_REFUNDED: OrderChanged,
    ORDER_UNCHANGED: OrderChanged,
    PAYMENT_RECORDED: PaymentRecorded,
    PAYMENT_UNCHANGED: PaymentRecorded,
    PAYMENT_ORPHANED: PaymentRecorded,
    REFUND_REQUIRED: RefundRequired,
    REQUEST_REFUSED: RequestRefused,
    RECORD_REJECTED: RecordRejected,
}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the request that caused it keeps it, to be sent again word for word.

    `record` names the command's record that was decided, `{partition}/{offset}`: who sent it knows by this that the answer
    is to his own record and not to an earlier one with the same claim. `request_id` is there where the event's id does not
    begin with it, because it derives from what the event is about.
    """

    type: str
    id: str
    answers: bool
    version: int
    time: datetime
    record: str
    data: msgspec.Raw
    request_id: str | msgspec.UnsetType = msgspec.UNSET


_encoder = msgspec.json.Encoder()
_stored_decoder = msgspec.json.Decoder(list[Stored])
_data_decoders = {name: msgspec.json.Decoder(data) for name, data in EVENTS.items()}


def encode_data(data: msgspec.Struct) -> bytes:
    """Write the data of an event as JSON."""
    return _encoder.encode(data)


def decode_data(type_name: str, data: bytes) -> msgspec.Struct:
    """Read the data of an event of a known type; KeyError for another type, msgspec.DecodeError for bad data."""
    return _data_decoders[type_name].decode(data)


def encode_stored(events: list[Stored]) -> str:
    """Write the events of a request as the JSON that its row keeps."""
    return _encoder.encode(events).decode()


def decode_stored(text: str) -> list[Stored]:
    """Read back what `encode_stored` wrote."""
    return _stored_decoder.decode(text)


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the id of the request that an event with these record headers is stored with; no id at all if none is told."""
    return headers.get("ce_requestid") or headers.get("ce_id", "").rpartition("/")[0]


def headers_of(event: Stored, resource_id: str, request_id: str, command_id: str, traceparent: str | None) -> Headers:
    """Return the record headers of an event; the same for its first sending and each later one."""
    extensions = {"causationid": command_id, "sequence": f"{event.version:0{_SEQUENCE_DIGITS}d}"}
    if isinstance(event.request_id, str):
        extensions["requestid"] = event.request_id
    if event.answers:
        extensions["correlationid"] = request_id
        extensions["commandrecord"] = event.record
    envelope = Envelope(
        type=event.type,
        source=SOURCE,
        id=event.id,
        data=bytes(event.data),
        subject=resource_id,
        time=event.time,
        traceparent=traceparent,
        extensions=extensions,
    )
    return encode_headers(envelope, FAMILY)
