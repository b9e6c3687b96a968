"""What every handler needs: read from a request who calls, under which key, how long he waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.answers import Answers, Style
from gateway.availability import Availability
from gateway.callers import Caller, Callers, Scope
from gateway.event_reader import EventReader
from gateway.idempotency import key_of
from gateway.offsets import OffsetWatch
from gateway.prefer import Wait, wait_of
from gateway.problems import MALFORMED_HEADER, ProblemError, Problems
from gateway.rate_limits import RateLimits
from gateway.submission import Submission, Submitter
from gateway.waiters import Waiters
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
    uuid_keys_only: bool
    page_max: int
    ids_asked_max: int


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
    catalogue: Catalogue
    limits: HttpLimits
    rate_limits: RateLimits
    availability: Mapping[str, Availability]

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
    ) -> web.Response:
        """Give a command of this request, and answer with what becomes of it, shown in this call's style."""
        trace = trace_parent(request.headers.get("traceparent"))
        return await self.submitter.submit(Submission(kind, command, caller, key, self.wait(request), trace, style))


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)


def if_match_version(request: web.Request) -> int | None:
    """Return the version that If-Match asks for; None if it asks for none, or for any (`*`)."""
    text: Any = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return None
    return _version_of(text.strip().strip('"'), 'If-Match has the version as an entity tag, for example "3"')


def min_version(request: web.Request) -> int:
    """Return the version that Min-Version asks for at least; 0 if it asks for none."""
    lines = request.headers.getall("Min-Version", ["0"])
    return _version_of(",".join(lines).strip(), "Min-Version has one version, for example 3")


def _version_of(digits: str, advice: str) -> int:
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:  # noqa: PLR2004 - fits a bigint
        raise ProblemError(MALFORMED_HEADER, advice)
    return int(digits)
