"""Derive and read the ids that route themselves: `{prefix}_{kind}~{resource}~{digest}`.

A gateway finds the partition of any id without a look-up, and a hold's id is known as soon as its request's is.
Ids are seen in events and may be guessed: they never authorise anything.
"""

import hashlib
import re
from typing import NamedTuple

# `$` of Python also matches before a final newline, that of JSON Schema does not: (?!\n) makes them agree.
RESOURCE_ID_PATTERN = r"^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$(?!\n)"
_RESOURCE_ID = re.compile(RESOURCE_ID_PATTERN)
_DIGEST = re.compile(r"[a-z2-7]{32}\Z")
_DIGEST_BYTES = 20
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]

REQUEST = "req"
HOLD = "hold"
ORDER = "order"
REFUND = "refund"
_PREFIXES = frozenset((REQUEST, HOLD, ORDER))


class RoutedId(NamedTuple):
    """The parts of an id: what it names, and where that lives."""

    prefix: str
    kind: str
    resource_id: str
    digest: str

    def __str__(self) -> str:
        """Return the id as it travels."""
        return f"{self.prefix}_{self.kind}~{self.resource_id}~{self.digest}"


def is_resource_id(text: str) -> bool:
    """Tell whether `text` may name a resource: `[A-Za-z0-9._-]{1,64}`, not `.` or `..`."""
    return _RESOURCE_ID.match(text) is not None


def request_id(kind: str, resource_id: str, source: str, claim_id: str, fingerprint: bytes) -> str:
    """Return the id of the request that the claim (source, claim_id) makes with this fingerprint."""
    return str(routed_request(kind, resource_id, source, claim_id, fingerprint))


def routed_request(kind: str, resource_id: str, source: str, claim_id: str, fingerprint: bytes) -> RoutedId:
    """Return the same id in its parts.

    160 bits of SHA-256 over length-prefixed fields, base32: two claims never share an id by concatenation.
    """
    digest = _digest(b"firmhold.request.v1", source.encode(), claim_id.encode(), fingerprint)
    return RoutedId(REQUEST, kind, resource_id, digest)


def refund_id(kind: str, resource_id: str, provider: str, payment_id: str) -> str:
    """Return the id of the one `refund.required` that a payment can ever cause."""
    digest = _digest(b"firmhold.refund.v1", provider.encode(), payment_id.encode())
    return str(RoutedId(REFUND, kind, resource_id, digest))


def _digest(*fields: bytes) -> str:
    digest = hashlib.sha256()
    for field in fields:
        digest.update(b"%d:" % len(field))
        digest.update(field)
    return _base32(digest.digest()[:_DIGEST_BYTES])


def _base32(content: bytes) -> str:
    """Write 20 bytes in base32, two characters for ten bits: the standard library's own takes twice as long."""
    pairs, mask = _PAIRS, 0x3FF
    quarters = [int.from_bytes(content[begin : begin + 5], "big") for begin in (0, 5, 10, 15)]
    return "".join(
        [f"{pairs[q >> 30]}{pairs[q >> 20 & mask]}{pairs[q >> 10 & mask]}{pairs[q & mask]}" for q in quarters]
    )


def hold_id_of(request_id: str) -> str:
    """Return the id of the hold that the request `request_id` places, if it is granted."""
    return f"{HOLD}_{request_id.removeprefix(f'{REQUEST}_')}"


def request_id_of(hold_id: str) -> str:
    """Return the id of the request that placed, or would have placed, the hold `hold_id`."""
    return f"{REQUEST}_{hold_id.removeprefix(f'{HOLD}_')}"


def order_id_of(request_id: str) -> str:
    """Return the id of the order that the request `request_id` places, if it is granted."""
    return f"{ORDER}_{request_id.removeprefix(f'{REQUEST}_')}"


def parse(text: str, prefix: str) -> RoutedId | None:
    """Read an id of the given prefix; None if it is not one."""
    head, separator, rest = text.partition("_")
    parts = rest.split("~")
    if head != prefix or head not in _PREFIXES or not separator or len(parts) != len(RoutedId._fields) - 1:
        return None
    kind, resource_id, digest = parts
    if not kind.isascii() or not kind.isalpha() or not is_resource_id(resource_id) or not _DIGEST.match(digest):
        return None
    return RoutedId(head, kind, resource_id, digest)
