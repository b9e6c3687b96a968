"""Read from Postgres with a bound: what does not come in time is a problem 503, never a hang and never a 500."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

from gateway.problems import UNAVAILABLE, ProblemError
from schema.faults import is_transient

T = TypeVar("T")

_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_abandoned: set[asyncio.Future[Any]] = set()


async def within(seconds: float, reading: Coroutine[Any, Any, T], what: str, **more: str) -> T:
    """Return what is read; raises a problem that says `what` cannot be read, with the extension members `more`.

    A reading that is late is cancelled and left alone: asyncpg may take longer still to give its connection up.
    """
    task = asyncio.ensure_future(reading)
    try:
        await asyncio.wait((task,), timeout=seconds)
        if not task.done():
            raise _unreadable(what, **more)
        return task.result()
    except _FAULTS as fault:
        if not is_transient(fault):
            raise
        raise _unreadable(what, **more) from fault
    finally:
        if not task.done():
            _abandon(task)


async def shared(reading: Coroutine[Any, Any, T], what: str) -> T:
    """Do as `within` for a reading that is bounded in time by itself, as others share it."""
    try:
        return await reading
    except _FAULTS as fault:
        if not is_transient(fault):
            raise
        raise _unreadable(what) from fault


def _unreadable(what: str, **more: str) -> ProblemError:
    return ProblemError(UNAVAILABLE, f"{what} cannot be read just now; ask again", **more)


def _abandon(task: asyncio.Future[Any]) -> None:
    """Cancel a task that nobody waits for any more, and keep it until it has ended, however it ends."""
    _abandoned.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Future[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # seen: it is no news any more
