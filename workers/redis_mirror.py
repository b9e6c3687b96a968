"""The mirror in Redis: what must happen in one step is one Lua call.

A call has so many pools at most. A large change is several calls, sent together, of which the last moves the marker.
"""

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from schema.rows import ResourceKey
from topics.redis_keys import RedisKeys, held_name, resource_name
from topics.redis_patience import within
from workers.mirroring import Change, Kept, Snapshot

POOLS_AT_ONCE = 1_000
T = TypeVar("T")

# Write pools as they are at a version, unless something newer is known of them. From ARGV[at] on: how long a tombstone lives
# (ms), what their keys and their tombstones begin with, the names of the free ones, a line each; then values, each with its
# lifetime (ms) and the names of those that have it. Keys are built here: to name 5,000 of them takes longer than to write them.
_PUT = """
local function version_of(value)
    return value and tonumber(string.match(value, '^{"version":(%d+)')) or -1
end

local function places(names, beginning)
    local found = {}
    for name in string.gmatch(names, '[^\\n]+') do found[#found + 1] = beginning .. name end
    return found
end

local function known_of(keys, tombstones)
    local values, freed, known = redis.call('MGET', unpack(keys)), redis.call('MGET', unpack(tombstones)), {}
    for place = 1, #keys do known[place] = {version_of(values[place]), freed[place] and tonumber(freed[place]) or -1} end
    return known
end

local function free(names, at, version, index)
    local keys, tombstones, gone = places(names, ARGV[at + 1]), places(names, ARGV[at + 2]), {}
    if #keys == 0 then return end
    for place, known in ipairs(known_of(keys, tombstones)) do
        if known[1] <= version and known[2] <= version then
            redis.call('SET', tombstones[place], version, 'PX', ARGV[at])
            gone[#gone + 1] = keys[place]
        end
    end
    if #gone > 0 then
        redis.call('DEL', unpack(gone))
        redis.call('SREM', index, unpack(gone))
    end
end

local function hold(value, lives_ms, names, at, version, index)
    local keys, tombstones, kept = places(names, ARGV[at + 1]), places(names, ARGV[at + 2]), {}
    local own = version_of(value)
    for place, known in ipairs(known_of(keys, tombstones)) do
        if known[1] <= own and known[1] <= version and known[2] <= version then
            redis.call('SET', keys[place], value, 'PX', lives_ms)
            kept[#kept + 1] = keys[place]
        end
    end
    if #kept > 0 then
        redis.call('SADD', index, unpack(kept))
        if redis.call('PTTL', index) < tonumber(lives_ms) then redis.call('PEXPIRE', index, lives_ms) end
    end
end

local function put(at, version, index)
    free(ARGV[at + 3], at, version, index)
    for place = at + 4, #ARGV, 3 do hold(ARGV[place], ARGV[place + 1], ARGV[place + 2], at, version, index) end
end
"""

# KEYS: marker, lock, index. ARGV: first version, last version, whether it is the last call, pools.
# Returns whether the mirror is whole.
_TELL = (
    _PUT
    + """
local first, last, is_end = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local marker = tonumber(redis.call('GET', KEYS[1]) or '-1')
if marker >= last then return 1 end
if marker >= 0 and marker < first - 1 then
    redis.call('DEL', KEYS[1])
    marker = -1
end
put(4, last, KEYS[3])
if not is_end then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then
    local told = tonumber(redis.call('HGET', KEYS[2], 'last') or '-1')
    if told < 0 then
        redis.call('HSET', KEYS[2], 'first', first, 'last', last)
    elseif told >= first - 1 then
        redis.call('HSET', KEYS[2], 'last', math.max(told, last))
    else
        redis.call('DEL', KEYS[2])
    end
end
if marker < 0 then return 0 end
redis.call('SET', KEYS[1], last, 'KEEPTTL')
return 1
"""
)

# KEYS: locks. ARGV: owner, milliseconds. Returns the places of those that are ours now.
_LOCK = """
local taken = {}
for place = 1, #KEYS do
    if redis.call('EXISTS', KEYS[place]) == 0 then
        redis.call('HSET', KEYS[place], 'owner', ARGV[1])
        redis.call('PEXPIRE', KEYS[place], ARGV[2])
        taken[#taken + 1] = place
    end
end
return taken
"""

# KEYS: marker, lock, index. ARGV: version, owner, whether it is the last call, how long a marker lives (ms), pools.
# All that is held bears at least this version then: what bears a smaller one is not so any more, and nobody was told.
# What was told since the lock was taken is written already: if it goes on from this version, the mirror is as new as that.
# Returns whether the mirror is whole.
_STORE = (
    _PUT
    + """
local version = tonumber(ARGV[1])
if redis.call('HGET', KEYS[2], 'owner') ~= ARGV[2] then return 0 end
put(5, version, KEYS[3])
if ARGV[3] ~= '1' then return 0 end
for _, key in ipairs(redis.call('SMEMBERS', KEYS[3])) do
    if version_of(redis.call('GET', key)) < version then
        redis.call('DEL', key)
        redis.call('SREM', KEYS[3], key)
    end
end
local told = redis.call('HMGET', KEYS[2], 'first', 'last')
redis.call('DEL', KEYS[2])
local whole = version
if told[1] then
    whole = tonumber(told[1]) - 1 <= version and math.max(version, tonumber(told[2])) or -1
end
local marker = tonumber(redis.call('GET', KEYS[1]) or '-1')
if marker < whole then
    redis.call('SET', KEYS[1], whole, 'PX', ARGV[4])
    return 1
end
return marker >= 0 and 1 or 0
"""
)

