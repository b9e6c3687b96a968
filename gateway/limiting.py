"""Hold accounts to their quotas of writes: RateLimit and RateLimit-Policy (IETF draft-ietf-httpapi-ratelimit-headers-10).

In local mode everybody is unlimited, and so is the admin key, which defines resources by the thousand. Payment providers
are no accounts: what they say is taken, whatever Authorization they send.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import http_sf
from aiohttp import web

from gateway.callers import ADMIN_ACCOUNT, ANONYMOUS
from gateway.context import CONTEXT
from gateway.problems import RATE_LIMITED, ProblemError, instance_of
from gateway.rate_limits import Standing
from gateway.webhooks import STANDARD_PATH

_READS = frozenset(("GET", "HEAD", "OPTIONS"))
_UNLIMITED = frozenset((ANONYMOUS, ADMIN_ACCOUNT))
_SERVICE_UNAVAILABLE = 503


class Quota(NamedTuple):
    """How an account stands with its write counted, and whether that one may be done."""

    may: bool
    standings: Sequence[Standing]

    def refusal(self, request: web.Request) -> web.Response:
        """Return the answer to a write beyond the quota."""
        return _refused(request, self.standings)

    def tell(self, response: web.StreamResponse) -> None:
        """Add to an answer how the account stands."""
        _tell(response, self.standings)


def quota_of(request: web.Request) -> Quota | None:
    """Count a write of an account that has a quota; None for every other request."""
    if request.method in _READS:
        return None
    limits = request.app[CONTEXT].rate_limits
    account = _limited_account(request) if limits.policies else None
    return None if account is None else Quota(*limits.take(account, time.monotonic()))


def _limited_account(request: web.Request) -> str | None:
    """Return who writes; None for those without limits, and for nobody: the handler says what is wrong with the key."""
    if request.path.startswith(STANDARD_PATH):
        return None
    try:
        account = request.app[CONTEXT].caller(request).account
    except ProblemError:
        return None
    return None if account in _UNLIMITED else account


def _refused(request: web.Request, standings: Sequence[Standing]) -> web.Response:
    violated = [standing for standing in standings if standing.remaining == 0]
    names = [standing.policy.name for standing in violated]
    seconds = max(standing.reset_seconds for standing in violated)
    detail = f"your account's quota of writes ({', '.join(names)}) is used up for {seconds} s: nothing was published"
    error = ProblemError(RATE_LIMITED, detail, **{"violated-policies": names})
    error.headers["Retry-After"] = str(seconds)
    return request.app[CONTEXT].problems.response(error, instance_of(request))


def _tell(response: web.StreamResponse, standings: Sequence[Standing]) -> None:
    """Add the header fields. A 503 tells no `t`: its Retry-After may be sooner, and the draft lets neither lie."""
    tells_reset = response.status != _SERVICE_UNAVAILABLE
    policies: list[Any] = []
    left: list[Any] = []
    for one in standings:
        policies.append((one.policy.name, {"q": one.policy.quota, "w": one.policy.window_seconds}))
        left.append((one.policy.name, {"r": one.remaining} | ({"t": one.reset_seconds} if tells_reset else {})))
    response.headers["RateLimit-Policy"] = http_sf.ser(policies)
    response.headers["RateLimit"] = http_sf.ser(left)
