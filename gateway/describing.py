"""How a call of the HTTP API is described: what it takes and what it answers, and what calls of one sort have in common.

Which calls there are is in `gateway.calls`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.bodies import Body, HoldBody

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
    is_write: bool = False
    other_bodies: tuple[type[Body], ...] = ()

    @property
    def bodies(self) -> tuple[type[Body] | type[msgspec.Struct], ...]:
        """Return what it takes; where there are several, what the path names decides."""
        return (*(() if self.body is None else (self.body,)), *self.other_bodies)


OF_WRITE = ("Prefer", "traceparent")
WRITTEN = ("Idempotent-Replayed", "Preference-Applied", "RateLimit", "RateLimit-Policy")
QUEUED = Answer(
    "accepted, and not decided within the wait", "Queued", headers=("Location", "Retry-After", *WRITTEN[1:])
)
MALFORMED_BODY = ("malformed_json", "invalid_request", "body_too_large")
OF_EVERY_WRITE = (
    "idempotency_key_malformed",
    "insufficient_scope",
    "idempotency_key_reused",
    "rate_limited",
    "outcome_unknown",
    "not_taken",
    "internal_error",
)
TAKING = ("closed", "not_open_yet", "units_per_hold_exceeded", "sold_out")
HOLD_IS_NOT_THERE = ("not_found", "hold_refused", "hold_not_found")


def place_hold(path: str, tag: str, schema: str, body: type[Body] = HoldBody, *, key_required: bool = True) -> Call:
    """Return the entry of a call that places a hold of some kind."""
    return Call(
        "POST",
        path,
        tag,
        "Hold units for a while",
        {
            200: Answer("as it stands: placed before by this key, whose outcome is forgotten", schema, headers=WRITTEN),
            201: Answer("held", schema, headers=("Location", *WRITTEN)),
            202: QUEUED,
        },
        ("Idempotency-Key" if key_required else "OptionalIdempotencyKey", "Buyer", *OF_WRITE),
        body,
        (
            *(("idempotency_key_missing",) if key_required else ()),
            "malformed_header",
            "not_found",
            *MALFORMED_BODY,
            *OF_EVERY_WRITE,
            *TAKING,
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
            200: Answer("changed", schema, headers=("ETag", *WRITTEN)),
            201: Answer("created", schema, headers=("ETag", "Location", *WRITTEN)),
            202: QUEUED,
        },
        ("If-Match", "If-None-Match", "OptionalIdempotencyKey", *OF_WRITE),
        body,
        ("malformed_header", "version_mismatch", *MALFORMED_BODY, *OF_EVERY_WRITE),
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
