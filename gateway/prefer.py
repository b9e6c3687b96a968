"""Prefer (RFC 7240): how long a client wants to wait for the outcome of a write."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_PREFERENCE = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
        (?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[!#$%&'*+.^_`|~0-9A-Za-z-]*)))?
        (?:\s*;[^,"]*(?:"(?:[^"\\]|\\.)*"[^,"]*)*)?\s*(?:,|$)""",
    re.VERBOSE,
)
_TEXTS_MAX = 256
_RESPOND_ASYNC = "respond-async"
_DIGITS = re.compile(r"[0-9]{1,9}\Z")


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait, in seconds, and what was honoured, for Preference-Applied ("" if nothing was asked)."""

    seconds: float
    applied: str

    def not_waited(self) -> "Wait":
        """Return what to say of a caller who could not be let wait: no `wait` was honoured."""
        return Wait(0.0, _RESPOND_ASYNC if self.applied.startswith(_RESPOND_ASYNC) else "")


def wait_of(lines: Sequence[str], *, default_seconds: float, max_seconds: float) -> Wait:
    """Read the Prefer lines of a request. The first instance of a preference counts; what is not understood is ignored."""
    return _wait_of(",".join(lines), default_seconds, max_seconds)


@lru_cache(_TEXTS_MAX)  # a client sends the same again and again
def _wait_of(text: str, default_seconds: float, max_seconds: float) -> Wait:
    preferences: dict[str, str] = {}
    for name, value in _preferences(text):
        preferences.setdefault(name, value)
    applied = []
    seconds = default_seconds
    if _RESPOND_ASYNC in preferences:
        applied.append(_RESPOND_ASYNC)
        seconds = 0.0
    if _DIGITS.match(preferences.get("wait", "")):
        seconds = min(float(preferences["wait"]), max_seconds)
        applied.append(f"wait={seconds:.0f}")
    return Wait(seconds, ", ".join(applied))


def _preferences(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each preference; one that is malformed is passed over up to the next comma."""
    place = 0
    while place < len(text):
        match = _PREFERENCE.match(text, place)
        if match is None:
            comma = text.find(",", place)
            place = len(text) if comma < 0 else comma + 1
            continue
        yield match["name"].lower(), match["quoted"] or match["token"] or ""
        place = match.end()
