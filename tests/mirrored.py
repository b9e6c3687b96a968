"""What an installation's Redis has of a screening's held seats, as it lies there, beside what Postgres has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from redis.asyncio import Redis

from gateway.redis_seats import RedisSeats
from gateway.seat_mirror import SeatMirror, Source
from schema.connections import Timeouts, lazy_pool
from schema.reads import Reads
from tests.installation import Installation, eventually
from topics.redis_keys import RedisKeys
from topics.redis_patience import Rest


@dataclass
class Mirrored:
    """The mirror of an installation, and a gateway's reader of it."""

    site: Installation
    redis: Redis
    reader: SeatMirror

    def key(self, screening: str, seat: str) -> str:
        """Return the key of a seat, word for word as the documentation has it."""
        return f"{self.site.prefix}hold:screening:{screening}:seat:{seat}"

    async def value(self, screening: str, seat: str) -> dict[str, Any] | None:
        """Return what is kept of a seat."""
        value = await self.redis.get(self.key(screening, seat))
        return None if value is None else msgspec.json.decode(value)

    async def ttl_seconds(self, screening: str, seat: str) -> float:
        """Return for how long that is kept."""
        return float(await self.redis.pttl(self.key(screening, seat))) / 1000

    async def holds(self, screening: str) -> dict[str, str]:
        """Return all seats that have a key, and the hold in each."""
        beginning = self.key(screening, "")
        keys = [key.decode() async for key in self.redis.scan_iter(f"{beginning}*", count=10_000)]
        values = await self.redis.mget(keys) if keys else []
        pairs = zip(keys, values, strict=True)
        return {key.removeprefix(beginning): msgspec.json.decode(value)["hold_id"] for key, value in pairs if value}

    async def marker(self, screening: str) -> int | None:
        """Return the version as of which the mirror is whole."""
        marker = await self.redis.get(RedisKeys(self.site.prefix).marker(f"screening:{screening}"))
        return None if marker is None else int(marker)

    async def is_whole(self, screening: str) -> bool:
        """Tell whether the mirror is what Postgres has now, and says so."""
        async with self.site.database() as database:
            version = await database.fetchval("select version from resources where resource_id = $1", screening)
            rows = await database.fetch(
                "select seat_id, hold_id from live_seat_holds where screening_id = $1", screening
            )
        holds = {row["seat_id"]: row["hold_id"] for row in rows}
        return await self.marker(screening) == version and await self.holds(screening) == holds

    async def becomes_whole(self, screening: str, seconds: float = 20) -> None:
        """Wait until it is."""

        async def is_whole() -> bool:
            return await self.is_whole(screening)

        await eventually(is_whole, seconds=seconds, what="the mirror is what Postgres has")

    async def from_mirror(self, screening: str, seat: str) -> datetime | None:
        """Return until when a seat is held, which the mirror must know without Postgres."""
        before = self.reader.reads[Source.POSTGRES]
        held_until = await self.reader.held_until(screening, seat)
        assert self.reader.reads[Source.POSTGRES] == before, "Postgres was asked"
        return held_until


@asynccontextmanager
async def mirrored(site: Installation) -> AsyncIterator[Mirrored]:
    """Give the mirror of an installation, read as a gateway does that has no rest."""
    keys = RedisKeys(site.prefix)
    timeouts = Timeouts()
    async with (
        lazy_pool(site.postgres, connections_max=2, timeouts=timeouts, role="tests") as pool,
        Redis.from_url(site.urls.redis) as redis,
    ):
        seats = RedisSeats(redis, keys, timeout_seconds=0.1, rest=Rest(0.0))
        yield Mirrored(site, redis, SeatMirror(seats, Reads(pool).seats_held_until, seats_max=1_000, seconds=5.0))
