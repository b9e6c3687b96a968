"""How seats are looked up: the mirror where it is whole and new enough, else Postgres; many at once with one look."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

from gateway.seat_mirror import SeatMirror, Source
from schema.rows import ResourceKey
from tests.twins.memory_mirror import MemoryMirror
from topics.mirror import HeldPool, encode_held
from topics.redis_keys import pool_name
from workers.mirroring import Kept, Snapshot

HALL = ResourceKey("screening", "hall")
MIRRORED, STORED = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


class World:
    """A mirror that is whole at version 5 and has A1, and a Postgres that has A2."""

    def __init__(self) -> None:
        """Begin with an empty mirror."""
        self.now_ms = 0
        self.mirror = MemoryMirror(lambda: self.now_ms)
        self.queries: list[set[tuple[str, str]]] = []
        self.reader = SeatMirror(self.mirror, self.read_source, seats_max=100, seconds=5.0)

    async def rebuild(self) -> None:
        """Write the mirror."""
        kept = Kept(encode_held(HeldPool(5, "hold", MIRRORED)), 60_000)
        await self.mirror.lock([HALL], "me")
        await self.mirror.store([Snapshot(HALL, 5, {pool_name("seat", "A1"): kept})], "me")

    async def read_source(self, kind: str, seats: Collection[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
        """Read what Postgres has."""
        assert kind == "screening"
        self.queries.append(set(seats))
        return {seat: STORED for seat in seats if seat == ("hall", "A2")}


async def test_the_mirror_is_asked_where_it_is_whole() -> None:
    """Then Postgres is not; what it does not have is not held."""
    world = World()
    await world.rebuild()
    assert await world.reader.held_until("hall", "A1") == MIRRORED
    assert await world.reader.held_until("hall", "A2", version_least=5) is None
    assert world.queries == []


async def test_postgres_is_asked_where_it_is_not() -> None:
    """It has no marker, its marker is over, it is too old, or away. Fails on believing any of these."""
    world = World()
    assert await world.reader.held_until("hall", "A2") == STORED
    await world.rebuild()
    assert await world.reader.held_until("hall", "A2", version_least=6) == STORED
    assert await world.reader.held_until("cellar", "A2") is None
    world.mirror.is_away = True
    assert await world.reader.held_until("hall", "A2") == STORED
    world.mirror.is_away = False
    world.now_ms += 30_000
    assert await world.reader.held_until("hall", "A2") == STORED
    assert len(world.queries) == 5
    assert world.reader.reads == {Source.MIRROR: 0, Source.POSTGRES: 5}


async def test_many_who_ask_at_once_cost_one_query() -> None:
    """Each gets his own answer. Fails on a query for each."""
    world = World()
    asked = [world.reader.held_until("hall", f"A{number % 4}") for number in range(40)]
    assert set(await asyncio.gather(*asked)) == {None, STORED}
    assert world.queries == [{("hall", f"A{number}") for number in range(4)}]
    await world.reader.close()
