"""Publish a command and answer with its outcome, as long as the client wants to wait for it."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from firmhold.exposition import Histogram
from firmhold.log_subject import speak_of
from firmhold.metrics import OUTCOME_SECONDS
from gateway.answers import Answers, Rendered, Style, hold_token, token_hash
from gateway.callers import Caller
from gateway.patience import within
from gateway.prefer import Wait
from gateway.problems import BODY_TOO_LARGE, CONTENT_TYPE, NOT_TAKEN, OUTCOME_UNKNOWN, ProblemError
from gateway.publishing import NotTakenError, Place, Publisher, UnacknowledgedError
from gateway.ready_answers import JsonAnswer, json_answer
from gateway.shedding import Cause
from gateway.waiters import Answer, Waiter, Waiters
from schema.reads import Outcome, Reads
from topics import commands, events
from topics.catalogue import Catalogue
from topics.cloudevents import EVENT_BYTES_MAX
from topics.identifiers import routed_request
from topics.log_records import Acknowledgement
from topics.partitions import partition_of
from topics.record import CommandEvent, command_event

_log = structlog.get_logger(__name__)
_ACCEPTED = 202
_FIRST_LOOK_SECONDS = 0.1
_LOOK_SECONDS = 1.0
_WHY_NOT_TAKEN = {
    Cause.QUEUE_FULL: "too many requests wait to be written to the log",
    Cause.LOG_SILENT: "the log does not confirm what is written to it",
    Cause.BACKLOG: "earlier requests for this resource and its neighbours have been waiting for too long",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Submission:
    """A command to be given: whose, under which key, how long its caller waits, and how he is shown what it made."""

    kind: str
    command: commands.Command
    caller: Caller
    key: str
    wait: Wait
    traceparent: str | None = None
    style: Style | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the servers behind us may take, in seconds."""

    read_seconds: float
    retry_after_seconds: int


