"""The seats of a screening as Server-Sent Events: a snapshot, then what happens to each seat, until the client leaves."""

import asyncio
import socket

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from gateway.broadcast import Listener
from gateway.context import CONTEXT
from gateway.patience import within
from gateway.problems import UNAVAILABLE, ProblemError
from gateway.resources import known_form, unknown
from gateway.screenings import KIND

# Listeners of a gateway that goes come again one after the other.
_RETRY_FIRST_MS = 500
_RETRY_STEP_MS = 50
_RETRY_STEPS = 50
_WAITING_BYTES = 65_536


def routes() -> list[web.RouteDef]:
    """Return the call that follows a screening."""
    return [web.get("/screenings/{screening_id}/events", follow_screening, allow_head=False)]


async def follow_screening(request: web.Request) -> web.StreamResponse:
    """Tell what happens to the seats, from the event on that the client names as its last, or from a snapshot on."""
    context = request.app[CONTEXT]
    context.caller(request)
    screening_id = known_form(KIND, request.match_info["screening_id"])
    with context.broadcast.listening(screening_id) as listener:
        if listener is None:
            raise _refused()
        last_event_id = request.headers.get(EventSourceResponse.DEFAULT_LAST_EVENT_HEADER)
        is_there = await within(context.limits.read_seconds, listener.settle(last_event_id), "the seats")
        if not is_there:
            raise _refused() if context.broadcast.is_closing else unknown(KIND, screening_id)
        response = EventSourceResponse(ping_interval=context.limits.ping_seconds)
        response.headers["Cache-Control"] = "no-store"
        _bound_what_waits(request)
        await response.prepare(request)
        try:
            async with response:
                await _stream(request, response, listener)
        except ConnectionResetError:
            pass  # the client is gone: there is nobody to tell
        except TimeoutError:
            context.broadcast.dropped += 1
            if request.transport is not None:
                request.transport.abort()
    return response


def _bound_what_waits(request: web.Request) -> None:
    """Let the system keep little for a client that takes nothing: by itself it would keep some megabytes."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING_BYTES)


def _refused() -> ProblemError:
    return ProblemError(UNAVAILABLE, "too many listen here just now, or this gateway is stopping")


async def _stream(request: web.Request, response: EventSourceResponse, listener: Listener) -> None:
    """Send what there is, until nothing more comes or the client is gone."""
    context = request.app[CONTEXT]
    retry = b"retry: %d\n\n" % (_RETRY_FIRST_MS + _RETRY_STEP_MS * (listener.number % _RETRY_STEPS))
    gone = asyncio.ensure_future(response.wait())
    gone.add_done_callback(lambda _: listener.news.set())
    try:
        await response.write(retry)
        while not gone.done() and not listener.is_over:
            listener.news.clear()
            piece = listener.take()
            if piece is None:
                await listener.news.wait()
                continue
            async with asyncio.timeout(context.limits.stuck_seconds):
                await response.write(piece.content)
            if piece.cause is not None:
                context.broadcast.snapshots[piece.cause] += 1
        if listener.is_over:
            await response.write(retry)
    finally:
        gone.cancel()
