"""The cache as its clients reach it, through the weather; and what it and everybody was told, which readers are held to."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.cache_store import CacheUnavailableError, Entry, Locked, Seen
from tests.simulation.weather import WeatheredLine
from tests.twins.memory_cache import MemoryCache
from topics.redis_keys import ids_name, resource_name

Answer = TypeVar("Answer")


@dataclass
class News:
    """Of each slot, up to which version its changes were told: to the cache, and to all who read the events.

    What the cache did not take may be served for as long as an entry lives, `entry_seconds`.
    """

    kind: str
    entry_seconds: float
    _taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _skipped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _listed: set[str] = field(default_factory=set)
    _told: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, versions: Mapping[str, int], forgotten: Collection[str]) -> None:
        """Note that the cache took tombstones, and forgot these lists."""
        for name, version in versions.items():
            self._taken[name] = max(version, self._taken[name])
        if ids_name(self.kind) in forgotten:
            self._listed |= versions.keys()

    def skip(self, versions: Mapping[str, int]) -> None:
        """Note that the cache did not take tombstones, as far as their writer knows."""
        for name, version in versions.items():
            self._skipped[name] = max(version, self._skipped[name])

    def tell(self, resource_id: str, version: int, now: float) -> bool:
        """Note that everybody is told of a version; returns whether the cache was before, or its writer had tried.

        With its first version a slot must be new to the lists too.
        """
        name = resource_name(self.kind, resource_id)
        self._told[name].append((now, version))
        is_listed = version > 1 or name in self._listed or self._skipped[name] > 0
        return is_listed and version <= max(self._taken[name], self._skipped[name])

    def version_least(self, resource_id: str, now: float) -> int:
        """Return the version below which nobody who asks now may be answered."""
        name = resource_name(self.kind, resource_id)
        long_ago = [version for at, version in self._told[name] if at + self.entry_seconds < now]
        told = max((version for _, version in self._told[name]), default=0)
        return max(min(told, self._taken[name]), *long_ago, 0)

    def ids_least(self, now: float) -> frozenset[str]:
        """Return the ids that a list must have that is asked for now."""
        return frozenset(
            name.partition(":")[2]
            for name, told in self._told.items()
            if told and (name in self._listed or told[0][0] + self.entry_seconds < now)
        )


@dataclass(frozen=True)
class TombstonesOfWorker:
    """Implements `workers.invalidation.Tombstones`."""

    cache: MemoryCache
    line: WeatheredLine
    news: News

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str], outcomes: bytes = b"") -> None:
        """See `Tombstones`."""

        async def work() -> None:
            await self.cache.write(versions, forgotten, outcomes)
            self.news.take(versions, forgotten)

        try:
            await self.line.ask(work)
        except (OSError, TimeoutError):
            self.news.skip(versions)
            raise


@dataclass(frozen=True)
class StoreOfGateway:
    """Implements `gateway.cache_store.CacheStore`."""

    cache: MemoryCache
    line: WeatheredLine

    async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
        """See `CacheStore`."""
        return await self._ask(lambda: self.cache.read(names))

    async def lock(self, names: Sequence[str], owner: str, lock_ms: int) -> Locked:
        """See `CacheStore`."""
        return await self._ask(lambda: self.cache.lock(names, owner, lock_ms))

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """See `CacheStore`."""
        return await self._ask(lambda: self.cache.store(entries, owner, taken))

    async def _ask(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await self.line.ask(work)
        except (OSError, TimeoutError) as fault:
            raise CacheUnavailableError(str(fault)) from fault
