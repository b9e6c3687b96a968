"""Settings that are lists: entries separated by commas, and the signing keys that some of them are."""

import base64
import binascii

from topics.signatures import OUR_PREFIXES, Scope, SigningKey

SIGNING_KEYS = "FIRMHOLD_SIGNING_KEYS"
SIGNING_SECRET_BYTES_MIN = 16


class SettingError(ValueError):
    """A setting that cannot be right; the message names the variable and says what to set, and shows no secret."""


def numbered_entries(variable: str, text: str) -> list[tuple[int, str]]:
    """Split a list at its commas and number the entries from 1; one that is set and has no entry is an error."""
    entries = [(number, entry.strip()) for number, entry in enumerate(text.split(","), start=1) if entry.strip()]
    if text and not entries:
        raise SettingError(f"{variable} is set and has no entry: list the keys, or unset it")
    return entries


def signing_key(number: int, entry: str) -> SigningKey:
    """Read `key id:base64 secret:scope+scope:source prefix`; a fault names the entry's number, never its text."""
    try:
        key_id, secret, scopes, source_prefix = entry.split(":", maxsplit=3)
        decoded = base64.b64decode(secret, validate=True)
        key = SigningKey(key_id, decoded, frozenset(Scope(scope) for scope in scopes.split("+")), source_prefix)
    except (ValueError, binascii.Error):
        known = ", ".join(scope.value for scope in Scope)
        raise SettingError(
            f"{SIGNING_KEYS}: entry {number} must read "
            f"`key id:base64 secret:scope+scope:source prefix`, with scopes of {known}"
        ) from None
    if len(decoded) < SIGNING_SECRET_BYTES_MIN:
        raise SettingError(
            f"{SIGNING_KEYS}: the secret of entry {number} has fewer than {SIGNING_SECRET_BYTES_MIN} bytes: "
            f"make one with `openssl rand -base64 32`"
        )
    if any(ours.startswith(source_prefix) or source_prefix.startswith(ours) for ours in OUR_PREFIXES):
        raise SettingError(
            f"{SIGNING_KEYS}: entry {number} needs a source prefix of its own: "
            f"not empty, and not of {' or '.join(OUR_PREFIXES)}, which are ours"
        )
    return key
