"""Tell Redis that availability changed: a tombstone with the committed version. Redis never holds up a command."""

from collections.abc import Mapping

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schema.rows import ResourceKey

_log = structlog.get_logger(__name__)

# The larger version wins: a late invalidation of an old write must not undo that of a newer one.
_RAISE_TOMBSTONE = """
for place, key in ipairs(KEYS) do
    local version = tonumber(ARGV[place + 1])
    local known = tonumber(redis.call('GET', key) or '-1')
    if version > known then
        redis.call('SET', key, ARGV[place + 1], 'EX', ARGV[1])
    else
        redis.call('EXPIRE', key, ARGV[1])
    end
end
"""


def tombstone_key(prefix: str, key: ResourceKey) -> str:
    """Return the name of the tombstone of a resource."""
    return f"{prefix}tombstone:{key.kind}:{key.resource_id}"


class Invalidator:
    """Writes tombstones, within a bound; what Redis does not take in time is counted, the entries' TTL heals it."""

    def __init__(self, redis: Redis, *, prefix: str, tombstone_seconds: int) -> None:
        """Use a client whose socket timeouts are the bound."""
        self._raise_tombstone = redis.register_script(_RAISE_TOMBSTONE)
        self._prefix = prefix
        self._tombstone_seconds = tombstone_seconds
        self.skipped = 0

    async def invalidate(self, versions: Mapping[ResourceKey, int]) -> None:
        """Raise the tombstone of each resource to its version. Never raises for what Redis does."""
        if not versions:
            return
        keys = [tombstone_key(self._prefix, key) for key in versions]
        try:
            await self._raise_tombstone(keys=keys, args=[self._tombstone_seconds, *versions.values()])
        except (RedisError, OSError, TimeoutError) as fault:
            self.skipped += 1
            _log.warning("redis did not take an invalidation, the TTL will", resources=len(keys), fault=repr(fault))
