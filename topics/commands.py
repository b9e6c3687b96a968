"""The commands, version 1: imperative messages that ask for a decision on one resource.

Fields left at their default are absent from the fingerprint, and so are those in `NOT_FINGERPRINTED` (HTTP headers and
hashes of tokens). Within a version a message only gains optional fields; a field that is not known is an error, because
ignoring what a producer asked for would grant something else. A worker is therefore upgraded before its producers.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from topics.identifiers import RESOURCE_ID_PATTERN
from topics.orders import PaymentReport
from topics.resources import ClaimAt
from topics.seating import AREAS_MAX, SEATS_MAX, SEATS_PER_ROW_MAX, AreaId, Areas, Rows, SeatId

MAX_UNITS: Final = 2**31 - 1
AMOUNT_MAX: Final = 2**53 - 1  # what every reader of JSON keeps exactly
MAX_SECONDS: Final = 366 * 24 * 3600

ResourceId = Annotated[str, msgspec.Meta(pattern=RESOURCE_ID_PATTERN)]
Units = Annotated[int, msgspec.Meta(ge=1, le=MAX_UNITS)]
Capacity = Annotated[int, msgspec.Meta(ge=0, le=MAX_UNITS)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)]
HoldId = Annotated[str, msgspec.Meta(min_length=1, max_length=160, pattern=r"^[\x21-\x7e]+$(?!\n)")]
OrderId = HoldId
TEXT_PATTERN: Final = r"^[^\x00-\x1f\x7f]*$(?!\n)"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=TEXT_PATTERN)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Amount = Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Price = Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
Provider = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$(?!\n)")]
ProviderId = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=TEXT_PATTERN)]
Seats = Annotated[tuple[SeatId, ...], msgspec.Meta(min_length=1, max_length=SEATS_MAX)]
SideBySide = Annotated[int, msgspec.Meta(ge=1, le=SEATS_PER_ROW_MAX)]
UnitsOfAreas = Annotated[dict[AreaId, Units], msgspec.Meta(min_length=1, max_length=AREAS_MAX)]
Sha256Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]

VERSION: Final = 1
NOT_FINGERPRINTED: Final = frozenset(("buyer", "token_hash", "if_version", "if_exists"))


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Claim units of a resource for a while. `token_hash` is the SHA-256, in hex, of the token that will prove ownership.

    Of a screening `seats` by name, or so many of the `best_available` side by side, and places in `areas`; else `quantity`.
    """

    resource_id: ResourceId
    quantity: Units = 1
    buyer: Text | None = None
    client_reference: Text | None = None
    token_hash: Sha256Hex | None = None
    seats: Seats | None = None
    best_available: SideBySide | None = None
    areas: UnitsOfAreas | None = None


class DefineResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Create a resource or replace its settings; what is left out returns to the default of its kind.

    `if_version` is the version that it must have now, 0 if it must not exist; with `if_exists` it must, at any version.
    """

    resource_id: ResourceId
    capacity: Capacity | None = None
    hold_seconds: Seconds | None = None
    max_hold_seconds: Seconds | None = None
    claim_at: ClaimAt = ClaimAt.HOLD
    open: bool = True
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    units_per_hold: Units | None = None
    holds_per_buyer: Units | None = None
    title: Title | None = None
    price: Price | None = None
    currency: Currency | None = None
    name: Title | None = None
    payment_seconds: Seconds | None = None
    rows: Rows | None = None
    areas: Areas | None = None
    focal: SeatId | None = None
    client_reference: Text | None = None
    if_version: Annotated[int, msgspec.Meta(ge=0)] | None = None
    if_exists: bool = False


class _OfHold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    resource_id: ResourceId
    hold_id: HoldId
    token_hash: Sha256Hex | None = None
    client_reference: Text | None = None


class Confirm(_OfHold, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Make a hold firm. `token_hash` is the SHA-256, in hex, of the token that the caller shows, if he does."""


