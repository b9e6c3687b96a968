"""The schemas of openapi.json (JSON Schema 2020-12): what answers look like, and the parameters and header fields of calls."""

from typing import Any

import msgspec

from gateway.idempotency import KEY_CHARACTERS_MAX
from gateway.problems import KINDS
from gateway.seat_maps import MapShown
from topics.identifiers import RESOURCE_ID_PATTERN
from topics.orders import EndedBy, OrderStatus, PaymentStatus
from topics.refusals import Retry
from topics.resources import Counters, HoldStatus, Settings
from topics.seating import SEAT_PATTERN

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
_ID_PATTERN = RESOURCE_ID_PATTERN.removesuffix(r"(?!\n)")  # Python needs that; ECMA-262's `$` is the end
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_REFERENCE: Schema = {"type": ["string", "null"], "maxLength": 128}
_FREE = ("capacity", "remaining", "held", "version")
_LINKS: Schema = {"type": "object", "additionalProperties": _TEXT}


def reference(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": REFERENCE.format(name=name)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def closed(properties: Schema, *optional: str) -> Schema:
    """Return an object of exactly these members, all required but those named."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def together(*parts: Schema, **properties: Schema) -> Schema:
    """Return an object of the members of all parts, and of these, and of no others."""
    own = {"type": "object", "properties": properties, "required": list(properties)}
    return {"allOf": [*parts, own], "unevaluatedProperties": False}


_HOLD: Schema = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "status": {"enum": [status.value for status in HoldStatus]},
        "granted_at": _INSTANT,
        "expires_at": _INSTANT,
        "expires_latest_at": {**_INSTANT, "description": "No extension goes beyond"},
        "client_reference": {**_REFERENCE, "description": "That of the request which placed the hold"},
        "request_reference": {**_REFERENCE, "description": "That of this request, where it did not place the hold"},
        "hold_token": {**_TEXT, "description": "For the owner only: who shows it as Hold-Token may do as he may"},
        "links": _LINKS,
    },
    "required": ["id", "status", "granted_at", "expires_at", "expires_latest_at", "client_reference", "links"],
}

# How each kind shows its holds.
HOLDS: dict[str, Schema] = {
    "SlotHold": together(reference("Hold"), slot_id=_TEXT, quantity=_NUMBER),
    "ScreeningHold": together(
        reference("Hold"),
        screening_id=_TEXT,
        seats={"type": "array", "items": _TEXT},
        areas={"type": "object", "additionalProperties": _NUMBER, "description": "How many places in which areas"},
    ),
    "ProductHold": together(reference("Hold"), product_id=_TEXT, qty=_NUMBER, price=_NUMBER, currency=_TEXT),
}

_MONEY: Schema = {"type": "integer", "description": "In minor units of the currency"}
_PRODUCT = {
    "id": _TEXT,
    "name": {"type": ["string", "null"]},
    "price": {**_MONEY, "type": ["integer", "null"]},
    "currency": {"type": ["string", "null"]},
    "stock": {**_NUMBER, "description": "What can still be held"},
    "stock_available": {**_NUMBER, "description": "What is not sold yet"},
    "stock_reserved": {**_NUMBER, "description": "What live holds and pending orders have"},
    "version": _NUMBER,
}
_PAYMENT = closed(
    {
        "provider": _TEXT,
        "payment_id": _TEXT,
        "status": {"enum": [status.value for status in PaymentStatus]},
        "amount": {**_MONEY, "type": ["integer", "null"]},
        "refunded_amount": _MONEY,
        "currency": {"type": ["string", "null"]},
    }
)
_ORDER = {
    "id": _TEXT,
    "hold_id": _TEXT,
    "product_id": _TEXT,
    "qty": _NUMBER,
    "price": _MONEY,
    "amount": _MONEY,
    "currency": _TEXT,
    "status": {"enum": [status.value for status in OrderStatus]},
    "ended_by": {"enum": [None, *(way.value for way in EndedBy)]},
    "payment_due_at": _INSTANT,
    "created_at": _INSTANT,
    "updated_at": _INSTANT,
    "counted": {**_MONEY, "description": "Money that counts for it"},
    "overpaid_by": _MONEY,
    "refund_due": _MONEY,
    "client_reference": _REFERENCE,
    "request_reference": _REFERENCE,
    "payments": {"type": "array", "items": reference("Payment")},
    "links": _LINKS,
}


def _picked(members: Schema, *names: str) -> Schema:
    """Return an object of these members, and of the caller's reference if there was one."""
    picked = {name: members[name] for name in names}
    return closed(picked | {"client_reference": _REFERENCE}, "client_reference")


def _message(member: str, schema: Schema) -> Schema:
    return closed({"message": _TEXT, "success": {"const": True}, member: schema})


def _of_products() -> dict[str, Schema]:
    """Return the schemas of products and orders."""
    held = {
        "id": _TEXT,
        "hold_id": _TEXT,
        "product_id": _TEXT,
        "qty": _NUMBER,
        "expires_at": _INSTANT,
        "hold_token": _TEXT,
    }
    times = ("created_at", "updated_at")
    without = {name: schema for name, schema in _ORDER.items() if name != "payments"}
    placed = ("id", "hold_id", "status", "amount", "currency", "payment_due_at", *times)
    return {
        "ProductAvailability": closed(_PRODUCT),
        "Product": together(
            reference("Settings"),
            {"properties": {"request_reference": _REFERENCE, "payment_seconds": _NUMBER}},
            **_PRODUCT,
        ),
        "ProductHoldPlaced": _picked(held, "hold_id", "product_id", "qty", "expires_at", "hold_token"),
        "ProductHoldMessage": _message("hold", _picked(held, "id", "qty", "expires_at")),
        "Payment": _PAYMENT,
        "Order": closed(without, "request_reference"),
        "OrderWithPayments": closed(_ORDER, "request_reference"),
        "OrderPlaced": _picked(_ORDER, *placed),
        "OrderMessage": _message("order", _picked(_ORDER, "id", "hold_id", "status", *times)),
    }


def _of_screenings() -> dict[str, Schema]:
    """Return the schemas of screenings, their maps and what is held of one seat."""
    _, shown = msgspec.json.schema_components((MapShown,), ref_template=REFERENCE)
    shown["SeatShown"]["properties"]["status"] = {"enum": ["free", "held", "taken", "blocked"]}
    plan = {"type": "array", "items": reference("Row")}, {"type": "array", "items": reference("Area")}
    return {
        **shown,
        "ScreeningAvailability": closed(
            {"screening_id": _TEXT, "title": _or_null(_TEXT), **dict.fromkeys(_FREE, _NUMBER)}
        ),
        "Screening": together(
            reference("Settings"),
            reference("Counters"),
            {"properties": {"request_reference": _REFERENCE}},
            screening_id=_TEXT,
            version=_NUMBER,
            rows=plan[0],
            areas=plan[1],
            focal=_or_null(_TEXT),
        ),
        "SeatHeld": closed({"held": {"type": "boolean"}, "expires_at": _or_null(_INSTANT)}),
    }


_PROBLEM = closed(
    {
        "type": {**_TEXT, "format": "uri", "description": "The address of a page that explains it"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": _TEXT,
        "retry": {"enum": [retry.value for retry in Retry]},
        "instance": {**_TEXT, "format": "uri-reference"},
        "errors": {"type": "array", "items": closed({"detail": _TEXT, "pointer": _TEXT})},
        "request_id": _TEXT,
        "client_reference": _REFERENCE,
        "retry_at": _INSTANT,
        "cause": _TEXT,
        "order_id": _TEXT,
        "in_the_way": {
            "type": "array",
            "items": _TEXT,
            "description": "The seats that are not free, or not there; an area as `area:` and its id",
        },
        "links": _LINKS,
        "violated-policies": {"type": "array", "items": _TEXT},
    },
    *(
        "instance",
        "errors",
        "request_id",
        "client_reference",
        "retry_at",
        "cause",
        "order_id",
        "in_the_way",
        "links",
        "violated-policies",
    ),
)

_STATUS_OF_REQUEST: Schema = {"enum": ["queued", "succeeded", "refused"]}
_REQUEST = closed(
    {
        "id": _TEXT,
        "status": _STATUS_OF_REQUEST,
        "submitted_at": _or_null(_INSTANT),
        "decided_at": _or_null(_INSTANT),
        "ahead": {
            "type": ["integer", "null"],
            "description": "Commands before it in its partition, where that is known",
        },
        "client_reference": _REFERENCE,
        "result": {"type": "object", "description": "What the direct answer would have been"},
        "error": reference("Problem"),
        "links": _LINKS,
    },
    *("client_reference", "result", "error"),
)
_QUEUED = closed(
    {"id": _TEXT, "status": {"const": "queued"}, "links": _LINKS, "client_reference": _REFERENCE}, "client_reference"
)


def schemas() -> dict[str, Schema]:
    """Return all schemas of answers, by name."""
    _, ours = msgspec.json.schema_components((Settings, Counters), ref_template=REFERENCE)
    about_definition = {"properties": {"request_reference": _REFERENCE}}
    return {
        **ours,
        "Hold": _HOLD,
        **HOLDS,
        **_of_screenings(),
        **_of_products(),
        "AnyHold": {"anyOf": [reference(name) for name in HOLDS]},
        "Slot": together(
            reference("Settings"), reference("Counters"), about_definition, slot_id=_TEXT, version=_NUMBER
        ),
        "SlotAvailability": closed({"slot_id": _TEXT, **dict.fromkeys(_FREE, _NUMBER)}),
        "Queued": _QUEUED,
        "Request": _REQUEST,
        "Problem": _PROBLEM,
        "Taken": closed({"message": {"const": "ok"}}),
        "Health": closed({"status": {"const": "ok"}}),
        "Readiness": {"type": "object", "required": ["ready"], "additionalProperties": {"type": "boolean"}},
        "Version": closed({"version": _TEXT, "python": _TEXT}),
        "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
    }


def _parameter(name: str, place: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": place, "required": required, "description": description, "schema": schema}


_KEY: Schema = {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX + 2}
_KEY_MEANS = (
    "A new value (a UUID) for each new request; the same for its retries. See /problems/idempotency_key_missing"
)

PARAMETERS: dict[str, Schema] = {
    "Idempotency-Key": _parameter("Idempotency-Key", "header", _KEY_MEANS, _KEY, required=True),
    "OptionalIdempotencyKey": _parameter("Idempotency-Key", "header", _KEY_MEANS, _KEY),
    "Prefer": _parameter(
        "Prefer", "header", "`wait=N`: up to N seconds for the outcome; `respond-async`: 202 at once", _TEXT
    ),
    "traceparent": _parameter("traceparent", "header", "W3C trace context; the events bear it", _TEXT),
    "Buyer": _parameter(
        "Buyer",
        "header",
        "Whom this is bought for, for limits; from keys of scope trusted",
        {**_TEXT, "maxLength": 128},
    ),
    "Hold-Token": _parameter(
        "Hold-Token", "header", "The token of the hold, where the caller is not its owner; of seats always", _TEXT
    ),
    "If-Match": _parameter("If-Match", "header", 'The version it must have, `"3"`, or `*`: it must exist', _TEXT),
    "If-None-Match": _parameter("If-None-Match", "header", "`*`: it must not exist yet", {"const": "*"}),
    "IfNoneMatchOfMap": _parameter(
        "If-None-Match", "header", "The ETag of the map that you have: 304 while it is still so", _TEXT
    ),
    "Accept-Encoding": _parameter("Accept-Encoding", "header", "`gzip`: 5,000 seats come in 20 KB, not in 350", _TEXT),
    "Min-Version": _parameter("Min-Version", "header", "No older version will do", _NUMBER),
    "webhook-id": _parameter("webhook-id", "header", "The event's id: it counts once", _TEXT, required=True),
    "webhook-timestamp": _parameter(
        "webhook-timestamp",
        "header",
        "When it was sent, in Unix seconds; five minutes off at most",
        _TEXT,
        required=True,
    ),
    "webhook-signature": _parameter("webhook-signature", "header", "`v1,` and Base64, several", _TEXT, required=True),
    "Stripe-Signature": _parameter("Stripe-Signature", "header", "`t=…,v1=…`", _TEXT, required=True),
    "Last-Event-ID": _parameter("Last-Event-ID", "header", "Sent by browsers that come again", _TEXT),
    "ids": _parameter("ids", "query", "Only these, separated by commas", _TEXT),
    "after": _parameter("after", "query", "From behind this id", _TEXT),
    "limit": _parameter("limit", "query", "So many at most", {"type": "integer", "minimum": 1}),
    "wait": _parameter("wait", "query", "Up to so many seconds for the outcome", _NUMBER),
    "client_reference": _parameter(
        "client_reference", "query", "Echoed in answers and events", {**_TEXT, "minLength": 1, "maxLength": 128}
    ),
}
OF_PATHS: dict[str, Schema] = {
    "slot_id": {"type": "string", "pattern": _ID_PATTERN},
    "screening_id": {"type": "string", "pattern": _ID_PATTERN},
    "seat": {"type": "string", "pattern": SEAT_PATTERN.removesuffix(r"(?!\n)")},
    "product_id": {"type": "string", "pattern": _ID_PATTERN},
    "quantity": {"type": "integer", "minimum": 1},
    "hold_id": _TEXT,
    "order_id": _TEXT,
    "request_id": _TEXT,
    "type": {"enum": list(KINDS)},
}

HEADERS: dict[str, Schema] = {
    name: {"description": description, "schema": _TEXT}
    for name, description in {
        "Location": "Where it is",
        "Retry-After": "After how many seconds, or when, to come again",
        "ETag": "The version, as If-Match takes it",
        "Content-Encoding": "`gzip` where Accept-Encoding takes it",
        "Link": 'The next page, `rel="next"`',
        "Idempotent-Replayed": "`true` where an earlier request with this key is answered",
        "Preference-Applied": "What of Prefer was honoured",
        "RateLimit": "How the account stands (IETF draft 10)",
        "RateLimit-Policy": "The account's quotas",
        "WWW-Authenticate": "Bearer, or how webhooks are signed",
    }.items()
}
