"""Every call of the HTTP API, an entry each: what it takes and what it answers. openapi.json and /docs are made from it.

A test compares it with the router and with what the integration tests are really answered. A kind that joins adds its
entries here (`place_hold`, `define_resource` say what those calls have in common), and its hold to `gateway.schemas.HOLDS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from gateway.bodies import (
    Body,
    ChangeBody,
    ExtendBody,
    HoldBody,
    OrderBody,
    ProductBody,
    ProductHoldBody,
    RequestBody,
    SlotBody,
)
from gateway.payment_bodies import PaymentBody

JSON = "application/json"
HTML = "text/html"
TEXT = "text/plain"
EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: what it means, its content type, the name of its schema (`[]` behind it: a list), its header fields."""

    meaning: str
    schema: str = ""
    content_type: str = JSON
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one path. `parameters` are names of `gateway.schemas.PARAMETERS`, `problems` types of the catalogue."""

    method: str
    path: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[str, ...] = ()
    body: type[Body] | type[msgspec.Struct] | None = None
    problems: tuple[str, ...] = ()
    is_public: bool = False
    is_write: bool = field(default=False)


_OF_WRITE = ("Prefer", "traceparent")
_WRITTEN = ("Idempotent-Replayed", "Preference-Applied", "RateLimit", "RateLimit-Policy")
_QUEUED = Answer(
    "accepted, and not decided within the wait", "Queued", headers=("Location", "Retry-After", *_WRITTEN[1:])
)
_MALFORMED_BODY = ("malformed_json", "invalid_request", "body_too_large")
_OF_EVERY_WRITE = (
    "idempotency_key_malformed",
    "insufficient_scope",
    "idempotency_key_reused",
    "rate_limited",
    "outcome_unknown",
    "not_taken",
    "internal_error",
)
_TAKING = ("closed", "not_open_yet", "units_per_hold_exceeded", "sold_out")
_HOLD_IS_NOT_THERE = ("not_found", "hold_refused", "hold_not_found")


def place_hold(path: str, tag: str, schema: str, body: type[Body] = HoldBody, *, key_required: bool = True) -> Call:
    """Return the entry of a call that places a hold of some kind."""
    return Call(
        "POST",
        path,
        tag,
        "Hold units for a while",
        {
            200: Answer(
                "as it stands: placed before by this key, whose outcome is forgotten", schema, headers=_WRITTEN
            ),
            201: Answer("held", schema, headers=("Location", *_WRITTEN)),
            202: _QUEUED,
        },
        ("Idempotency-Key" if key_required else "OptionalIdempotencyKey", "Buyer", *_OF_WRITE),
        body,
        (
            *(("idempotency_key_missing",) if key_required else ()),
            "malformed_header",
            "not_found",
            *_MALFORMED_BODY,
            *_OF_EVERY_WRITE,
            *_TAKING,
            "holds_per_buyer_exceeded",
        ),
        is_write=True,
    )


def define_resource(path: str, tag: str, schema: str, body: type[Body]) -> Call:
    """Return the entry of a call that defines a resource of some kind."""
    return Call(
        "PUT",
        path,
        tag,
        "Define: create it, or replace its settings; what is left out returns to its default",
        {
            200: Answer("changed", schema, headers=("ETag", *_WRITTEN)),
            201: Answer("created", schema, headers=("ETag", "Location", *_WRITTEN)),
            202: _QUEUED,
        },
        ("If-Match", "If-None-Match", "OptionalIdempotencyKey", *_OF_WRITE),
        body,
        ("malformed_header", "version_mismatch", *_MALFORMED_BODY, *_OF_EVERY_WRITE),
        is_write=True,
    )


def read_resource(path: str, tag: str, schema: str) -> Call:
    """Return the entry of a call that shows a resource of some kind."""
    return Call(
        "GET",
        path,
        tag,
        "Show one as it stands, with its settings",
        {200: Answer("as it stands", schema, headers=("ETag",))},
        ("Min-Version",),
        problems=("malformed_header", "not_found", "unavailable"),
    )


def list_available(path: str, tag: str, schema: str) -> Call:
    """Return the entry of a call that shows what is free, of some kind."""
    return Call(
        "GET",
        path,
        tag,
        "Show what is free, of those that are named or of all, page by page",
        {200: Answer("what is free", f"{schema}[]", headers=("Link",))},
        ("ids", "after", "limit", "Min-Version"),
        problems=("malformed_header", "invalid_request", "unavailable"),
    )


SLOTS = (
    list_available("/slots/availability", "Slots", "SlotAvailability"),
    read_resource("/slots/{slot_id}", "Slots", "Slot"),
    define_resource("/slots/{slot_id}", "Slots", "Slot", SlotBody),
    place_hold("/slots/{slot_id}/hold", "Slots", "SlotHold"),
)


def _of_hold(method: str, way: str, summary: str, done: str, *problems: str, body: type[Body] | None = None) -> Call:
    return Call(
        method,
        f"/holds/{{hold_id}}{way}",
        "Holds",
        summary,
        {200: Answer(done, "AnyHold", headers=_WRITTEN), 202: _QUEUED},
        ("Hold-Token", "OptionalIdempotencyKey", *_OF_WRITE),
        body,
        (*_HOLD_IS_NOT_THERE, *_OF_EVERY_WRITE, *problems, *(() if body is None else _MALFORMED_BODY)),
        is_write=True,
    )


_OVER = ("hold_used", "hold_cancelled", "hold_expired")
_CANCEL = _of_hold(
    "DELETE", "", "Give a hold back, held or confirmed", "cancelled, or over already", "hold_used", "invalid_request"
)

HOLDS = (
    Call(
        "GET",
        "/holds/{hold_id}",
        "Holds",
        "Show a hold as it stands, to its owner or with its token",
        {200: Answer("as it stands", "AnyHold")},
        ("Hold-Token",),
        problems=("hold_not_found", "unavailable"),
    ),
    _of_hold("POST", "/confirm", "Make a hold firm", "confirmed", "needs_order", *_OVER, "sold_out", body=RequestBody),
    _of_hold(
        "POST",
        "/extend",
        "Let a hold live longer, within its longest life; it is never shortened",
        "with the true expires_at",
        *_OVER,
        "hold_confirmed",
        body=ExtendBody,
    ),
    _of_hold(
        "PATCH",
        "",
        "Change what a hold claims, in place, all or nothing",
        "changed, or so already",
        *_OVER,
        "hold_confirmed",
        *_TAKING,
        body=ChangeBody,
    ),
    replace(_CANCEL, parameters=(*_CANCEL.parameters, "client_reference")),
)

PRODUCTS = (
    list_available("/api/products", "Products", "ProductAvailability"),
    Call(
        "GET",
        "/api/products/{product_id}",
        "Products",
        "Show one as the list has it",
        {200: Answer("what is left of it", "ProductAvailability", headers=("ETag",))},
        ("Min-Version",),
        problems=("malformed_header", "not_found", "unavailable"),
    ),
    define_resource("/api/products/{product_id}", "Products", "Product", ProductBody),
    place_hold("/api/holds", "Products", "ProductHoldPlaced", ProductHoldBody, key_required=False),
    place_hold("/api/holds/{product_id}/{quantity}", "Products", "ProductHoldMessage", RequestBody, key_required=False),
)


def _place_order(path: str, schema: str, body: type[Body]) -> Call:
    return Call(
        "POST",
        path,
        "Orders",
        "Place an order on a hold: the hold is used up, the units wait for the payment",
        {
            200: Answer("as it stands: placed before by this key", schema, headers=_WRITTEN),
            201: Answer("placed", schema, headers=("Location", *_WRITTEN)),
            202: _QUEUED,
        },
        ("Hold-Token", "OptionalIdempotencyKey", *_OF_WRITE),
        body,
        (*_HOLD_IS_NOT_THERE, "hold_confirmed", *_OVER, "sold_out", *_MALFORMED_BODY, *_OF_EVERY_WRITE),
        is_write=True,
    )


ORDERS = (
    _place_order("/api/orders", "OrderPlaced", OrderBody),
    _place_order("/api/orders/{hold_id}/{product_id}", "OrderMessage", RequestBody),
    Call(
        "GET",
        "/api/orders/{order_id}",
        "Orders",
        "Show an order with its payments",
        {200: Answer("as it stands", "OrderWithPayments")},
        problems=("order_not_found", "unavailable"),
    ),
    Call(
        "DELETE",
        "/api/orders/{order_id}",
        "Orders",
        "Call an order off: its units return, money that was paid is to be refunded",
        {200: Answer("called off, or over already", "Order", headers=_WRITTEN), 202: _QUEUED},
        ("Hold-Token", "OptionalIdempotencyKey", "client_reference", *_OF_WRITE),
        problems=("not_found", "order_not_found", "invalid_request", *_OF_EVERY_WRITE),
        is_write=True,
    ),
)


def _webhook(path: str, summary: str, *signature: str, body: type[msgspec.Struct] | None = None) -> Call:
    return Call(
        "POST",
        path,
        "Payments",
        summary,
        {200: Answer("the log has it, or it was put aside: do not send it again", "Taken")},
        (*signature, "traceparent"),
        body,
        ("bad_signature", "outcome_unknown", "not_taken"),
        is_public=True,
    )


PAYMENTS = (
    _webhook(
        "/api/payments/webhook",
        "Tell what became of a payment, signed by Standard Webhooks",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        body=PaymentBody,
    ),
    _webhook("/api/payments/webhook/stripe", "Tell an event of Stripe's, signed by Stripe", "Stripe-Signature"),
)

REQUESTS = (
    Call(
        "GET",
        "/requests/{request_id}",
        "Requests",
        "Show a request: queued, or its outcome; a refusal is 200 too, with the problem as `error`",
        {200: Answer("queued, succeeded or refused", "Request", headers=("Retry-After",))},
        ("wait",),
        problems=("invalid_request", "unknown_request", "unavailable"),
    ),
    Call(
        "GET",
        "/requests/{request_id}/events",
        "Requests",
        "Follow a request as Server-Sent Events: `queued` with each change of `ahead`, then the outcome, then the end",
        {200: Answer("the events", content_type=EVENTS), 204: Answer("there is nothing more", content_type="")},
        ("Last-Event-ID",),
        problems=("unknown_request", "unavailable"),
    ),
)


def _page(path: str, summary: str, *problems: str, schema: str = "", content_type: str = HTML) -> Call:
    answers = {200: Answer(summary, schema, content_type)}
    return Call("GET", path, "Operating", summary, answers, problems=problems, is_public=True)


_READY = Call(
    "GET",
    "/readyz",
    "Operating",
    "Say whether commands can be taken",
    {200: Answer("ready", "Readiness"), 503: Answer("not ready", "Readiness")},
    is_public=True,
)

OPERATING = (
    _page("/healthz", "Say that the process answers", schema="Health", content_type=JSON),
    _READY,
    _page("/version", "Say which version this is", schema="Version", content_type=JSON),
    _page("/metrics", "The metrics, as Prometheus reads them", content_type=TEXT),
    _page("/", "What this is, for people"),
    _page("/problems", "Every type of problem"),
    _page("/problems/{type}", "What a type of problem means, and what to do", "unknown_path"),
    _page("/docs", "This API, readable"),
    _page("/openapi.json", "This API, as OpenAPI 3.1", schema="Document", content_type=JSON),
)

CALLS = (*SLOTS, *PRODUCTS, *HOLDS, *ORDERS, *PAYMENTS, *REQUESTS, *OPERATING)