class Cancel(_OfHold, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Give a hold back, held or confirmed; only these `seats` of it, where some are named. The last one ends the hold."""

    seats: Seats | None = None


class Extend(_OfHold, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Let a hold live for so many seconds from the decision on, within its longest life."""

    seconds: Seconds


class ChangeHold(_OfHold, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Change what a hold claims, in place, all or nothing.

    Of a screening to these `seats`, or these places in `areas`, the other staying as they are; else to `quantity`.
    """

    quantity: Units | msgspec.UnsetType = msgspec.UNSET
    seats: Seats | None = None
    areas: UnitsOfAreas | None = None


class PlaceOrder(_OfHold, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Make an order of a hold, for the price that the hold was placed at. The hold is then used up."""


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Call an order off: one that waits for payment gives its units back, a paid one is to be refunded."""

    resource_id: ResourceId
    order_id: OrderId
    token_hash: Sha256Hex | None = None
    client_reference: Text | None = None


class RecordPayment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Tell what a provider says of a payment; `event_id` is the provider's own, and is recorded once.

    `amount` is in minor units of `currency`, left out for the whole amount due. Of a refund it is the sum refunded of this
    payment so far, left out for all of it; `return_units` says that the units come back with it.
    """

    resource_id: ResourceId
    order_id: OrderId
    provider: Provider
    payment_id: ProviderId
    event_id: ProviderId
    status: PaymentReport
    amount: Amount | None = None
    currency: Currency | None = None
    return_units: bool = False
    client_reference: Text | None = None


class Expire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Expire what is over of a resource: holds, orders not paid in time; the sweeper's command, harmless at any time."""

    resource_id: ResourceId


OfHold = Confirm | Cancel | Extend | ChangeHold | PlaceOrder
OfOrder = CancelOrder | RecordPayment
Command = Hold | DefineResource | OfHold | OfOrder | Expire

COMMANDS: Final[dict[str, type[Command]]] = {
    command.__name__: command
    for command in (
        Hold,
        DefineResource,
        Confirm,
        Cancel,
        Extend,
        ChangeHold,
        PlaceOrder,
        CancelOrder,
        RecordPayment,
        Expire,
    )
}
NEED_ORDERS: Final = frozenset((PlaceOrder.__name__, CancelOrder.__name__, RecordPayment.__name__))
BATCH: Final = "commands.batch"
BATCH_COMMANDS_MAX: Final = 64

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_encoder = msgspec.json.Encoder(order="deterministic")
_decoders: dict[str, msgspec.json.Decoder[Command]] = {
    name: msgspec.json.Decoder(command) for name, command in COMMANDS.items()
}

# What msgspec raises on bytes of strangers: text that is not UTF-8 and deep nesting come as Python's own exceptions.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Invalid(ValueError):
    """A value that is not a command of its type; the message says what and where."""


def decode(type_name: str, value: bytes) -> Command:
    """Read a command of a known type from JSON; raises Invalid with the place of the first fault."""
    try:
        return _decoders[type_name].decode(value)
    except UNREADABLE as fault:
        return _decode_with_integer_id(type_name, value, fault)


def _decode_with_integer_id(type_name: str, value: bytes, fault: Exception) -> Command:
    """Read an integer resource id as its decimal text (a JSON producer's habit), else report the first fault."""
    try:
        fields = msgspec.json.decode(value, type=dict[str, object])
        if type(fields.get("resource_id")) is int:
            fields["resource_id"] = str(fields["resource_id"])
            return msgspec.convert(fields, COMMANDS[type_name])
    except UNREADABLE as other:
        raise Invalid(str(other)) from other
    raise Invalid(str(fault)) from fault


def contradictions(command: DefineResource) -> dict[str, str]:
    """Return what a definition says against itself: the field, and a sentence that has the field for its subject."""
    found = {}
    hold_seconds, longest_seconds = command.hold_seconds, command.max_hold_seconds
    if hold_seconds is not None and longest_seconds is not None and hold_seconds > longest_seconds:
        found["hold_seconds"] = "is longer than max_hold_seconds: no hold could live for so long"
    if command.opens_at is not None and command.closes_at is not None and command.closes_at <= command.opens_at:
        found["closes_at"] = "is not after opens_at: nobody could ever hold anything"
    return found


def client_reference_of(command: Command) -> str | None:
    """Return what the client calls its request, echoed wherever the request is told of."""
    return None if isinstance(command, Expire) else command.client_reference


def encode(command: Command) -> bytes:
    """Write a command as JSON, leaving out what is at its default."""
    return _encoder.encode(command)


def fingerprint(kind: str, command: Command) -> bytes:
    """Return the SHA-256 of what the client asked for: type, kind, resource and the fields that were set.

    Two commands have one fingerprint exactly if they ask for the same; the form of a released version never changes.
    An instant counts as microseconds since 1970, in whatever time zone it was written.
    """
    fields = msgspec.to_builtins(command, builtin_types=(datetime,))
    asked = {
        name: (field - _EPOCH) // _MICROSECOND if isinstance(field, datetime) else field
        for name, field in fields.items()
        if name not in NOT_FINGERPRINTED
    }
    canonical = _encoder.encode([type(command).__name__, VERSION, kind, asked])
    return hashlib.sha256(canonical).digest()
