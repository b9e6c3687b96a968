"""The cache in memory: what `gateway.redis_cache` and `workers.redis_tombstones` do on Redis, step for step.

The clock is given; a test may flush it, as FLUSHALL does, or let it be away.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.cache_store import CacheUnavailableError, Entry, Locked, Seen
from topics.redis_keys import whole_name


@dataclass
class MemoryCache:
    """Implements `gateway.cache_store.CacheStore` and `workers.invalidation.Tombstones`."""

    now_ms: Callable[[], int]
    tombstone_ms: int = 60_000
    is_away: bool = False
    told: list[bytes] = field(default_factory=list)
    _entries: dict[str, Entry] = field(default_factory=dict)
    _locks: dict[str, tuple[str, int]] = field(default_factory=dict)
    _tombstones: dict[str, tuple[int, int]] = field(default_factory=dict)

    async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
        """See `CacheStore`."""
        self._answer()
        return {name: self._see(name) for name in names}

    async def lock(self, names: Sequence[str], owner: str, lock_ms: int) -> Locked:
        """See `CacheStore`."""
        self._answer()
        free = [name for name in names if self._owner(name) is None]
        for name in free:
            self._locks[name] = (owner, self.now_ms() + lock_ms)
        return Locked({name: self._see(name) for name in names}, frozenset(free))

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """See `CacheStore`."""
        self._answer()
        stored = []
        for name in [name for name in taken if self._owner(name) == owner]:
            del self._locks[name]
            if name in entries and entries[name].version >= self._tombstone(name):
                self._entries[name] = entries[name]
                stored.append(name)
        return stored

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str], outcomes: bytes = b"") -> None:
        """See `workers.invalidation.Tombstones`."""
        if self.is_away:
            raise ConnectionError("the cache is away")
        ends_ms = self.now_ms() + self.tombstone_ms
        for name, version in versions.items():
            self._tombstones[name] = (max(version, self._tombstone(name)), ends_ms)
            entry = self._entries.get(name)
            if entry is not None and entry.kept_until_ms >= ends_ms:
                self._entries[name] = Entry(entry.version, entry.payload, entry.fresh_until_ms, ends_ms - 1)
        for name in forgotten:
            self._entries.pop(name, None)
            self._locks.pop(name, None)
        if outcomes:
            self.told.append(outcomes)

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does."""
        self._entries.clear()
        self._locks.clear()
        self._tombstones.clear()

    def _answer(self) -> None:
        if self.is_away:
            raise CacheUnavailableError("the cache is away")

    def _see(self, name: str) -> Seen:
        entry = self._entries.get(name)
        if entry is not None and entry.kept_until_ms <= self.now_ms():
            entry = None
        return Seen(self.now_ms(), entry, self._tombstone(name))

    def _owner(self, name: str) -> str | None:
        owner, ends_ms = self._locks.get(name, ("", 0))
        return owner if self.now_ms() < ends_ms else None

    def _tombstone(self, name: str) -> int:
        version, ends_ms = self._tombstones.get(whole_name(name), (0, 0))
        return version if self.now_ms() < ends_ms else 0
