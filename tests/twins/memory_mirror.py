"""The mirror of held pools in memory: what `workers.redis_mirror` and `gateway.redis_seats` do on Redis, step for step.

The clock is given; a test may flush it, as FLUSHALL does, or let it be away.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.cache_store import CacheUnavailableError
from gateway.seat_mirror import Pool, Seen
from schema.rows import ResourceKey
from topics.mirror import HeldPool, decode_held
from topics.redis_keys import pool_name
from workers.mirroring import Change, Kept, Snapshot


@dataclass
class _Lock:
    owner: str
    ends_ms: int
    first: int | None = None
    last: int = -1


@dataclass
class MemoryMirror:
    """Implements `workers.mirroring.MirrorStore` and `gateway.seat_mirror.MirrorReader`."""

    now_ms: Callable[[], int]
    marker_ms: int = 30_000
    tombstone_ms: int = 60_000
    lock_ms: int = 5_000
    is_away: bool = False
    _markers: dict[ResourceKey, tuple[int, int]] = field(default_factory=dict)
    _locks: dict[ResourceKey, _Lock] = field(default_factory=dict)
    _pools: dict[ResourceKey, dict[str, tuple[HeldPool, int]]] = field(default_factory=dict)
    _tombstones: dict[tuple[ResourceKey, str], tuple[int, int]] = field(default_factory=dict)

    async def tell(self, changes: Sequence[Change]) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        self._answer()
        return [change.key for change in changes if not self._tell(change)]

    def _tell(self, change: Change) -> bool:
        marker = self._marker(change.key)
        if marker >= change.last:
            return True
        if 0 <= marker < change.first - 1:
            del self._markers[change.key]
            marker = -1
        self._put(change.key, change.last, change.held, change.free)
        lock = self._lock(change.key)
        if lock is not None:
            if lock.first is None:
                lock.first, lock.last = change.first, change.last
            elif lock.last >= change.first - 1:
                lock.last = max(lock.last, change.last)
            else:
                del self._locks[change.key]
        if marker < 0:
            return False
        self._markers[change.key] = change.last, self._markers[change.key][1]
        return True

    async def doubt(self, keys: Collection[ResourceKey]) -> None:
        """See `MirrorStore`."""
        self._answer()
        for key in keys:
            self._markers.pop(key, None)
            self._locks.pop(key, None)

    async def check(self, versions: Mapping[ResourceKey, int]) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        self._answer()
        for key, version in versions.items():
            if self._marker(key) == version:
                self._markers[key] = version, self.now_ms() + self.marker_ms
        return [key for key, version in versions.items() if self._marker(key) < version]

    async def lock(self, keys: Collection[ResourceKey], owner: str) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        self._answer()
        free = [key for key in keys if self._lock(key) is None]
        for key in free:
            self._locks[key] = _Lock(owner, self.now_ms() + self.lock_ms)
        return free

    async def store(self, snapshots: Sequence[Snapshot], owner: str) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        self._answer()
        return {snapshot.key for snapshot in snapshots if self._store(snapshot, owner)}

    def _store(self, snapshot: Snapshot, owner: str) -> bool:
        lock = self._lock(snapshot.key)
        if lock is None or lock.owner != owner:
            return False
        self._put(snapshot.key, snapshot.version, snapshot.held, ())
        pools = self._pools[snapshot.key]
        for name in [name for name, (held, _) in pools.items() if held.version < snapshot.version]:
            del pools[name]
        del self._locks[snapshot.key]
        whole = snapshot.version
        if lock.first is not None:
            whole = max(whole, lock.last) if lock.first - 1 <= whole else -1
        if self._marker(snapshot.key) < whole:
            self._markers[snapshot.key] = whole, self.now_ms() + self.marker_ms
        return self._marker(snapshot.key) >= 0

    async def read(self, pools: Sequence[Pool]) -> Sequence[Seen]:
        """See `gateway.seat_mirror.MirrorReader`."""
        if self.is_away:
            raise CacheUnavailableError("the mirror is away")
        return [self._see(*pool) for pool in pools]

    def _see(self, key: ResourceKey, word: str, pool: str) -> Seen:
        marker = self._marker(key)
        held = self._held(key, pool_name(word, pool))
        return Seen(None if marker < 0 else marker, held)

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does."""
        self._markers.clear()
        self._locks.clear()
        self._pools.clear()
        self._tombstones.clear()

    def _answer(self) -> None:
        if self.is_away:
            raise ConnectionError("the mirror is away")

    def _put(self, key: ResourceKey, version: int, held: Mapping[str, Kept], free: Collection[str]) -> None:
        pools = self._pools.setdefault(key, {})
        for name, kept in held.items():
            value, known = decode_held(kept.value), self._held(key, name)
            if self._newest(key, name) <= version and (known is None or known.version <= value.version):
                pools[name] = value, self.now_ms() + kept.lives_ms
        for name in free:
            if self._newest(key, name) <= version:
                pools.pop(name, None)
                self._tombstones[key, name] = version, self.now_ms() + self.tombstone_ms

    def _newest(self, key: ResourceKey, name: str) -> int:
        held = self._held(key, name)
        version, ends_ms = self._tombstones.get((key, name), (-1, 0))
        return max(-1 if held is None else held.version, version if self.now_ms() < ends_ms else -1)

    def _held(self, key: ResourceKey, name: str) -> HeldPool | None:
        held, ends_ms = self._pools.get(key, {}).get(name, (None, 0))
        return held if self.now_ms() < ends_ms else None

    def _marker(self, key: ResourceKey) -> int:
        version, ends_ms = self._markers.get(key, (-1, 0))
        return version if self.now_ms() < ends_ms else -1

    def _lock(self, key: ResourceKey) -> _Lock | None:
        lock = self._locks.get(key)
        return lock if lock is not None and self.now_ms() < lock.ends_ms else None
