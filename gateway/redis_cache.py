"""The cache in Redis: what must happen in one step is one Lua call. It decides nothing about what is served."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.cache_store import CacheUnavailableError, Entry, Locked, Seen
from topics.redis_keys import RedisKeys

# KEYS: locks, entries, tombstones, in the same order. ARGV: owner, milliseconds. The clock is read before the locks are
# ours, so before anything is read under them.
_LOCK = """
local count = #KEYS / 3
local time = redis.call('TIME')
local taken = {}
for place = 1, count do
    if redis.call('SET', KEYS[place], ARGV[1], 'NX', 'PX', ARGV[2]) then
        taken[#taken + 1] = place
    end
end
return {time, taken, redis.call('MGET', unpack(KEYS, count + 1))}
"""

# KEYS: lock, entry, tombstone of each. ARGV: owner, then of each: version, kept until, value; no value is a mere release.
_STORE = """
local stored = {}
for place = 1, #KEYS / 3 do
    local lock, entry, tombstone = KEYS[3 * place - 2], KEYS[3 * place - 1], KEYS[3 * place]
    local version, kept_until_ms, value = ARGV[3 * place - 1], ARGV[3 * place], ARGV[3 * place + 1]
    if redis.call('GET', lock) == ARGV[1] then
        redis.call('DEL', lock)
        if value ~= '' and tonumber(version) >= tonumber(redis.call('GET', tombstone) or '0') then
            redis.call('SET', entry, value, 'PXAT', kept_until_ms)
            stored[#stored + 1] = place
        end
    end
end
return stored
"""


class RedisCache:
    """Implements `gateway.cache_store.CacheStore`."""

    def __init__(self, redis: Redis, keys: RedisKeys, *, timeout_seconds: float) -> None:
        """Use a client of `topics.redis_client`; all of a call together takes no longer than the timeout."""
        self._redis = redis
        self._keys = keys
        self._timeout_seconds = timeout_seconds
        self._lock = redis.register_script(_LOCK)
        self._store = redis.register_script(_STORE)

    async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
        """See `CacheStore`."""
        async with self._bounded(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.mget([*map(self._keys.entry, names), *map(self._keys.tombstone, names)])
            pipeline.time()
            found, time = await pipeline.execute()
            return _seen(names, found, time)

    async def lock(self, names: Sequence[str], owner: str, lock_ms: int) -> Locked:
        """See `CacheStore`."""
        keys = [*map(self._keys.lock, names), *map(self._keys.entry, names), *map(self._keys.tombstone, names)]
        async with self._bounded():
            time, taken, found = await self._lock(keys=keys, args=[owner, lock_ms])
            return Locked(_seen(names, found, time), frozenset(names[place - 1] for place in taken))

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """See `CacheStore`."""
        names = list(taken)
        keys = [place(name) for name in names for place in (self._keys.lock, self._keys.entry, self._keys.tombstone)]
        async with self._bounded():
            args = [owner, *(argument for name in names for argument in _stored(entries.get(name)))]
            return [names[place - 1] for place in await self._store(keys=keys, args=args)]

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield
        except (RedisError, OSError, TimeoutError) as fault:
            raise CacheUnavailableError(repr(fault)) from fault


def _stored(entry: Entry | None) -> tuple[int, int, bytes]:
    """Write an entry as `fresh until, version, payload`; the version and its end stand beside it, for Lua."""
    if entry is None:
        return 0, 0, b""
    value = b"%d %d %s" % (entry.fresh_until_ms, entry.version, entry.payload)
    return entry.version, entry.kept_until_ms, value


def _seen(names: Sequence[str], found: Sequence[bytes | None], time: Sequence[Any]) -> dict[str, Seen]:
    now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
    entries, tombstones = found[: len(names)], found[len(names) :]
    return {
        name: Seen(now_ms, _entry(entry), int(tombstone or 0))
        for name, entry, tombstone in zip(names, entries, tombstones, strict=True)
    }


def _entry(value: bytes | None) -> Entry | None:
    """Read an entry; what is none, though it lies there, is as good as nothing."""
    fresh_until_ms, _, rest = (value or b"").partition(b" ")
    version, _, payload = rest.partition(b" ")
    if not fresh_until_ms.isdigit() or not version.isdigit():
        return None
    return Entry(int(version), payload, int(fresh_until_ms))
