"""Tombstones in Redis. A tombstone is written, nothing is deleted: a gateway that read before the commit must not store."""

from collections.abc import Collection, Mapping, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from topics.prompt_outcomes import channel_of
from topics.redis_keys import RedisKeys
from topics.redis_patience import within

# KEYS: the tombstones, then the entries in the same order. ARGV: how long a tombstone lives (ms), then the versions, then
# channel and message, if there is one: whoever hears it must not read what the tombstones make wrong. Where it may not be
# published (ACL), the tombstones stand all the same.
# An entry that the tombstone makes wrong must not outlive it.
_RAISE = """
local count = #KEYS / 2
for place = 1, count do
    local tombstone, entry = KEYS[place], KEYS[count + place]
    local known = tonumber(redis.call('GET', tombstone) or '0')
    if tonumber(ARGV[place + 1]) > known then
        redis.call('SET', tombstone, ARGV[place + 1], 'PX', ARGV[1])
    else
        redis.call('PEXPIRE', tombstone, ARGV[1])
    end
    if redis.call('PTTL', entry) >= tonumber(ARGV[1]) then
        redis.call('PEXPIRE', entry, ARGV[1] - 1)
    end
end
if ARGV[count + 2] then redis.pcall('PUBLISH', ARGV[count + 2], ARGV[count + 3]) end
"""


class RedisTombstones:
    """Implements `workers.invalidation.Tombstones`."""

    def __init__(self, redis: Redis, keys: RedisKeys, *, tombstone_seconds: int, timeout_seconds: float) -> None:
        """All of a call together takes no longer than the timeout."""
        self._redis = redis
        self._raise = redis.register_script(_RAISE)
        self._keys = keys
        self._channel = channel_of(redis, keys)
        self._tombstone_ms = tombstone_seconds * 1000
        self._timeout_seconds = timeout_seconds

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str], outcomes: bytes = b"") -> None:
        """See `Tombstones`."""
        keys = [*map(self._keys.tombstone, versions), *map(self._keys.entry, versions)]
        lists = [*map(self._keys.entry, forgotten), *map(self._keys.lock, forgotten)]
        told = (self._channel, outcomes) if outcomes else ()
        args = [self._tombstone_ms, *versions.values(), *told]
        try:
            await within(self._timeout_seconds, self._write(keys, args, lists))
        except RedisError as fault:
            raise ConnectionError(str(fault)) from fault

    async def _write(self, keys: Sequence[str], args: Sequence[int | str | bytes], lists: Sequence[str]) -> None:
        if lists:
            await self._redis.delete(*lists)
        await self._raise(keys=keys, args=args)
