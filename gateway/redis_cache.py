"""The cache in Redis: what must happen in one step is one Lua call. It decides nothing about what is served."""

from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from gateway.cache_store import CacheUnavailableError, Entry, Locked, Seen
from topics.redis_keys import RedisKeys
from topics.redis_patience import within

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
        """All of a call together takes no longer than the timeout."""
        self._redis = redis
        self._keys = keys
        self._timeout_seconds = timeout_seconds
        self._lock = redis.register_script(_LOCK)
        self._store = redis.register_script(_STORE)

    async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
        """See `CacheStore`."""
        found, time = await self._within(self._look(names))
        return _seen(names, found, time)

    async def lock(self, names: Sequence[str], owner: str, lock_ms: int) -> Locked:
        """See `CacheStore`."""
        keys = [*map(self._keys.lock, names), *map(self._keys.entry, names), *map(self._keys.tombstone, names)]
        time, taken, found = await self._within(_run(self._lock, keys, [owner, lock_ms]))
        return Locked(_seen(names, found, time), frozenset(names[place - 1] for place in taken))

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """See `CacheStore`."""
        names = list(taken)
        keys = [place(name) for name in names for place in (self._keys.lock, self._keys.entry, self._keys.tombstone)]
        args = [owner, *(argument for name in names for argument in _stored(entries.get(name)))]
        stored = await self._within(_run(self._store, keys, args))
        return [names[place - 1] for place in stored]

    async def _look(self, names: Sequence[str]) -> Sequence[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.mget([*map(self._keys.entry, names), *map(self._keys.tombstone, names)])
            pipeline.time()
            return await pipeline.execute()

    async def _within(self, calling: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - Redis answers what it was asked
        try:
            return await within(self._timeout_seconds, calling)
        except (RedisError, OSError, TimeoutError) as fault:
            raise CacheUnavailableError(repr(fault)) from fault


async def _run(script: AsyncScript, keys: Sequence[str], args: Sequence[Any]) -> Sequence[Any]:
    answer: Sequence[Any] = await script(keys=keys, args=args)
    return answer


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
