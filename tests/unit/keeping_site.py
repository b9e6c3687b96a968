"""A worker's applier on a twin of Postgres, which tells what it reads: for the tests of what is kept between batches."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from schema.snapshots import Snapshot, Wanted
from schema.store import Connection, Transaction
from tests.twins.memory_store import MemoryPool, MemoryPostgres, store_on
from tests.unit.builders import START, arrived
from topics.commands import Command, DefineResource, Hold
from workers.applying import Applied, Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks
from workers.keeping import Keeper


class Clock:
    """Postgres's clock, and ours, which began elsewhere."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def now(self) -> datetime:
        """Return what Postgres says."""
        return START + timedelta(milliseconds=self.milliseconds)

    def monotonic(self) -> float:
        """Return what we say."""
        return 77 + self.milliseconds / 1000

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.milliseconds += round(seconds * 1000)


class Reading(Transaction):
    """Counts how often it reads."""

    def __init__(self, connection: Connection, readings: list[Wanted], *, is_locking: bool) -> None:
        super().__init__(connection, is_locking=is_locking)
        self._readings = readings

    async def read(self, wanted: Wanted) -> Snapshot:
        """Read."""
        self._readings.append(wanted)
        return await super().read(wanted)


class Site:
    """An applier on a twin of Postgres, and what its last batch read."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.server = MemoryPostgres(self.clock.now)
        self.readings: list[Wanted] = []
        self._pool = MemoryPool(self.server)
        self._claims = count()
        self.applier = self.another(self.clock.monotonic)

    def another(self, monotonic: Callable[[], float]) -> Applier:
        """Return an applier on the same server."""
        return Applier(
            self._transaction,
            request_retention=timedelta(days=14),
            expiries_max=1_000,
            reached=Hooks().reached,
            keeper=Keeper(monotonic),
        )

    @asynccontextmanager
    async def _transaction(self, *, is_locking: bool = True) -> AsyncIterator[Transaction]:
        async with store_on(self._pool).transaction(is_locking=is_locking) as transaction:
            yield Reading(transaction._connection, self.readings, is_locking=is_locking)

    async def apply(self, *asked: Command, by: Applier | None = None, late: float = 0, kind: str = "slot") -> Applied:
        """Decide commands under new claims, which arrived so many seconds ago."""
        appended_at = self.clock.now() - timedelta(seconds=late)
        batch = [arrived(one, claim=f"claim-{next(self._claims)}", appended_at=appended_at, kind=kind) for one in asked]
        return await self.send(batch, by=by)

    async def send(self, batch: Sequence[Arrived], *, by: Applier | None = None) -> Applied:
        """Decide commands."""
        self.readings.clear()
        return await (by or self.applier).apply(batch)

    def purge(self, asked: Arrived) -> None:
        """Forget the outcome of a command; what it placed stays."""
        del self.server.tables.requests[asked.request_id]
        del self.server.tables.owners[asked.claim]

    def pool(self) -> dict[str, Any]:
        """Return the room's units."""
        return self.server.tables.pools["slot", "room", "units"]


async def room(capacity: int = 5, **settings_: Any) -> Site:  # noqa: ANN401 - fields of DefineResource
    """Return a site with a room, of which a hold was placed."""
    site = Site()
    await site.apply(DefineResource(resource_id="room", capacity=capacity, **settings_))
    await site.apply(Hold(resource_id="room"))
    return site


def reasons(applied: Applied) -> list[str | None]:
    """Return why commands were refused."""
    return [outcome.reason for outcome in applied.outcomes]
