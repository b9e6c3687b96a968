"""The store of the cache, on Redis and in memory: locks, tombstones, what may be stored and for how long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from gateway.cache_store import CacheStore, Entry
from gateway.redis_cache import RedisCache
from tests.twins.memory_cache import MemoryCache
from topics.prompt_outcomes import channel_of
from topics.redis_keys import RedisKeys, part_name
from workers.invalidation import Tombstones
from workers.redis_tombstones import RedisTombstones

NAME = "slot:a"
OTHER = "slot:b"
LOCK_MS = 10_000
TOMBSTONE_MS = 1_000
ME, SOMEBODY = "me", "somebody"


@dataclass
class Subject:
    """A store, who invalidates it, and what a test may do to it."""

    store: CacheStore
    tombstones: Tombstones
    flush: Callable[[], Awaitable[object]]
    pass_ms: Callable[[int], Awaitable[object]]
    hear: Callable[[], Awaitable[bytes]]

    async def now_ms(self) -> int:
        """Return the store's clock."""
        return (await self.store.read([NAME]))[NAME].now_ms

    async def entry(self, version: int = 1, fresh_ms: int = 60_000, kept_ms: int = 120_000) -> Entry:
        """Return an entry that lives from now."""
        now_ms = await self.now_ms()
        return Entry(version, b'{"version": %d}' % version, now_ms + fresh_ms, now_ms + kept_ms)

    async def put(self, entry: Entry, name: str = NAME) -> bool:
        """Lock and store; tell whether it was stored."""
        locked = await self.store.lock([name], ME, LOCK_MS)
        return name in await self.store.store({name: entry}, ME, locked.taken)

    async def payload(self, name: str = NAME) -> bytes | None:
        """Return what may be served as it is."""
        entry = (await self.store.read([name]))[name].fresh(0)
        return None if entry is None else entry.payload


