"""Every call of the HTTP API, an entry each: what it takes and what it answers. openapi.json and /docs are made from it.

A test compares it with the router and with what the integration tests are really answered. A kind that joins adds its
entries here (`gateway.describing` says what calls of one sort have in common), and its hold to `gateway.schemas.HOLDS`.
"""

from dataclasses import replace

import msgspec

from gateway.bodies import (
    Body,
    ExtendBody,
    OrderBody,
    ProductBody,
    ProductHoldBody,
    QuantityBody,
    RequestBody,
    SlotBody,
)
from gateway.describing import (
    EVENTS,
    HOLD_IS_NOT_THERE,
    HTML,
    JSON,
    MALFORMED_BODY,
    OF_EVERY_WRITE,
    OF_WRITE,
    QUEUED,
    TAKING,
    TEXT,
    WRITTEN,
    Answer,
    Call,
    define_resource,
    list_available,
    place_hold,
    read_resource,
)
from gateway.payment_bodies import PaymentBody
from gateway.seat_bodies import ScreeningBody, SeatsChangeBody, SeatsHoldBody

SLOTS = (
    list_available("/slots/availability", "Slots", "SlotAvailability"),
    read_resource("/slots/{slot_id}", "Slots", "Slot"),
    define_resource("/slots/{slot_id}", "Slots", "Slot", SlotBody),
    place_hold("/slots/{slot_id}/hold", "Slots", "SlotHold"),
)


_OF_SEAT = "/screenings/{screening_id}/seats/{seat}/hold"


def _hold_of_seats(path: str, body: type[Body], *, key_required: bool) -> Call:
    placing = place_hold(path, "Screenings", "ScreeningHold", body, key_required=key_required)
    return replace(placing, problems=(*placing.problems, "unknown_pool"))


SCREENINGS = (
    list_available("/screenings", "Screenings", "ScreeningAvailability"),
    read_resource("/screenings/{screening_id}", "Screenings", "Screening"),
    define_resource("/screenings/{screening_id}", "Screenings", "Screening", ScreeningBody),
    Call(
        "GET",
        "/screenings/{screening_id}/seats",
        "Screenings",
        "Show the map: each seat with its row, number, kind and status, and what is left of each area",
        {
            200: Answer("the map", "MapShown", headers=("ETag", "Content-Encoding")),
            304: Answer("the map that you have is still so", content_type="", headers=("ETag",)),
        },
        ("IfNoneMatchOfMap", "Accept-Encoding", "Min-Version"),
        problems=("malformed_header", "not_found", "unavailable"),
    ),
    _hold_of_seats("/screenings/{screening_id}/holds", SeatsHoldBody, key_required=True),
    _hold_of_seats(_OF_SEAT, RequestBody, key_required=False),
    Call(
        "GET",
        _OF_SEAT,
        "Screenings",
        "Tell whether somebody holds a seat, and until when; never who. One that is sold, or not there, is held by nobody",
        {200: Answer("held or not", "SeatHeld")},
        ("Min-Version",),
        problems=("malformed_header", "not_found", "unknown_pool", "unavailable"),
    ),
    Call(
        "DELETE",
        _OF_SEAT,
        "Screenings",
        "Give one seat of a hold back; the last one ends the hold. Whoever shows no token is told nothing",
        {200: Answer("the hold without it, or ended", "ScreeningHold", headers=WRITTEN), 202: QUEUED},
        ("Hold-Token", "OptionalIdempotencyKey", "client_reference", *OF_WRITE),
        problems=(
            "wrong_hold_token",
            *HOLD_IS_NOT_THERE,
            "hold_used",
            "invalid_request",
            "unavailable",
            *OF_EVERY_WRITE,
        ),
        is_write=True,
    ),
)


def _of_hold(
    method: str,
    way: str,
    summary: str,
    done: str,
    *problems: str,
    body: type[Body] | None = None,
    other_bodies: tuple[type[Body], ...] = (),
) -> Call:
    return Call(
        method,
        f"/holds/{{hold_id}}{way}",
        "Holds",
        summary,
        {200: Answer(done, "AnyHold", headers=WRITTEN), 202: QUEUED},
        ("Hold-Token", "OptionalIdempotencyKey", *OF_WRITE),
        body,
        (*HOLD_IS_NOT_THERE, *OF_EVERY_WRITE, *problems, *(() if body is None else MALFORMED_BODY)),
        is_write=True,
        other_bodies=other_bodies,
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
        "Show a hold as it stands, to its owner or with its token; of seats only with the token",
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
        *TAKING,
        "unknown_pool",
        body=QuantityBody,
        other_bodies=(SeatsChangeBody,),
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
            200: Answer("as it stands: placed before by this key", schema, headers=WRITTEN),
            201: Answer("placed", schema, headers=("Location", *WRITTEN)),
            202: QUEUED,
        },
        ("Hold-Token", "OptionalIdempotencyKey", *OF_WRITE),
        body,
        (*HOLD_IS_NOT_THERE, "hold_confirmed", *_OVER, "sold_out", *MALFORMED_BODY, *OF_EVERY_WRITE),
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
        {200: Answer("called off, or over already", "Order", headers=WRITTEN), 202: QUEUED},
        ("Hold-Token", "OptionalIdempotencyKey", "client_reference", *OF_WRITE),
        problems=("not_found", "order_not_found", "invalid_request", *OF_EVERY_WRITE),
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


BROADCASTS = (
    Call(
        "GET",
        "/screenings/{screening_id}/events",
        "Screenings",
        "Follow the seats as Server-Sent Events: a `snapshot` of all, then `seat.held`, `seat.taken` and `seat.released`, one "
        "for each seat, in the order of their versions; another `snapshot` where what was missed is not kept any more",
        {200: Answer("the events", content_type=EVENTS)},
        ("Last-Event-ID",),
        problems=("not_found", "unavailable"),
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

CALLS = (*SLOTS, *SCREENINGS, *BROADCASTS, *PRODUCTS, *HOLDS, *ORDERS, *PAYMENTS, *REQUESTS, *OPERATING)
