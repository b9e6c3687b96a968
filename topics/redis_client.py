"""Reach Redis once and within a bound: whoever asks is served without Redis rather than late."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

T = TypeVar("T")
_TURNS_OF_GRACE = 20


def client_of(url: str) -> Redis:
    """Return a client that connects when first used and tries once; every call on it goes through `within`.

    redis-py's own default is ten more tries with pauses: a silent server would hold up each call for seconds.
    """
    return Redis.from_url(url, socket_timeout=None, socket_connect_timeout=None, retry=Retry(NoBackoff(), 0))


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
