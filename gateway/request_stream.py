"""The status of a request as Server-Sent Events: `queued` with each change of `ahead`, then the outcome, then the end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from gateway.callers import Caller
from gateway.context import CONTEXT, Context
from gateway.offsets import OffsetsUnavailableError
from gateway.problems import UNAVAILABLE, ProblemError, instance_of
from gateway.requests import commands_of, decided_members, hear, place_of, queued_members, unknown, untold
from gateway.waiters import Waiter
from topics.identifiers import RoutedId

_FINAL = "final"
_NO_CONTENT = 204
_NOT_FOUND = 404
_REFRESH_MS = 1_000


def routes() -> list[web.RouteDef]:
    """Return the call that follows a request."""
    return [web.get("/requests/{request_id}/events", follow_request, allow_head=False)]


async def follow_request(request: web.Request) -> web.StreamResponse:
    """Tell the status of a request as it changes; who sees it, and who gets a 404, is as with the poll.

    A browser that comes again after the last event gets 204, by which it knows that there is nothing more.
    """
    context = request.app[CONTEXT]
    caller = context.caller(request)
    place = place_of(request)
    if request.headers.get(EventSourceResponse.DEFAULT_LAST_EVENT_HEADER) == _FINAL:
        return web.Response(status=_NO_CONTENT)
    with context.waiters.waiting_for(str(place)) as waiter:
        if waiter is None:
            raise ProblemError(UNAVAILABLE, "too many follow requests here just now, or this gateway is stopping")
        states = _states(context, caller, place, waiter)
        first = await _first(states, context.limits.read_seconds, place)
        response = EventSourceResponse(ping_interval=context.limits.ping_seconds)
        response.headers["Cache-Control"] = "no-store"
        await response.prepare(request)
        try:
            async with response:
                await _stream(request, response, first, states)
        except (ConnectionResetError, TimeoutError):
            pass  # the client is gone, or takes nothing: there is nobody to tell
        finally:
            await states.aclose()
    return response


async def _first(states: AsyncGenerator[dict[str, Any], None], seconds: float, place: RoutedId) -> dict[str, Any]:
    """Return the first state, before which a problem still is an answer of its own."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(states)
    except TimeoutError as fault:
        raise untold(str(place)) from fault
    except StopAsyncIteration as fault:
        raise ProblemError(UNAVAILABLE, "this gateway is stopping; ask again") from fault


async def _stream(
    request: web.Request,
    response: EventSourceResponse,
    first: dict[str, Any],
    states: AsyncGenerator[dict[str, Any], None],
) -> None:
    """Send each state until the last one, a problem, or the client's end."""
    await _send(response, first, retry=_REFRESH_MS)
    gone = asyncio.ensure_future(response.wait())
    try:
        while True:
            coming = asyncio.ensure_future(_next(states))
            await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
                return
            state = coming.result()
            if state is None:
                return
            await _send(response, state)
    except ProblemError as error:
        problem = request.app[CONTEXT].problems.members(error.kind, error.detail, instance_of(request), **error.more)
        is_final = error.kind.status == _NOT_FOUND
        await response.send(msgspec.json.encode(problem).decode(), event="problem", id=_FINAL if is_final else None)
    finally:
        gone.cancel()


async def _next(states: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any] | None:
    return await anext(states, None)


async def _send(response: EventSourceResponse, state: dict[str, Any], retry: int | None = None) -> None:
    is_final = state["status"] != "queued"
    text = msgspec.json.encode(state).decode()
    await response.send(text, event=state["status"], id=_FINAL if is_final else None, retry=retry)


class _Ahead:
    """How many commands may be before the one in question; `changed` is set when that is news."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.changed = asyncio.Event()

    def tell(self, count: int) -> None:
        if count != self.count:
            self.count = count
            self.changed.set()


async def _states(
    context: Context, caller: Caller, place: RoutedId, waiter: Waiter
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what a poll would show, whenever that changes; ends after the outcome, or when the gateway stops."""
    asked, ahead = str(place), _Ahead()
    outcome = await context.submitter.stored(asked, caller.source)
    if outcome is not None:
        yield decided_members(context, place, outcome)
        return
    await hear(context, place)
    passing = asyncio.ensure_future(context.offsets.passed(*commands_of(context, place), ahead.tell))
    try:
        while True:
            await _first_of(passing, waiter.answered(), waiter.gap.wait(), ahead.changed.wait())
            ahead.changed.clear()
            is_over = passing.done() or waiter.answer is not None
            if is_over or waiter.gap.is_set():
                waiter.gap.clear()
                outcome = await context.submitter.stored(asked, caller.source)
                if outcome is not None:
                    yield decided_members(context, place, outcome)
                    return
                if is_over:
                    raise _why_no_outcome(asked, passing)
                if context.waiters.closing:
                    return
            yield queued_members(asked, ahead.count)
    finally:
        passing.cancel()


def _why_no_outcome(asked: str, passing: "asyncio.Future[None]") -> ProblemError:
    """Return the problem of a request that the workers are past, or somebody else's; or of offsets that are not told."""
    if passing.done() and isinstance(passing.exception(), OffsetsUnavailableError):
        return untold(asked)
    return unknown(asked)


async def _first_of(*waiting: Awaitable[Any]) -> None:
    """Return when one of these is done; futures go on, waits that were begun for this end."""
    tasks = {asyncio.ensure_future(one): one for one in waiting}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task, one in tasks.items():
            if task is not one:
                task.cancel()