class Submitter:
    """Gives commands and tells their outcomes."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        catalogue: Catalogue,
        secret: bytes,
        waiters: Waiters,
        reads: Reads,
        answers: Answers,
        bounds: Bounds,
    ) -> None:
        """Connect the parts."""
        self.publisher = publisher
        self._catalogue = catalogue
        self._secret = secret
        self._waiters = waiters
        self._reads = reads
        self._answers = answers
        self._bounds = bounds
        self.outcome_seconds: defaultdict[tuple[str, ...], Histogram] = defaultdict(_outcome_seconds)

    async def submit(self, submission: Submission) -> JsonAnswer:
        """Publish, wait as long as is wanted, and answer: with the outcome, or 202 and where to look for it."""
        kind, command, source = submission.kind, submission.command, submission.caller.source
        fingerprint = commands.fingerprint(kind, command)
        routed = routed_request(kind, command.resource_id, source, submission.key, fingerprint)
        asked = str(routed)
        began = time.monotonic()
        deadline = began + submission.wait.seconds
        speak_of(request_id=asked, kind=kind, resource=command.resource_id)
        partition = partition_of(command.resource_id.encode(), self._catalogue.partitions)
        place = (self._catalogue.commands(kind), partition)
        with self._waiters.waiting_for(asked) as waiter:
            acknowledgement = await self._publish(submission, asked, place)
            if submission.wait.seconds <= 0:
                return self._accepted(asked, submission, submission.wait)
            if waiter is None:
                return self._accepted(asked, submission, submission.wait.not_waited())
            answer = await self.outcome(asked, source, waiter, deadline, place)
        if answer is None:
            return self._accepted(asked, submission, submission.wait)
        self.outcome_seconds[(kind,)].observe(time.monotonic() - began)
        if answer.record != acknowledgement.record:
            self.publisher.note_answered(place, acknowledgement.offset)
        rendered = self._answers.of_event(routed, answer.type, answer.data)
        if submission.style is not None and not rendered.is_refusal:
            rendered = replace(rendered, body=submission.style(rendered.body))
        return _response(rendered, submission.wait, replayed=_is_replay(answer, acknowledgement))

    async def outcome(self, asked: str, source: str, waiter: Waiter, deadline: float, place: Place) -> Answer | None:
        """Wait for the answer of a request, whose command lies in `place`, until the deadline (of the monotonic clock).

        Postgres is asked when no answer came soon and the place is silent: a repeat may be decided already though no worker
        is there to tell it again. Also when events may have been missed, and once more at the end.
        """
        clock = time.monotonic
        until = min(deadline, clock() + _FIRST_LOOK_SECONDS)
        told = self.publisher.told(place)
        while True:
            await waiter.wait(max(0.0, until - clock()))
            before, told = told, self.publisher.told(place)
            if told > before and until < deadline and not waiter.has_news():
                # A worker is at it, and will come to ours: under load a look of each waiter would only slow it down.
                until = min(deadline, clock() + _FIRST_LOOK_SECONDS)
                continue
            is_over = not waiter.gap.is_set() and until == deadline
            waiter.gap.clear()
            answer = await self._answer_or_look(asked, source, waiter)
            if answer is not None or is_over or self._waiters.closing:
                return answer
            until = deadline

    async def _answer_or_look(self, asked: str, source: str, waiter: Waiter) -> Answer | None:
        """Return the answer if it is there, or comes while Postgres is asked for it, or Postgres has it."""
        if waiter.answer is not None:
            return waiter.answer
        look = asyncio.ensure_future(self._look(asked, source))
        try:
            await asyncio.wait((waiter.answered(), look), return_when=asyncio.FIRST_COMPLETED)
            stored = None if waiter.answered().done() else look.result()
        finally:
            look.cancel()
        return waiter.answer if stored is None else answer_of(stored)

    async def _look(self, asked: str, source: str) -> Outcome | None:
        """Look in Postgres for a moment; if it does not answer, the client is told where to look later."""
        reading = self._reads.outcome(asked, source)
        try:
            return await within(min(_LOOK_SECONDS, self._bounds.read_seconds), reading, "the outcome")
        except ProblemError:
            return None

    async def stored(self, asked: str, source: str) -> Outcome | None:
        """Read the outcome from Postgres; a problem if it does not answer in time."""
        reading = self._reads.outcome(asked, source)
        return await within(self._bounds.read_seconds, reading, "the outcome of the request", request_id=asked)

    async def _publish(self, submission: Submission, asked: str, place: Place) -> Acknowledgement:
        command, event = submission.command, self._event(submission, asked)
        _check_size(event)
        try:
            return await self.publisher.publish(event, place, takes_units=isinstance(command, commands.Hold))
        except UnacknowledgedError as fault:
            detail = "the log did not confirm in time: the request may or may not be decided. Retry with the same key, or poll it"
            raise ProblemError(OUTCOME_UNKNOWN, detail, request_id=asked) from fault
        except NotTakenError as fault:
            raise _not_taken(fault, asked) from fault

    def _event(self, submission: Submission, asked: str) -> CommandEvent:
        command = submission.command
        if isinstance(command, commands.Hold):
            command = msgspec.structs.replace(command, token_hash=token_hash(hold_token(self._secret, asked)))
        return command_event(
            self._catalogue.commands(submission.kind),
            submission.kind,
            command,
            source=submission.caller.source,
            command_id=submission.key,
            traceparent=submission.traceparent,
            request_id=asked,
        )

    def _accepted(self, asked: str, submission: Submission, waited: Wait) -> JsonAnswer:
        headers = {
            "Location": f"/requests/{asked}",
            "Retry-After": str(self._bounds.retry_after_seconds),
            "Cache-Control": "no-store",
        }
        body: dict[str, Any] = {"id": asked, "status": "queued", "links": {"self": f"/requests/{asked}"}}
        reference = commands.client_reference_of(submission.command)
        if reference is not None:
            body["client_reference"] = reference
        return json_answer(body, status=_ACCEPTED, headers=headers | _preference(waited))


def _outcome_seconds() -> Histogram:
    return Histogram(OUTCOME_SECONDS)


def _check_size(event: CommandEvent) -> None:
    """Raise if no worker would take the command: it has more than the body, as much as its resource and its token add."""
    size = len(event.envelope.data)
    if size > EVENT_BYTES_MAX:
        detail = (
            f"what is asked for has {size} bytes when it is written to the log, at most {EVENT_BYTES_MAX} are taken"
        )
        raise ProblemError(BODY_TOO_LARGE, f"{detail}: nothing was published. Ask for less at once")


def _not_taken(fault: NotTakenError, asked: str) -> ProblemError:
    """Return the problem of a try that published nothing. An earlier one with the same key may have."""
    detail = f"{_WHY_NOT_TAKEN[fault.cause]}: this try published nothing. Retry with the same key"
    error = ProblemError(NOT_TAKEN, detail, cause=fault.cause.value, request_id=asked)
    error.headers["Retry-After"] = str(fault.retry_after_seconds)
    return error


def answer_of(outcome: Outcome) -> Answer:
    """Return the stored event that answers a request."""
    answering = next(event for event in events.decode_stored(outcome.events) if event.answers)
    return Answer(answering.type, bytes(answering.data), answering.record)


def _is_replay(answer: Answer, acknowledgement: Acknowledgement) -> bool:
    """Tell whether the answer is that of an earlier record, decided before ours lay in the log."""
    if answer.record == acknowledgement.record:
        return False
    decided_at = _decided_at(answer)
    return decided_at <= _EPOCH + timedelta(milliseconds=acknowledgement.timestamp_ms)


class _Decided(msgspec.Struct):
    decided_at: datetime


def _decided_at(answer: Answer) -> datetime:
    return msgspec.json.decode(answer.data, type=_Decided).decided_at


def _response(rendered: Rendered, wait: Wait, *, replayed: bool) -> JsonAnswer:
    headers = {"Cache-Control": "no-store", **rendered.headers, **_preference(wait)}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    content_type = CONTENT_TYPE if rendered.is_refusal else "application/json"
    return json_answer(rendered.body, status=rendered.status, headers=headers, content_type=content_type)


def _preference(wait: Wait) -> dict[str, str]:
    return {"Vary": "Prefer", "Preference-Applied": wait.applied} if wait.applied else {"Vary": "Prefer"}


def members_of_poll(asked: str, rendered: Rendered, outcome: Outcome) -> dict[str, Any]:
    """Return a decided request as a poll shows it; a refusal is shown as the problem that the direct answer carried."""
    return {
        "id": asked,
        "status": "refused" if rendered.is_refusal else "succeeded",
        "submitted_at": outcome.arrived_at,
        "decided_at": outcome.decided_at,
        "client_reference": rendered.client_reference,
        "error" if rendered.is_refusal else "result": rendered.body,
        "ahead": 0,
        "links": {"self": f"/requests/{asked}"},
    }