@pytest_asyncio.fixture(params=["memory", "redis"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """Give each store in turn, empty."""
    if request.param == "memory":
        clock = {"now_ms": 1_000_000}

        async def pass_ms(ms: int) -> None:
            clock["now_ms"] += ms

        memory = MemoryCache(lambda: clock["now_ms"], tombstone_ms=TOMBSTONE_MS)

        async def take() -> bytes:
            return memory.told.pop(0)

        yield Subject(memory, memory, lambda: asyncio.to_thread(memory.flush), pass_ms, take)
        return
    redis: Redis = Redis.from_url(request.getfixturevalue("redis_url"))
    keys = RedisKeys("contract:")
    async with redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(channel_of(redis, keys))

        async def hear() -> bytes:
            async with asyncio.timeout(5):
                while (message := await channel.get_message(timeout=None)) is None:
                    pass  # it has taken note of the subscription
            return bytes(message["data"])

        yield Subject(
            RedisCache(redis, keys, timeout_seconds=5),
            RedisTombstones(redis, keys, tombstone_seconds=TOMBSTONE_MS // 1000, timeout_seconds=5),
            redis.flushdb,
            lambda ms: asyncio.sleep(ms / 1000),  # Redis has no other clock
            hear,
        )


async def test_what_is_stored_is_read(subject: Subject) -> None:
    """Under its own name, with version and payload; nothing under others."""
    assert await subject.put(await subject.entry(3))
    seen = await subject.store.read([OTHER, NAME])
    assert (seen[OTHER].entry, seen[OTHER].tombstone) == (None, 0)
    entry = seen[NAME].fresh(0)
    assert entry is not None
    assert (entry.version, entry.payload) == (3, b'{"version": 3}')


async def test_freshness_ends_before_keeping_does(subject: Subject) -> None:
    """An entry past its time is stale, and later gone."""
    await subject.put(await subject.entry(fresh_ms=100, kept_ms=400))
    assert await subject.payload() is not None
    await subject.pass_ms(150)
    seen = (await subject.store.read([NAME]))[NAME]
    assert seen.fresh(0) is None
    assert seen.stale(0) is not None
    await subject.pass_ms(300)
    assert (await subject.store.read([NAME]))[NAME].entry is None


async def test_an_entry_that_is_over_already_is_never_seen(subject: Subject) -> None:
    """However slow its reader was."""
    await subject.put(await subject.entry(fresh_ms=-2, kept_ms=-1))
    assert (await subject.store.read([NAME]))[NAME].entry is None


async def test_a_lock_has_one_owner_until_it_ends(subject: Subject) -> None:
    """Seen to fail without NX in the lock."""
    assert set((await subject.store.lock([NAME], SOMEBODY, 100)).taken) == {NAME}
    assert set((await subject.store.lock([NAME, OTHER], ME, LOCK_MS)).taken) == {OTHER}
    await subject.pass_ms(150)
    assert set((await subject.store.lock([NAME], ME, LOCK_MS)).taken) == {NAME}


async def test_locking_looks_once_more(subject: Subject) -> None:
    """What was stored meanwhile is seen under the lock, and by who did not get it."""
    await subject.put(await subject.entry(5))
    for owner in (ME, SOMEBODY):
        entry = (await subject.store.lock([NAME], owner, LOCK_MS)).seen[NAME].fresh(0)
        assert entry is not None
        assert entry.version == 5


async def test_e60_only_the_owner_stores_and_releases(subject: Subject) -> None:
    """Seen to fail with a release that does not compare the owner."""
    await subject.store.lock([NAME], SOMEBODY, LOCK_MS)
    assert list(await subject.store.store({NAME: await subject.entry()}, ME, [NAME])) == []
    assert await subject.payload() is None
    assert set((await subject.store.lock([NAME], ME, LOCK_MS)).taken) == set()


async def test_storing_releases_and_so_does_storing_nothing(subject: Subject) -> None:
    """Seen to fail with a lock that is deleted only where something is stored."""
    await subject.put(await subject.entry())
    locked = await subject.store.lock([NAME, OTHER], ME, LOCK_MS)
    assert list(await subject.store.store({}, ME, locked.taken)) == []
    assert set((await subject.store.lock([NAME, OTHER], SOMEBODY, LOCK_MS)).taken) == {NAME, OTHER}


async def test_e57_an_older_value_than_the_tombstone_is_not_stored(subject: Subject) -> None:
    """Seen to fail with `>=` turned round, and without the comparison."""
    locked = await subject.store.lock([NAME], ME, LOCK_MS)
    await subject.tombstones.write({NAME: 2}, [])
    assert list(await subject.store.store({NAME: await subject.entry(1)}, ME, locked.taken)) == []
    assert await subject.put(await subject.entry(2))


async def test_e57_nothing_is_stored_after_a_flush(subject: Subject) -> None:
    """The flush took the tombstone, and the lock with it. Seen to fail on storing where there is no lock."""
    locked = await subject.store.lock([NAME], ME, LOCK_MS)
    await subject.tombstones.write({NAME: 2}, [])
    await subject.flush()
    assert list(await subject.store.store({NAME: await subject.entry(1)}, ME, locked.taken)) == []


async def test_a_tombstone_makes_an_older_entry_useless(subject: Subject) -> None:
    """Fresh or stale; one of its own version stays good."""
    await subject.put(await subject.entry(2))
    await subject.tombstones.write({NAME: 2}, [])
    assert await subject.payload() is not None
    await subject.tombstones.write({NAME: 3}, [])
    assert (await subject.store.read([NAME]))[NAME].stale(0) is None


async def test_the_larger_tombstone_wins(subject: Subject) -> None:
    """Seen to fail on writing whatever comes last."""
    await subject.tombstones.write({NAME: 9, OTHER: 1}, [])
    await subject.tombstones.write({NAME: 3}, [])
    seen = await subject.store.read([NAME, OTHER])
    assert (seen[NAME].tombstone, seen[OTHER].tombstone) == (9, 1)


async def test_an_entry_does_not_outlive_its_tombstone(subject: Subject) -> None:
    """An old value must not come back to life when the tombstone ends. Seen to fail without the PEXPIRE of the entry."""
    await subject.put(await subject.entry(1))
    await subject.tombstones.write({NAME: 2}, [])
    await subject.pass_ms(TOMBSTONE_MS + 50)
    seen = (await subject.store.read([NAME]))[NAME]
    assert (seen.tombstone, seen.entry) == (0, None)


async def test_a_repeated_tombstone_lives_anew(subject: Subject) -> None:
    """So the redelivered command's invalidation is worth as much as the first."""
    await subject.tombstones.write({NAME: 2}, [])
    await subject.pass_ms(TOMBSTONE_MS - 400)
    await subject.tombstones.write({NAME: 2}, [])
    await subject.pass_ms(TOMBSTONE_MS - 400)
    assert (await subject.store.read([NAME]))[NAME].tombstone == 2


async def test_what_is_forgotten_may_not_be_stored_by_who_read_before(subject: Subject) -> None:
    """A list of ids has no version: its entry and its lock go. Seen to fail on deleting the entry alone."""
    await subject.put(await subject.entry(0), "slot")
    locked = await subject.store.lock(["slot"], ME, LOCK_MS)
    await subject.tombstones.write({NAME: 1}, ["slot"])
    assert await subject.payload("slot") is None
    assert list(await subject.store.store({"slot": await subject.entry(0)}, ME, locked.taken)) == []
    assert set((await subject.store.lock(["slot"], SOMEBODY, LOCK_MS)).taken) == {"slot"}


async def test_a_part_is_as_old_as_its_resource(subject: Subject) -> None:
    """What is cached of a resource under a second name is made wrong by the resource's own tombstone; another's is not.

    Seen to fail with a tombstone of each name.
    """
    part, of_other = part_name("slot", "a", "seats"), part_name("slot", "b", "seats")
    for name in (NAME, part, of_other):
        assert await subject.put(await subject.entry(1), name)
    locked = await subject.store.lock([part], ME, LOCK_MS)
    await subject.tombstones.write({NAME: 2}, [])
    assert [await subject.payload(name) is None for name in (NAME, part, of_other)] == [True, True, False]
    assert list(await subject.store.store({part: await subject.entry(1)}, ME, locked.taken)) == []
    assert await subject.put(await subject.entry(2), part)
    assert await subject.payload(part) == b'{"version": 2}'


async def test_outcomes_are_told_with_the_tombstones(subject: Subject) -> None:
    """Message by message; whoever hears one finds that the tombstones of its call stand. Without a message nothing is told."""
    assert await subject.put(await subject.entry(1))
    await subject.tombstones.write({NAME: 2}, [])
    await subject.tombstones.write({NAME: 3}, [], b"granted")
    assert await subject.hear() == b"granted"
    assert (await subject.store.read([NAME]))[NAME].tombstone == 3
    await subject.tombstones.write({}, [], b"refused")
    assert await subject.hear() == b"refused"
