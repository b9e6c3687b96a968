"""The status of a request: decided, queued or unknown, told apart with nothing stored for what is queued."""

import asyncio
from typing import Any

from aiohttp import web

from firmhold.log_subject import speak_of
from gateway.bodies import bad_parameter
from gateway.callers import Caller
from gateway.context import CONTEXT, Context
from gateway.offsets import OffsetsUnavailableError
from gateway.problems import UNAVAILABLE, UNKNOWN_REQUEST, ProblemError, json_response
from gateway.submission import answer_of, members_of_poll
from gateway.waiters import Waiter
from schema.reads import Outcome
from topics.catalogue import KINDS
from topics.identifiers import REQUEST, RoutedId, parse
from topics.partitions import partition_of


def routes() -> list[web.RouteDef]:
    """Return the calls about requests."""
    return [web.get("/requests/{request_id}", get_request)]


async def get_request(request: web.Request) -> web.Response:
    """Show a request: its outcome as soon as there is one, within the wait that the caller allows."""
    context = request.app[CONTEXT]
    caller = context.caller(request)
    place = place_of(request)
    asked = str(place)
    seconds = _wait_seconds(request, context)
    ahead: list[int] = []
    outcome = await _outcome(context, caller, place, seconds, ahead)
    if outcome is not None:
        return json_response(decided_members(context, place, outcome), headers={"Cache-Control": "no-store"})
    headers = {"Retry-After": str(context.limits.retry_after_seconds), "Cache-Control": "no-store"}
    return json_response(queued_members(asked, ahead[0] if ahead else None), headers=headers)


def place_of(request: web.Request) -> RoutedId:
    """Read the request id of the path; raises the problem 404 for what cannot be one."""
    asked = request.match_info["request_id"]
    place = parse(asked, REQUEST)
    if place is None or place.kind not in KINDS:
        raise unknown(asked)
    speak_of(request_id=asked, kind=place.kind, resource=place.resource_id)
    return place


def commands_of(context: Context, place: RoutedId) -> tuple[str, int]:
    """Return topic and partition that the request's command lies in."""
    partition = partition_of(place.resource_id.encode(), context.catalogue.partitions)
    return context.catalogue.commands(place.kind), partition


def decided_members(context: Context, place: RoutedId, outcome: Outcome) -> dict[str, Any]:
    """Return a decided request as polls show it."""
    answer = answer_of(outcome)
    return members_of_poll(str(place), context.answers.of_event(place, answer.type, answer.data), outcome)


def queued_members(asked: str, ahead: int | None) -> dict[str, Any]:
    """Return a request that has no outcome yet as polls show it; of what it asks for nothing is known here."""
    return {
        "id": asked,
        "status": "queued",
        "submitted_at": None,
        "decided_at": None,
        "ahead": ahead,
        "links": {"self": f"/requests/{asked}"},
    }


async def _outcome(
    context: Context, caller: Caller, place: RoutedId, seconds: float, ahead: list[int]
) -> Outcome | None:
    """Return the outcome, or None if it did not come in time; raises the problem 404 if the request cannot come any more."""
    asked = str(place)
    with context.waiters.waiting_for(asked) as waiter:
        outcome = await context.submitter.stored(asked, caller.source)
        if outcome is not None:
            return outcome
        if seconds <= 0:
            await hear(context, place)
            return None
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while True:
            passed = await _passed_within(context, place, waiter, deadline - clock(), ahead)
            outcome = await context.submitter.stored(asked, caller.source)
            is_over = clock() >= deadline or context.waiters.closing
            if outcome is not None or passed or is_over or waiter is None or not waiter.has_news():
                break
            waiter.gap.clear()  # events were missed, or the answer is somebody else's, who is told as if there were none
    if outcome is None and passed:
        raise unknown(asked)
    if outcome is None and not ahead and not context.waiters.closing:  # Kafka said nothing for the whole wait
        raise untold(asked)
    return outcome


async def hear(context: Context, place: RoutedId) -> None:
    """Return soon; raises the problem 503 if Kafka is silent, so that nobody can say whether the request is on its way."""
    try:
        await context.offsets.heard(*commands_of(context, place))
    except OffsetsUnavailableError as fault:
        raise untold(str(place)) from fault


async def _passed_within(
    context: Context, place: RoutedId, waiter: Waiter | None, seconds: float, ahead: list[int]
) -> bool:
    """Wait for the answer, or until the workers are past all that the request can lie in; tell whether they are."""
    topic, partition = commands_of(context, place)
    passing = asyncio.ensure_future(
        context.offsets.passed(topic, partition, lambda count: ahead.__setitem__(slice(None), [count]))
    )
    told: set[asyncio.Future[Any]] = set()
    if waiter is not None:
        told = {asyncio.ensure_future(waiter.gap.wait())}
        if waiter.answer is None:
            told.add(waiter.answered())
    try:
        await asyncio.wait({passing, *told}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not passing.done():
            return False
        passing.result()
    except OffsetsUnavailableError as fault:
        raise untold(str(place)) from fault
    finally:
        for waiting in (passing, *told):
            waiting.cancel()
    return True


def _wait_seconds(request: web.Request, context: Context) -> float:
    text = request.query.get("wait")
    if text is None:
        return context.limits.wait_default_seconds
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004 - nobody waits for longer
        raise bad_parameter("wait", "is a number of whole seconds")
    return min(float(text), context.limits.wait_max_seconds)


def untold(asked: str) -> ProblemError:
    """Return the problem of a request of which Kafka says nothing."""
    detail = "how far the request is cannot be told just now; ask again"
    return ProblemError(UNAVAILABLE, detail, request_id=asked)


def unknown(asked: str) -> ProblemError:
    """Return the problem of a request that nobody made, or somebody else."""
    return ProblemError(UNKNOWN_REQUEST, f"there is no request {asked[:200]} of yours")
