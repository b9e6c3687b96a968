"""The secrets that payment providers sign with; in local mode one of each kind is made and shown if none is set."""

import base64
import binascii
import secrets
from dataclasses import dataclass

from firmhold.settings import SIGNING_SECRET_BYTES_MIN, SettingError, Settings

_STANDARD = "FIRMHOLD_WEBHOOK_SECRET"
_STRIPE = "FIRMHOLD_STRIPE_SECRET"
_PREFIX = "whsec_"
_MADE_BYTES = 24


@dataclass(frozen=True, slots=True, repr=False)
class WebhookSecrets:
    """Whose signatures are believed; several of a kind while one is replaced by the next."""

    standard: tuple[bytes, ...]
    stripe: tuple[bytes, ...]


def webhook_secrets(settings: Settings) -> WebhookSecrets:
    """Return the secrets that are set, and in local mode those that are made and shown; raises SettingError."""
    standard, stripe = settings.webhook_secret.get_secret_value(), settings.stripe_secret.get_secret_value()
    if not settings.api_keys.get_secret_value():
        standard, stripe = standard or _made(_STANDARD), stripe or _made(_STRIPE)
    return read_secrets(standard, stripe)


def read_secrets(standard: str, stripe: str) -> WebhookSecrets:
    """Read secrets of Standard Webhooks (base64 behind `whsec_`) and of Stripe (as they are); raises SettingError."""
    return WebhookSecrets(
        tuple(_decoded(number, entry) for number, entry in enumerate(standard.split(), start=1)),
        tuple(entry.encode() for entry in stripe.split()),
    )


def _made(variable: str) -> str:
    secret = f"{_PREFIX}{base64.b64encode(secrets.token_bytes(_MADE_BYTES)).decode('ascii')}"
    print(f"no {variable} is set; for this run it is {secret}", flush=True)  # noqa: T201 - shown once, never logged
    return secret


def _decoded(number: int, entry: str) -> bytes:
    """Read one secret; a fault names its number, never its text. Padding may be missing, as some providers leave it out."""
    text = entry.removeprefix(_PREFIX)
    try:
        secret = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if not entry.startswith(_PREFIX) or len(secret) < SIGNING_SECRET_BYTES_MIN:
        raise SettingError(
            f"{_STANDARD}: entry {number} must read `{_PREFIX}` and the base64 of at least {SIGNING_SECRET_BYTES_MIN} bytes; "
            "separate several by spaces"
        )
    return secret
