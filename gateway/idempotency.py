"""Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header): a Structured Field String, or a bare token leniently."""

import re
import uuid
from collections.abc import Sequence

import http_sf

from gateway.problems import KEY_MALFORMED, KEY_MISSING, ProblemError

KEY_CHARACTERS_MAX = 255
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+\Z")
_QUOTED = re.compile(r'"[A-Za-z0-9._~-]+"\Z')
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def key_of(lines: Sequence[str], *, required: bool, uuid_only: bool) -> str:
    """Return the key of a request's header lines; a random one if none was sent and none is required.

    Raises a problem if it is missing or malformed. `"k"` and `k` are one key.
    """
    if not lines:
        if required:
            raise ProblemError(KEY_MISSING, "send Idempotency-Key, a new value (a UUID) for each new request")
        return f"unkeyed-{uuid.uuid4()}"
    if len(lines) > 1:
        raise ProblemError(KEY_MALFORMED, "Idempotency-Key was sent more than once")
    key = _parse(lines[0].strip())
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise ProblemError(KEY_MALFORMED, f"an Idempotency-Key has 1 to {KEY_CHARACTERS_MAX} characters")
    if uuid_only and not _UUID.match(key):
        raise ProblemError(KEY_MALFORMED, "here an Idempotency-Key must be a UUID")
    return key


def _parse(text: str) -> str:
    if _UNRESERVED.match(text):
        return text
    if _QUOTED.match(text):  # nearly all: the parser would take 20 µs to say the same
        return text[1:-1]
    try:
        item = http_sf.parse(text.encode("utf-8", "surrogateescape"), tltype="item")
    except (http_sf.StructuredFieldError, ValueError) as fault:
        raise ProblemError(
            KEY_MALFORMED, "an Idempotency-Key is a quoted string of visible ASCII characters"
        ) from fault
    value = item[0] if isinstance(item, tuple) else None
    if type(value) is not str:
        raise ProblemError(KEY_MALFORMED, "an Idempotency-Key is a quoted string of visible ASCII characters")
    return value
