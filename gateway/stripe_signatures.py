"""Check, and make, Stripe's signatures of webhooks (docs.stripe.com/webhooks#verify-manually). Pure: it is given the time.

The package `stripe` asks the clock itself, refuses nothing from the future, and lets a tolerance of 0 switch the check off.
"""

import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.replay_window import fault_of_time

SIGNATURE: Final = "Stripe-Signature"
_SCHEME = "v1"


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the header's value for a body, signed with the secret as it is written."""
    return f"t={timestamp},{_SCHEME}={_digest(secret, timestamp, body)}"


def fault_of_signature(headers: Mapping[str, str], body: bytes, secrets: Iterable[bytes], now: float) -> str | None:
    """Say why a webhook is not to be believed, None if one of the secrets signed these very bytes within the window."""
    entries = [entry.strip().partition("=") for entry in headers.get(SIGNATURE, "").split(",")]
    timestamps = [text for name, _, text in entries if name == "t"]
    signatures = [text.encode("utf-8", "replace") for name, _, text in entries if name == _SCHEME]
    if len(timestamps) != 1 or not signatures:
        return f"{SIGNATURE} must have one t= and at least one {_SCHEME}="
    (timestamp,) = timestamps
    fault = fault_of_time(timestamp, now)
    if fault is not None:
        return fault
    for secret in secrets:
        expected = _digest(secret, timestamp, body).encode()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return None
    return f"no {_SCHEME} of {SIGNATURE} is one of these bytes with a secret known here"


def _digest(secret: bytes, timestamp: str, body: bytes) -> str:
    return hmac.digest(secret, timestamp.encode() + b"." + body, "sha256").hex()
