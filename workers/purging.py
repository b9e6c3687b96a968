"""Purging: forget requests that no record can ask for again, in small batches, one worker at a time.

A record older than the request retention is never decided (`too_old`), so an outcome is not needed for longer. The two ages
are measured by different clocks, the broker's and Postgres's: hence the margin. Holds stay: they answer for their requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import structlog

from schema.faults import is_transient
from workers.backoff import backoff

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Purge:
    """The named bounds of a purger: how old a request must be, how many go at once, and the pauses."""

    older_than: timedelta
    requests_max: int
    pause_seconds: float
    again_seconds: float


class Purger:
    """Looks for what is old, again and again."""

    def __init__(self, purge_requests: Callable[[timedelta, int], Awaitable[int | None]], purge: Purge) -> None:
        """Purge with `schema.store.Store.purge_requests`, within these bounds."""
        self._purge_requests = purge_requests
        self._purge = purge
        self.purged = 0

    @property
    def is_on(self) -> bool:
        """Tell whether it purges at all."""
        return self._purge.again_seconds > 0

    async def run(self) -> None:
        """Purge until cancelled; a server that does not answer only makes it late."""
        pauses = self._pauses()
        while self.is_on:
            try:
                is_done = await self.purge_once()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                _log.warning("requests could not be purged", fault=repr(fault))
                await asyncio.sleep(next(pauses))
            else:
                pauses = self._pauses()
                await asyncio.sleep(self._purge.again_seconds if is_done else self._purge.pause_seconds)

    def _pauses(self) -> Iterator[float]:
        return backoff(self._purge.pause_seconds, max(self._purge.pause_seconds, self._purge.again_seconds))

    async def purge_once(self) -> bool:
        """Purge one batch; tell whether there is no more to be done for now, or another worker is at it."""
        purged = await self._purge_requests(self._purge.older_than, self._purge.requests_max)
        if not purged:
            return True
        self.purged += purged
        _log.info("requests purged", requests=purged)
        return purged < self._purge.requests_max
