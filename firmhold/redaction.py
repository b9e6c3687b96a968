"""Keep secrets out of what is logged: those that the settings know, wherever they turn up, and passwords in any URL.

Nothing of ours logs a secret. This is for the texts of others: a client's error that repeats its URL, a traceback.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from firmhold.settings import Settings

SHOWN_INSTEAD = "…"
SECRET_CHARACTERS_MIN = 6  # a shorter one is no secret, and would be taken out of every other word
_CREDENTIALS = re.compile(r"(?<=://)[^/\s\"']*@")
_FIELDS_OF_A_KEY = 3  # `account:key:scope` and `key id:secret:scope:prefix`: the second is secret


def without_credentials(text: str) -> str:
    """Return a text in which no URL has a user or a password."""
    return _CREDENTIALS.sub(f"{SHOWN_INSTEAD}@", text)


class Redaction:
    """Takes the secrets of an installation out of texts."""

    def __init__(self, settings: Settings) -> None:
        """Know every setting that is a secret, by its type: a new one needs nothing here."""
        secrets = {spelling for secret in _secrets(settings) for spelling in _spellings(secret)}
        longest_first = sorted((re.escape(secret) for secret in secrets), key=len, reverse=True)
        self._secrets = re.compile("|".join(longest_first)) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        if self._secrets is not None:
            text = self._secrets.sub(SHOWN_INSTEAD, text)
        return without_credentials(text)


def _secrets(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield from (one for one in _parts(value.get_secret_value()) if len(one) >= SECRET_CHARACTERS_MIN)


def _parts(value: str) -> Iterable[str]:
    """Return what of a setting's value is secret: a URL's password, else all of it, its entries, and their keys."""
    if "://" in value:
        return [urlsplit(value).password or ""]
    entries = re.split(r"[,\s]+", value)
    keys = [fields[1] for entry in entries if len(fields := entry.split(":")) >= _FIELDS_OF_A_KEY]
    return [value, *entries, *keys]


def _spellings(secret: str) -> Iterable[str]:
    """Return a secret as it is, as it stands in a JSON string or a repr, and as it stands in a URL or read from one."""
    spellings = {secret, unquote(secret), quote(unquote(secret), safe="")}
    return spellings | {json.dumps(one)[1:-1] for one in spellings} | {repr(one)[1:-1] for one in spellings}
