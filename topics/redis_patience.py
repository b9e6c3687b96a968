"""Wait for Redis within a bound, connecting and all, and not for each failure anew: rather without Redis than late."""

import asyncio
import time
from collections.abc import Callable, Coroutine
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


class Rest:
    """Tells when to leave Redis alone: for `rest_seconds` after each failure, so that not everybody waits for the next."""

    def __init__(self, rest_seconds: float, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        """Nobody waits for the clock: it only tells when to try again."""
        self._rest_seconds = rest_seconds
        self._clock_seconds = clock_seconds
        self._until: float | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether Redis failed a moment ago."""
        return self._until is not None and self._clock_seconds() < self._until

    def begin(self) -> bool:
        """Take note that Redis failed; tell whether it had not failed before."""
        is_first = self._until is None
        self._until = self._clock_seconds() + self._rest_seconds
        return is_first

    def end(self) -> bool:
        """Take note that Redis answered; tell whether it had failed before."""
        had_failed = self._until is not None
        self._until = None
        return had_failed
