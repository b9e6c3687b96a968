"""What the mirror of seats is written from: who holds what now, and as of which version. Reads lock nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from schema import queries
from schema.rows import ResourceKey


@dataclass(frozen=True, slots=True)
class LiveSeat:
    """A seat that is held, and how long its hold still lives by Postgres's clock."""

    seat: str
    hold_id: str
    expires_at: datetime
    lives_ms: int


@dataclass(frozen=True, slots=True)
class SeatsReading:
    """The seats of a resource that are held, as of its version."""

    key: ResourceKey
    version: int
    held: Sequence[LiveSeat]


class LiveSeats:
    """The queries of a rebuild; each raises what asyncpg raises if Postgres does not answer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use a pool of `schema.connections.lazy_pool`."""
        self._pool = pool

    async def versions(self, kind: str, after: str, ids_max: int) -> dict[ResourceKey, int]:
        """Return the versions of so many resources in the order of their ids, from behind `after` (empty: from the first)."""
        rows = await self._pool.fetch(queries.READ_VERSIONS_AFTER, kind, after, ids_max)
        return {ResourceKey(kind, row["resource_id"]): row["version"] for row in rows}

    async def versions_of(self, keys: Collection[ResourceKey]) -> dict[ResourceKey, int]:
        """Return the versions of those of the resources that exist."""
        kinds, ids = [key.kind for key in keys], [key.resource_id for key in keys]
        rows = await self._pool.fetch(queries.READ_VERSIONS_NAMED, kinds, ids)
        return {ResourceKey(row["kind"], row["resource_id"]): row["version"] for row in rows}

    async def held(self, kind: str, resource_ids: Collection[str]) -> list[SeatsReading]:
        """Return what is held of those of the resources that exist."""
        found: dict[str, tuple[int, list[LiveSeat]]] = {}
        for row in await self._pool.fetch(queries.READ_LIVE_SEATS, kind, list(resource_ids)):
            _, seats = found.setdefault(row["resource_id"], (row["version"], []))
            if row["seat_id"] is not None:
                seats.append(LiveSeat(row["seat_id"], row["hold_id"], row["expires_at"], row["lives_ms"]))
        return [SeatsReading(ResourceKey(kind, name), version, seats) for name, (version, seats) in found.items()]
