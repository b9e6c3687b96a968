"""How often an account may write. Pure: what is said of it over HTTP is in `gateway.limiting`.

Each gateway counts for itself, in windows that begin with an account's first write: with n gateways an account has up to
n times its quota. A write needs no other server for it. Reads are not counted; without a policy nothing is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import http_sf

from firmhold.settings import SettingError

_SETTING = "FIRMHOLD_RATE_LIMITS"
_LARGEST = 10**9


@dataclass(frozen=True, slots=True)
class Policy:
    """So many writes of one account within so many seconds."""

    name: str
    quota: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account has left under a policy, and for how many seconds until it has all of it again."""

    policy: Policy
    remaining: int
    reset_seconds: int


@dataclass(slots=True)
class _Window:
    ends_at: float
    used: int


class RateLimits:
    """Counts the writes of each account. Pure: it is given the time (seconds of a monotonic clock)."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        """Limit every account by these policies at once; none: nobody is limited."""
        self.policies = tuple(policies)
        self._windows: dict[tuple[str, str], _Window] = {}

    def take(self, account: str, now: float) -> tuple[bool, list[Standing]]:
        """Count a write, unless a policy has nothing left for it; tell whether it may go on, and how the account stands."""
        windows = [(policy, self._window(account, policy, now)) for policy in self.policies]
        may = all(window.used < policy.quota for policy, window in windows)
        for _, window in windows:
            window.used += may
        return may, [
            Standing(policy, policy.quota - window.used, math.ceil(window.ends_at - now)) for policy, window in windows
        ]

    def _window(self, account: str, policy: Policy, now: float) -> _Window:
        window = self._windows.get((account, policy.name))
        if window is None or now >= window.ends_at:
            window = self._windows[(account, policy.name)] = _Window(now + policy.window_seconds, 0)
        return window


def policies_of(text: str) -> list[Policy]:
    """Read `"burst";q=100;w=60, "day";q=10000;w=86400`: the list that RateLimit-Policy shows. Raises SettingError."""
    if not text.strip():
        return []
    try:
        items: Any = http_sf.parse(text.encode(), tltype="list")
    except (http_sf.StructuredFieldError, ValueError) as fault:
        raise SettingError(_said("cannot be read")) from fault
    policies = [_policy(item) for item in items]
    if len({policy.name for policy in policies}) < len(policies):
        raise SettingError(_said("has two policies of one name"))
    return policies


def _policy(item: object) -> Policy:
    match item:
        case (str(name), {"q": int(quota), "w": int(window), **rest}) if not rest:
            if name and 1 <= quota <= _LARGEST and 1 <= window <= _LARGEST:
                return Policy(name, quota, window)
    raise SettingError(_said("has a policy without a name in quotes, a quota q or a window w of whole seconds"))


def _said(what: str) -> str:
    return f'{_SETTING} {what}: write for example "burst";q=100;w=60 (100 writes a minute), several separated by commas'