# KEYS: markers. ARGV: how long a marker lives (ms), then the versions. Returns the places of those that are not whole.
_CHECK = """
local behind = {}
for place = 1, #KEYS do
    local marker, version = tonumber(redis.call('GET', KEYS[place]) or '-1'), tonumber(ARGV[place + 1])
    if marker == version then
        redis.call('PEXPIRE', KEYS[place], ARGV[1])
    elseif marker < version then
        behind[#behind + 1] = place
    end
end
return behind
"""


@dataclass(frozen=True, slots=True)
class MirrorLives:
    """How long things live: a marker that nobody renews, the tombstone of a pool, the lock of a rebuild."""

    marker_ms: int
    tombstone_ms: int
    lock_ms: int


@dataclass(frozen=True, slots=True)
class _Pools:
    """Pools for one call: free ones, and held ones by what is kept of them."""

    free: Sequence[str]
    held: Mapping[Kept, Sequence[str]]
    is_end: bool


@dataclass(frozen=True, slots=True)
class _Call:
    """One call for a resource: its own arguments, and the pools that it writes."""

    key: ResourceKey
    head: Sequence[Any]
    pools: _Pools


class RedisMirror:
    """Implements `workers.mirroring.MirrorStore`."""

    def __init__(self, redis: Redis, keys: RedisKeys, lives: MirrorLives, *, timeout_seconds: float) -> None:
        """All of a call together takes no longer than the timeout."""
        self._redis = redis
        self._keys = keys
        self._lives = lives
        self._timeout_seconds = timeout_seconds
        self._tell = redis.register_script(_TELL)
        self._lock = redis.register_script(_LOCK)
        self._store = redis.register_script(_STORE)
        self._check = redis.register_script(_CHECK)

    async def tell(self, changes: Sequence[Change]) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        calls = [
            _Call(change.key, (change.first, change.last, int(pools.is_end)), pools)
            for change in changes
            for pools in _parted(change.held, change.free)
        ]
        whole = await self._within(self._put(self._tell, calls))
        return [change.key for change in changes if change.key not in whole]

    async def doubt(self, keys: Collection[ResourceKey]) -> None:
        """See `MirrorStore`."""
        names = _names(keys)
        if names:
            places = [*map(self._keys.marker, names), *map(self._keys.rebuild_lock, names)]
            await self._within(self._delete(places))

    async def _delete(self, places: Sequence[str]) -> None:
        await self._redis.delete(*places)

    async def check(self, versions: Mapping[ResourceKey, int]) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        return await self._chosen(
            self._check, self._keys.marker, list(versions), self._lives.marker_ms, *versions.values()
        )

    async def lock(self, keys: Collection[ResourceKey], owner: str) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        return await self._chosen(self._lock, self._keys.rebuild_lock, list(keys), owner, self._lives.lock_ms)

    async def store(self, snapshots: Sequence[Snapshot], owner: str) -> Collection[ResourceKey]:
        """See `MirrorStore`."""
        calls = [
            _Call(snapshot.key, (snapshot.version, owner, int(pools.is_end), self._lives.marker_ms), pools)
            for snapshot in snapshots
            for pools in _parted(snapshot.held, ())
        ]
        return await self._within(self._put(self._store, calls))

    async def _put(self, script: AsyncScript, calls: Sequence[_Call]) -> Collection[ResourceKey]:
        """Make the calls in their order, and return the resources that are whole after their last."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                await script(self._places(call.key), self._arguments(call), client=pipeline)
            answers = await pipeline.execute()
        return {call.key for call, answer in zip(calls, answers, strict=True) if answer and call.pools.is_end}

    def _places(self, key: ResourceKey) -> list[str]:
        name = resource_name(key.kind, key.resource_id)
        return [self._keys.marker(name), self._keys.rebuild_lock(name), self._keys.held_index(name)]

    def _arguments(self, call: _Call) -> list[Any]:
        """Return the call's own arguments, and what `_PUT` needs behind them."""
        beginning = held_name(resource_name(call.key.kind, call.key.resource_id), "")
        places = self._keys.held(beginning), self._keys.tombstone(beginning)
        held = [
            part for kept, names in call.pools.held.items() for part in (kept.value, kept.lives_ms, "\n".join(names))
        ]
        return [*call.head, self._lives.tombstone_ms, *places, "\n".join(call.pools.free), *held]

    async def _chosen(
        self,
        script: AsyncScript,
        place: Callable[[str], str],
        keys: Sequence[ResourceKey],
        *args: Any,  # noqa: ANN401
    ) -> Collection[ResourceKey]:
        """Run a script that returns which of the resources it chose."""
        if not keys:
            return []
        chosen = await self._within(script([place(name) for name in _names(keys)], args))
        return [keys[number - 1] for number in chosen]

    async def _within(self, calling: Coroutine[Any, Any, T]) -> T:
        try:
            return await within(self._timeout_seconds, calling)
        except RedisError as fault:
            raise ConnectionError(str(fault)) from fault


def _names(keys: Iterable[ResourceKey]) -> list[str]:
    return [resource_name(key.kind, key.resource_id) for key in keys]


def _parted(held: Mapping[str, Kept], free: Collection[str]) -> Iterator[_Pools]:
    """Yield as many pools at a time as one call may have; once at least, as the marker moves on without pools, too."""
    pools = [*held.items(), *((name, None) for name in free)]
    for begin in range(0, max(1, len(pools)), POOLS_AT_ONCE):
        by_kept: dict[Kept | None, list[str]] = {None: []}
        for name, kept in pools[begin : begin + POOLS_AT_ONCE]:
            by_kept.setdefault(kept, []).append(name)
        free_now = by_kept.pop(None)
        held_now = {kept: names for kept, names in by_kept.items() if kept is not None}
        yield _Pools(free_now, held_now, is_end=begin + POOLS_AT_ONCE >= len(pools))
