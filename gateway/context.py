"""What every handler needs: read from a request who calls, under which key, how long he waits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from gateway.answers import Answers, Style
from gateway.availability import Availability
from gateway.broadcast import Broadcast
from gateway.callers import Caller, Callers, Scope
from gateway.event_reader import EventReader
from gateway.idempotency import key_of
from gateway.offsets import OffsetWatch
from gateway.payment_inbox import PaymentInbox
from gateway.prefer import Wait, wait_of
from gateway.problems import MALFORMED_HEADER, ProblemError, Problems
from gateway.prompt_listener import PromptListener
from gateway.rate_limits import RateLimits
from gateway.seat_maps import SeatMaps
from gateway.seat_mirror import SeatMirror
from gateway.submission import Submission, Submitter
from gateway.waiters import Waiters
from gateway.webhook_secrets import WebhookSecrets
from schema.reads import Reads
from topics import commands
from topics.catalogue import Catalogue
from topics.cloudevents import trace_parent


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The named bounds of the HTTP side."""

    wait_default_seconds: float
    wait_max_seconds: float
    read_seconds: float
    retry_after_seconds: int
    ping_seconds: float
    stuck_seconds: float
    uuid_keys_only: bool
    page_max: int
    ids_asked_max: int
    retention_days: int
    webhook_bytes_max: int


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a gateway that its handlers use."""

    callers: Callers
    submitter: Submitter
    reads: Reads
    answers: Answers
    problems: Problems
    waiters: Waiters
    offsets: OffsetWatch
    reader: EventReader
    prompt_listener: PromptListener
    broadcast: Broadcast
    catalogue: Catalogue
    limits: HttpLimits
    rate_limits: RateLimits
    availability: Mapping[str, Availability]
    seat_maps: SeatMaps
    seat_mirror: SeatMirror
    payments: PaymentInbox
    webhook_secrets: WebhookSecrets

    def caller(self, request: web.Request) -> Caller:
        """Return who calls."""
        return self.callers.caller(request.headers)

    def holder(self, request: web.Request) -> Caller:
        """Return who calls, who must be one that may hold."""
        caller = self.caller(request)
        caller.require(Scope.HOLD)
        return caller

    def key(self, request: web.Request, *, required: bool) -> str:
        """Return the idempotency key."""
        lines = request.headers.getall("Idempotency-Key", [])
        return key_of(lines, required=required, uuid_only=self.limits.uuid_keys_only)

    def wait(self, request: web.Request) -> Wait:
        """Return how long the caller prefers to wait."""
        return wait_of(
            request.headers.getall("Prefer", []),
            default_seconds=self.limits.wait_default_seconds,
            max_seconds=self.limits.wait_max_seconds,
        )

    async def give(
        self,
        request: web.Request,
        kind: str,
        command: commands.Command,
        *,
        caller: Caller,
        key: str,
        style: Style | None = None,
    ) -> web.StreamResponse:
        """Give a command of this request, and answer with what becomes of it, shown in this call's style."""
        trace = trace_parent(request.headers.get("traceparent"))
        return await self.submitter.submit(Submission(kind, command, caller, key, self.wait(request), trace, style))


_ENTITY_TAG = re.compile(r'(?P<quote>"?)(?P<tag>[0-9]+)(?P=quote)\Z')
CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)


class Condition(NamedTuple):
    """What must be there for a definition to be taken: see DefineResource."""

    if_version: int | None = None
    if_exists: bool = False


def condition_of(request: web.Request) -> Condition:
    """Return what If-Match and If-None-Match ask for (RFC 9110, 13.1): one version, any, or none at all.

    A list of tags is refused: a client knows one version. So is a tag that no resource of ours ever has.
    """
    match = _one_line(request, "If-Match")
    none_match = _one_line(request, "If-None-Match")
    if match is not None and none_match is not None:
        raise ProblemError(MALFORMED_HEADER, "If-Match and If-None-Match contradict each other here: send one")
    if none_match is not None:
        if none_match != "*":
            raise ProblemError(MALFORMED_HEADER, "If-None-Match is * here: the resource must not exist yet")
        return Condition(if_version=0)
    if match is None or match == "*":
        return Condition(if_exists=match is not None)
    tag = _ENTITY_TAG.match(match)
    version = _version_of(tag["tag"] if tag else "", 'If-Match has * or one version as an entity tag, for example "3"')
    return Condition(version, if_exists=True)


def _one_line(request: web.Request, name: str) -> str | None:
    """Return a header field, its lines joined to the list that they are."""
    lines = request.headers.getall(name, [])
    return ", ".join(lines).strip() if lines else None


def min_version(request: web.Request) -> int:
    """Return the version that Min-Version asks for at least; 0 if it asks for none."""
    lines = request.headers.getall("Min-Version", ())
    if not lines:
        return 0
    return _version_of(",".join(lines).strip(), "Min-Version has one version, for example 3")


def _version_of(digits: str, advice: str) -> int:
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:  # noqa: PLR2004 - fits a bigint
        raise ProblemError(MALFORMED_HEADER, advice)
    return int(digits)
