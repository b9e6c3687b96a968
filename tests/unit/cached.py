"""A source, a cache in memory and gateways that read through it, for tests that force the order of things."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.cache import Cache, CacheBounds, Value
from gateway.cache_store import CacheStore
from tests.twins.memory_cache import MemoryCache

BOUNDS = CacheBounds(fresh_ms=10_000, stale_ms=60_000, lock_ms=5_000, wait_ms=1_000, names_max=100, looks_apart_ms=0)


@dataclass
class Gate:
    """Where readings of the source wait, after they have read and before they tell."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class World:
    """The truth, a cache, and the clock of both."""

    def __init__(self) -> None:
        """Begin with nothing cached."""
        self.clock_ms = 1_000_000
        self.memory = MemoryCache(lambda: self.clock_ms)
        self.values: dict[str, Value] = {}
        self.reads: list[list[str]] = []
        self.gate: Gate | None = None
        self.fault: Exception | None = None

    def gateway(self, store: CacheStore | None = None) -> Cache:
        """Return the cache of a gateway; its pauses pass the common clock."""
        return Cache(
            store or self.memory,
            self.read_source,
            BOUNDS,
            clock_seconds=lambda: self.clock_ms / 1000,
            pause=self.pause,
        )

    async def pause(self, seconds: float) -> None:
        """Let time pass, and everybody else have a turn."""
        self.clock_ms += int(seconds * 1000)
        await asyncio.sleep(0)

    async def read_source(self, names: Sequence[str]) -> Mapping[str, Value]:
        """Read as a query does: what it saw does not change while its answer is on the way."""
        self.reads.append(list(names))
        seen = {name: self.values[name] for name in names if name in self.values}
        if self.fault is not None:
            raise self.fault
        if self.gate is not None:
            gate = self.gate
            gate.reached.set()
            await gate.opened.wait()
        return seen

    async def write(self, name: str, version: int, *, changes_in_ms: int | None = None) -> None:
        """Commit, invalidate, and only then return: the writer has its answer."""
        self.values[name] = Value(version, b"%d" % version, changes_in_ms)
        await self.memory.write({name: version}, [])


async def version(cache: Cache, name: str, version_least: int = 0) -> int:
    """Return the version that a reader gets."""
    return (await cache.get([name], version_least))[name].version
