"""The map of a screening: where each seat is and whether it is free, read through the cache. It knows no HTTP.

5,000 seats are 350 KB of JSON and 20 KB of that compressed: so they are kept, and so they are sent to whoever takes them.
"""

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gateway.cache import Cache, CacheBounds, Source, Value
from gateway.cache_store import CacheStore
from schema.reads import PoolsReading, Reads
from schema.rows import ResourceKey
from topics.redis_keys import part_name, whole_name
from topics.seating import Plan, area_of, house_of, pool_of_area, row_and_number

_PART = "seats"
_QUICKLY = 1  # a tenth larger than at zlib's own choice, in a fifth of the time
_encoder = msgspec.json.Encoder()


class SeatShown(msgspec.Struct, frozen=True):
    """A seat of the map. One that was left out of the plan while somebody has it has no `kind`."""

    id: str
    row: str
    number: int
    kind: str | None
    status: str


class AreaShown(msgspec.Struct, frozen=True):
    """An area of the map."""

    id: str
    capacity: int
    held: int
    taken: int
    remaining: int


class MapShown(msgspec.Struct, frozen=True):
    """All of a house, as of a version of the screening."""

    screening_id: str
    version: int
    title: str | None
    focal: str | None
    seats: list[SeatShown]
    areas: list[AreaShown]


@dataclass(frozen=True, slots=True)
class SeatMap:
    """A map as it is sent: what tells it from any other map of its screening, and the JSON, compressed by gzip."""

    tag: str
    compressed: bytes


class SeatMaps:
    """The maps of the screenings of one kind."""

    def __init__(self, kind: str, reads: Reads, *, store: CacheStore, bounds: CacheBounds) -> None:
        """`bounds` must let no map outlive a tombstone that is written after it: see `lifetimes`."""
        self._kind = kind
        self._reads = reads
        self._cache = Cache(store, self._read, bounds)

    def reads(self) -> Counter[Source]:
        """Return how many maps came from where."""
        return self._cache.reads

    async def of(self, screening_id: str, version_least: int = 0) -> SeatMap | None:
        """Return the map of a screening, None if there is none; raises what asyncpg raises."""
        name = part_name(self._kind, screening_id, _PART)
        payload = (await self._cache.get([name], version_least))[name].payload
        tag, _, compressed = payload.partition(b" ")
        return SeatMap(tag.decode(), compressed) if payload else None

    async def close(self) -> None:
        """End what is being read."""
        await self._cache.close()

    async def _read(self, names: Sequence[str]) -> Mapping[str, Value]:
        found = {}
        for name in names:
            screening_id = whole_name(name).partition(":")[2]
            reading = await self._reads.pools_out(ResourceKey(self._kind, screening_id))
            if reading is not None:
                compressed = gzip.compress(_encoder.encode(shown(screening_id, reading)), _QUICKLY, mtime=0)
                payload = f"{tag_of(reading)} ".encode() + compressed
                found[name] = Value(reading.version, payload, reading.expires_in_ms)
        return found


def lifetimes(fresh_seconds: int, stale_seconds: int, tombstone_seconds: int) -> tuple[int, int]:
    """Return how long a map is fresh and then stale, in ms: together less than any tombstone that makes it wrong.

    A tombstone sees to the resource's own entry; of its parts it knows nothing.
    """
    life_ms = tombstone_seconds * 1000 - 1
    fresh_ms = min(fresh_seconds * 1000, life_ms)
    return fresh_ms, min(stale_seconds * 1000, life_ms - fresh_ms)


def tag_of(reading: PoolsReading) -> str:
    """Return what tells a map from any other of its screening: a version changes by time only, as holds come to be over.

    After a backup was restored a version comes again, with other seats; by its epoch it is told from the one before.
    """
    return f"{reading.epoch}-{reading.version}-{reading.over_count}"


def shown(screening_id: str, reading: PoolsReading) -> MapShown:
    """Return the map: the seats of the plan from front to back, then those left out that somebody has; the areas."""
    settings = reading.settings
    plan = settings.plan if isinstance(settings.plan, Plan) else Plan()
    seats = [*_planned(plan, reading), *_left_out(plan, reading)]
    return MapShown(screening_id, reading.version, settings.title, plan.focal, seats, list(_areas(plan, reading)))


def _planned(plan: Plan, reading: PoolsReading) -> Iterator[SeatShown]:
    held, taken = reading.held, reading.taken
    for seat in house_of(plan).seats.values():
        status = (
            "taken" if seat.id in taken else "held" if seat.id in held else "blocked" if seat.is_blocked else "free"
        )
        yield SeatShown(seat.id, seat.row, seat.number, seat.kind, status)


def _left_out(plan: Plan, reading: PoolsReading) -> Iterator[SeatShown]:
    seats = house_of(plan).seats
    for pool in sorted({*reading.held, *reading.taken}):
        if pool not in seats and area_of(pool) is None:
            yield SeatShown(pool, *row_and_number(pool), None, "taken" if pool in reading.taken else "held")


def _areas(plan: Plan, reading: PoolsReading) -> Iterator[AreaShown]:
    for area in plan.areas:
        pool = pool_of_area(area.id)
        held, taken = reading.held.get(pool, 0), reading.taken.get(pool, 0)
        yield AreaShown(area.id, area.capacity, held, taken, max(0, area.capacity - held - taken))
