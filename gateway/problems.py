"""Problems as RFC 9457 has them: a closed catalogue, one page each, and what a client can do (`retry`)."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from topics.refusals import CATALOGUE, Retry

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of problem: its last path segment, title, HTTP status, what to do, and whether it is stored for its key."""

    type: str
    title: str
    status: int
    retry: Retry
    is_stored: bool = False


_STATUS_OF_REFUSAL = {
    "forbidden": 403,
    "idempotency_key_reused": 422,
    "not_found": 404,
    "hold_not_found": 404,
    "order_not_found": 404,
    "unknown_pool": 404,
    "version_mismatch": 412,
    "internal_error": 500,
}
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_OF_PATHS = "/%:@!$&'()*+,;="  # RFC 3986, 3.3; letters, digits and -._~ are safe anyway
_CONFLICT = 409
_SERVICE_UNAVAILABLE = 503

MALFORMED_HTTP = Kind("malformed_request", "The request is not HTTP as it should be", 400, Retry.NEVER)
MALFORMED_JSON = Kind("malformed_json", "The body is not JSON", 400, Retry.NEVER)
MALFORMED_HEADER = Kind("malformed_header", "A header field cannot be read", 400, Retry.NEVER)
KEY_MISSING = Kind("idempotency_key_missing", "This call needs an Idempotency-Key", 400, Retry.NEVER)
KEY_MALFORMED = Kind("idempotency_key_malformed", "The Idempotency-Key cannot be read", 400, Retry.NEVER)
INVALID = Kind("invalid_request", "Some fields are not valid", 422, Retry.NEVER)
UNAUTHENTICATED = Kind("unauthenticated", "The bearer key is missing or not known", 401, Retry.SAME_KEY)
BAD_SIGNATURE = Kind("bad_signature", "The webhook is not signed as its provider would", 401, Retry.NEVER)
INSUFFICIENT_SCOPE = Kind("insufficient_scope", "This key may not do that", 403, Retry.NEVER)
WRONG_TOKEN = Kind("wrong_hold_token", "The token is not that of the seat's hold", 403, Retry.NEVER)
UNKNOWN_PATH = Kind("unknown_path", "There is nothing here", 404, Retry.NEVER)
UNKNOWN_REQUEST = Kind("unknown_request", "There is no such request", 404, Retry.NEVER)
METHOD_NOT_ALLOWED = Kind("method_not_allowed", "This resource does not know that method", 405, Retry.NEVER)
BODY_TOO_LARGE = Kind("body_too_large", "The body is too large", 413, Retry.NEVER)
RATE_LIMITED = Kind("rate_limited", "The account's quota of writes is used up", 429, Retry.SAME_KEY)
OUTCOME_UNKNOWN = Kind("outcome_unknown", "The request may or may not have been taken", 503, Retry.SAME_KEY)
NOT_TAKEN = Kind("not_taken", "The request was not taken, this try published nothing", 503, Retry.SAME_KEY)
UNAVAILABLE = Kind("unavailable", "A server behind this one does not answer", 503, Retry.SAME_KEY)
INTERNAL = Kind("internal", "Something went wrong on our side", 500, Retry.SAME_KEY)

_OF_HTTP = (
    MALFORMED_HTTP,
    MALFORMED_JSON,
    MALFORMED_HEADER,
    KEY_MISSING,
    KEY_MALFORMED,
    INVALID,
    UNAUTHENTICATED,
    BAD_SIGNATURE,
    INSUFFICIENT_SCOPE,
    WRONG_TOKEN,
    UNKNOWN_PATH,
    UNKNOWN_REQUEST,
    METHOD_NOT_ALLOWED,
    BODY_TOO_LARGE,
    RATE_LIMITED,
    OUTCOME_UNKNOWN,
    NOT_TAKEN,
    UNAVAILABLE,
    INTERNAL,
)
_OF_REFUSALS = tuple(
    Kind(
        refusal.reason,
        refusal.title,
        _STATUS_OF_REFUSAL.get(refusal.reason, _CONFLICT),
        refusal.retry,
        is_stored=refusal.stored,
    )
    for refusal in CATALOGUE.values()
)

KINDS = {kind.type: kind for kind in (*_OF_HTTP, *_OF_REFUSALS)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad field: what is wrong, and where in the body (RFC 6901)."""

    detail: str
    pointer: str


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, kind: Kind, detail: str, **more: Any) -> None:  # noqa: ANN401 - extension members are JSON
        """`more` are extension members of the problem."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.more = more
        self.headers: dict[str, str] = {}
        self.ends_connection = False


@dataclass(frozen=True, slots=True)
class Problems:
    """Writes problems whose types are absolute addresses of this installation."""

    base_url: str
    retry_after_seconds: int

    def members(self, kind: Kind, detail: str, instance: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the problem object, as answers and polled requests carry it."""
        members: dict[str, Any] = {
            "type": f"{self.base_url}/problems/{kind.type}",
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            "retry": kind.retry.value,
        }
        if instance is not None:
            members["instance"] = instance
        return members | more

    def response(self, error: ProblemError, instance: str) -> web.Response:
        """Return the answer to a request that ended in a problem."""
        members = self.members(error.kind, error.detail, instance, **error.more)
        headers = dict(error.headers)
        if error.kind.status == _SERVICE_UNAVAILABLE:
            headers.setdefault("Retry-After", str(self.retry_after_seconds))
        response = json_response(members, status=error.kind.status, headers=headers, content_type=CONTENT_TYPE)
        if error.ends_connection:
            response.force_close()
        return response


def instance_of(request: web.BaseRequest) -> str:
    """Return the path of a request as a URI reference: as it was sent, with what may not be in one escaped."""
    path = request.rel_url.raw_path.encode("utf-8", "surrogateescape")
    return quote(_NO_ESCAPE.sub(b"%25", path), safe=_OF_PATHS)


def json_response(
    body: Any,  # noqa: ANN401 - whatever msgspec can write
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
) -> web.Response:
    """Return an answer with a JSON body."""
    return web.Response(body=msgspec.json.encode(body), status=status, headers=headers, content_type=content_type)
