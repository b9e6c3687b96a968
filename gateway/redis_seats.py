"""The mirror of held seats in Redis, as workers write it. It decides nothing about what is believed."""

from collections.abc import Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.cache_store import CacheUnavailableError
from gateway.resting_cache import RestingCalls
from gateway.seat_mirror import NOT_WHOLE, Pool, Seen
from topics.mirror import decode_held
from topics.redis_keys import RedisKeys, held_name, pool_name, resource_name
from topics.redis_patience import Rest, within


class RedisSeats:
    """Implements `gateway.seat_mirror.MirrorReader`."""

    def __init__(self, redis: Redis, keys: RedisKeys, *, timeout_seconds: float, rest: Rest) -> None:
        """Wait no longer than the timeout; while Redis rests it is not asked."""
        self._redis = redis
        self._keys = keys
        self._timeout_seconds = timeout_seconds
        self._calls = RestingCalls(rest)

    async def read(self, pools: Sequence[Pool]) -> Sequence[Seen]:
        """See `MirrorReader`."""
        resources = [resource_name(pool.key.kind, pool.key.resource_id) for pool in pools]
        names = [pool_name(pool.word, pool.pool) for pool in pools]
        places = [*map(self._keys.marker, resources), *map(self._keys.held, map(held_name, resources, names))]
        found = await self._calls.ask(lambda: self._look(places))
        return [_seen(marker, value) for marker, value in zip(found[: len(pools)], found[len(pools) :], strict=True)]

    async def _look(self, places: Sequence[str]) -> Sequence[Any]:
        try:
            return await within(self._timeout_seconds, self._mget(places))
        except (RedisError, OSError, TimeoutError) as fault:
            raise CacheUnavailableError(repr(fault)) from fault

    async def _mget(self, places: Sequence[str]) -> Sequence[Any]:
        return await self._redis.mget(places)


def _seen(marker: bytes | None, value: bytes | None) -> Seen:
    """Read what lies there; what is nonsense proves nothing."""
    try:
        return Seen(None if marker is None else int(marker), None if value is None else decode_held(value))
    except (ValueError, msgspec.DecodeError):
        return NOT_WHOLE
