"""Sign webhooks, and check their signatures, as Standard Webhooks 1.0.0 has it (symmetric, `v1`). Pure: it is given the time.

The package `standardwebhooks` asks the clock itself, wants the body as text, and raises on some malformed headers.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.replay_window import fault_of_time

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
_VERSION = "v1"
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,255}\Z")


def sign(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message as its header carries it."""
    digest = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"{_VERSION},{base64.b64encode(digest).decode('ascii')}"


def fault_of_signature(headers: Mapping[str, str], body: bytes, secrets: Iterable[bytes], now: float) -> str | None:
    """Say why a webhook is not to be believed, None if one of the secrets signed these very bytes within the window.

    Header names are looked up in lower case. Several signatures may be given: one that matches is enough, those of other
    versions and malformed ones match nothing.
    """
    message_id, timestamp, given = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not _MESSAGE_ID.match(message_id):
        return f"{ID} must have 1 to 255 visible ASCII characters"
    fault = fault_of_time(timestamp, now)
    if fault is not None:
        return fault
    signatures = [entry.encode("utf-8", "replace") for entry in given.split(" ")]
    for secret in secrets:
        expected = sign(secret, message_id, timestamp, body).encode()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return None
    return f"no signature of {SIGNATURE} is one of these bytes with a secret known here"
