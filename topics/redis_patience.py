"""Wait for Redis within a bound, connecting and all: whoever asks is served without Redis rather than late."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_TURNS_OF_GRACE = 20


async def within(seconds: float, calling: Coroutine[Any, Any, T]) -> T:
    """Return what Redis answers; TimeoutError if it does not in time.

    An event loop that was busy for longer than the bound finds the answer and the end of the time in the same turn, so a
    late call still gets a few turns: a process with much to do must not take Redis for silent and ask Postgres instead.
    """
    task = asyncio.ensure_future(calling)
    try:
        await asyncio.wait((task,), timeout=seconds)
        for _ in range(_TURNS_OF_GRACE):
            if task.done():
                return task.result()
            await asyncio.sleep(0)
        raise TimeoutError(f"redis gave no answer in {seconds * 1000:.0f} ms")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
