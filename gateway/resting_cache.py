"""Redis is left alone for a moment after it failed, so that not every request waits for it to fail again."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

import structlog

from gateway.cache_store import CacheStore, CacheUnavailableError, Entry, Locked, Seen
from topics.redis_patience import Rest

_log = structlog.get_logger(__name__)
T = TypeVar("T")


class RestingCalls:
    """Asks nothing while the rest is on."""

    def __init__(self, rest: Rest) -> None:
        """See `Rest`."""
        self._rest = rest

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` does; raises CacheUnavailableError if that does, or did a moment ago."""
        if self._rest.is_on:
            raise CacheUnavailableError("it failed a moment ago")
        try:
            answer = await call()
        except CacheUnavailableError as fault:
            if self._rest.begin():  # told once, however long it stays away
                _log.warning("redis does not answer, what it has is read from Postgres", fault=str(fault))
            raise
        if self._rest.end():
            _log.info("redis answers again")
        return answer


class RestingCache:
    """Implements `CacheStore` with another one, which is not asked for `rest_seconds` after each failure."""

    def __init__(
        self, store: CacheStore, rest_seconds: float, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """See `Rest`."""
        self._store = store
        self._calls = RestingCalls(Rest(rest_seconds, clock_seconds))

    async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
        """See `CacheStore`."""
        return await self._calls.ask(lambda: self._store.read(names))

    async def lock(self, names: Sequence[str], owner: str, lock_ms: int) -> Locked:
        """See `CacheStore`."""
        return await self._calls.ask(lambda: self._store.lock(names, owner, lock_ms))

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """See `CacheStore`."""
        return await self._calls.ask(lambda: self._store.store(entries, owner, taken))
