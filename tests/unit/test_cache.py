"""Reading through the cache, with every interleaving forced: who reads the source, what is served, what is stored.

Each test names the break of gateway/cache.py or gateway/gathering.py on which it was seen to fail.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from gateway.cache import Source, Value
from gateway.cache_store import Entry, Seen
from gateway.resting_cache import RestingCache
from tests.twins.memory_cache import MemoryCache
from tests.unit.cached import BOUNDS, Gate, World, version

X, Y = "slot:x", "slot:y"


@pytest.fixture
def world() -> World:
    """Give a world with two resources at version 1."""
    one = World()
    one.values = {X: Value(1, b"1"), Y: Value(1, b"1")}
    return one


async def test_the_first_read_asks_the_source_and_the_next_do_not(world: World) -> None:
    """From any gateway; what is missing is read at once. Seen to fail on storing nothing."""
    one, another = world.gateway(), world.gateway()
    for cache in (one, another, one):
        assert {name: value.version for name, value in (await cache.get([X, Y])).items()} == {X: 1, Y: 1}
    assert world.reads == [[X, Y]]
    world.clock_ms += BOUNDS.fresh_ms
    await another.get([X])
    assert world.reads == [[X, Y], [X]]


async def test_e60_a_thousand_misses_at_once_are_one_read(world: World) -> None:
    """In two gateways. Seen to fail (two reads) without NX in the lock."""
    gateways = [world.gateway(), world.gateway()]
    gets = [version(gateways[number % 2], X) for number in range(1_000)]
    assert set(await asyncio.gather(*gets)) == {1}
    assert world.reads == [[X]]


async def test_what_does_not_exist_is_remembered_until_it_does(world: World) -> None:
    """Seen to fail on storing only what was found."""
    cache = world.gateway()
    for _ in range(2):
        assert (await cache.get(["slot:z"]))["slot:z"].payload == b""
    assert len(world.reads) == 1
    await world.write("slot:z", 1)
    assert await version(cache, "slot:z") == 1


@pytest.mark.parametrize("flushed", [False, True])
async def test_e57_what_was_read_before_a_write_is_not_stored_after_it(world: World, flushed: bool) -> None:
    """Neither where the tombstone tells, nor where a flush took it. Seen to fail on a store that asks for no lock."""
    cache = world.gateway()
    world.gate = gate = Gate()
    reading = asyncio.create_task(version(cache, X))
    await gate.reached.wait()
    await world.write(X, 2)
    if flushed:
        world.memory.flush()
    world.gate = None
    gate.opened.set()
    assert await reading == 1  # it was asked before the write was answered
    assert await version(world.gateway(), X) == 2
    assert await version(cache, X) == 2


async def test_who_asks_after_a_write_is_not_served_what_was_read_before_it(world: World) -> None:
    """Though it is still being read in this very gateway. Seen to fail on joining a reading that has begun."""
    cache = world.gateway()
    world.gate = gate = Gate()
    early = asyncio.create_task(version(cache, X))
    await gate.reached.wait()
    await world.write(X, 2)
    late = asyncio.create_task(version(cache, X))
    await asyncio.sleep(0)
    world.gate = None
    gate.opened.set()
    assert (await early, await late) == (1, 2)


async def test_e60_the_holder_of_the_lock_dies(world: World) -> None:
    """Others go on within its time: they read directly and store nothing, and its lock stays its own.

    Seen to fail on waiting for the lock without end, and on storing what was read without it.
    """
    await world.memory.lock([X], "dead", BOUNDS.lock_ms)
    began_ms = world.clock_ms
    cache = world.gateway()
    assert await version(cache, X) == 1
    assert world.clock_ms - began_ms <= BOUNDS.lock_ms
    assert (await world.memory.read([X]))[X].entry is None
    assert not (await world.memory.lock([X], "me", 1)).taken
    world.clock_ms = began_ms + BOUNDS.lock_ms
    assert await version(cache, X) == 1
    assert (await world.memory.read([X]))[X].entry is not None


async def test_e60_a_stale_value_is_served_where_nothing_newer_is_known(world: World) -> None:
    """And not once a tombstone is newer, nor to who asks for a newer version. Seen to fail on a stale() that asks for none."""
    cache = world.gateway()
    await cache.get([X])
    world.clock_ms += BOUNDS.fresh_ms
    await world.memory.lock([X], "dead", 10 * BOUNDS.lock_ms)
    reads = len(world.reads)
    assert await version(cache, X) == 1
    assert len(world.reads) == reads
    world.values[X] = Value(2, b"2")
    assert await version(cache, X, version_least=2) == 2
    await world.write(X, 3)
    assert await version(cache, X) == 3


async def test_who_waits_for_another_gateway_gets_what_that_one_stores(world: World) -> None:
    """Without a read of its own, and others that it asked for do not wait. Seen to fail on reading once the lock is taken."""
    one, another = world.gateway(), world.gateway()
    world.gate = gate = Gate()
    holder = asyncio.create_task(version(one, X))
    await gate.reached.wait()
    world.gate = second = Gate()
    waiter = asyncio.create_task(another.get([X, Y]))
    await second.reached.wait()
    world.gate = None
    second.opened.set()
    assert await version(another, Y) == 1
    gate.opened.set()
    assert {name: value.version for name, value in (await waiter).items()} == {X: 1, Y: 1}
    assert await holder == 1
    assert world.reads == [[X], [Y]]


async def test_e62_nothing_is_fresh_past_the_next_expiry(world: World) -> None:
    """Counted from before the source was read. Seen to fail on the lifetime alone, and on counting from the storing."""
    world.values[X] = Value(1, b"1", changes_in_ms=500)
    cache = world.gateway()
    world.gate = gate = Gate()
    reading = asyncio.create_task(version(cache, X))
    await gate.reached.wait()
    world.clock_ms += 300  # the source took its time
    world.gate = None
    gate.opened.set()
    await reading
    world.clock_ms += 199
    await cache.get([X])
    assert len(world.reads) == 1
    world.clock_ms += 1
    await cache.get([X])
    assert len(world.reads) == 2


async def test_min_version_above_what_is_cached_reads_the_source(world: World) -> None:
    """Where an invalidation was lost; all others are healed by it. Seen to fail on a fresh() that asks for no version."""
    cache = world.gateway()
    await cache.get([X])
    world.values[X] = Value(4, b"4")
    assert await version(cache, X) == 1
    assert await version(cache, X, version_least=4) == 4
    assert await version(cache, X) == 4
    assert await version(cache, X, version_least=5) == 4  # the source has no more
    assert len(world.reads) == 3


async def test_e61_without_the_cache_the_source_is_read(world: World) -> None:
    """And a thousand who ask at once are few reads. Seen to fail on a Gathering that begins a reading for each."""
    cache = world.gateway()
    world.memory.is_away = True
    assert set(await asyncio.gather(*(version(cache, X) for _ in range(1_000)))) == {1}
    assert len(world.reads) <= 2
    world.values[X] = Value(2, b"2")
    assert await version(cache, X) == 2


async def test_e61_who_asks_while_the_source_is_read_is_gathered_for_the_next_read(world: World) -> None:
    """A slow source is not asked by all who wait for it. Seen to fail on not keeping what is being read."""
    cache = world.gateway()
    world.memory.is_away = True
    world.gate = gate = Gate()
    gets = [asyncio.create_task(version(cache, X))]
    await gate.reached.wait()
    for _ in range(10):
        gets.append(asyncio.create_task(version(cache, X)))
        for _ in range(10):
            await asyncio.sleep(0)
    assert len(world.reads) == 1
    gate.opened.set()
    assert set(await asyncio.gather(*gets)) == {1}
    assert len(world.reads) == 2


async def test_the_cache_goes_while_the_source_is_read(world: World) -> None:
    """What was read is right all the same. Seen to fail without the suppress() around the storing."""
    cache = world.gateway()
    world.gate = gate = Gate()
    reading = asyncio.create_task(version(cache, X))
    await gate.reached.wait()
    world.memory.is_away = True
    gate.opened.set()
    assert await reading == 1
    assert len(world.reads) == 1


class SlowToStore(MemoryCache):
    """Stores when it is let to, as Redis does when its answer is long on the way."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self.reached, self.may_store = asyncio.Event(), asyncio.Event()

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """See `CacheStore`."""
        self.reached.set()
        await self.may_store.wait()
        return await super().store(entries, owner, taken)


@pytest.mark.parametrize("goes_away", [False, True])
async def test_nobody_waits_for_the_storing_and_who_asks_meanwhile_takes_what_is_stored(
    world: World, goes_away: bool
) -> None:
    """Nor does a gateway take its own lock for another's: no pause, no second read, unless the cache goes away meanwhile.

    Seen to fail (it hangs) on storing before telling, and (a pause) on locking while the value is being stored.
    """
    world.memory = memory = SlowToStore(lambda: world.clock_ms)
    began_ms, cache = world.clock_ms, world.gateway()
    assert await asyncio.wait_for(version(cache, X), 5) == 1
    await memory.reached.wait()
    meanwhile = [asyncio.create_task(version(cache, X, version_least)) for version_least in (0, 1)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(one.done() for one in meanwhile)
    memory.is_away = goes_away
    memory.may_store.set()
    assert await asyncio.gather(*meanwhile) == [1, 1]
    assert world.clock_ms == began_ms
    assert world.reads == ([[X], [X]] if goes_away else [[X]])
    assert cache.reads[Source.BYPASSED if goes_away else Source.SHARED] == 2


async def test_e57_a_write_while_the_value_is_being_stored_is_seen_by_who_asks_after_it(world: World) -> None:
    """Seen to fail (version 1) on handing what is being stored to who asks meanwhile."""
    world.memory = memory = SlowToStore(lambda: world.clock_ms)
    cache = world.gateway()
    assert await asyncio.wait_for(version(cache, X), 5) == 1
    await memory.reached.wait()
    await world.write(X, 2)
    after = asyncio.create_task(version(cache, X))
    for _ in range(20):
        await asyncio.sleep(0)
    memory.may_store.set()
    assert await asyncio.wait_for(after, 5) == 2
    assert (await memory.read([X]))[X].stale(2) is not None


async def test_a_fault_of_the_source_reaches_all_who_asked_and_leaves_no_lock(world: World) -> None:
    """Seen to fail on a lock that is released only after a storing."""
    cache = world.gateway()
    world.fault = ConnectionError("postgres is away")
    outcomes = await asyncio.gather(*(version(cache, X) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 3
    world.fault = None
    began_ms = world.clock_ms
    assert await version(cache, X) == 1
    assert world.clock_ms == began_ms


async def test_who_goes_away_takes_nobody_with_him(world: World) -> None:
    """Seen to fail on awaiting the shared future itself."""
    cache = world.gateway()
    world.gate = gate = Gate()
    gone, stays = (asyncio.create_task(version(cache, X)) for _ in range(2))
    await gate.reached.wait()
    gone.cancel()
    await asyncio.wait((gone,))
    gate.opened.set()
    assert await stays == 1


async def test_a_cache_that_failed_is_left_alone_for_a_moment(world: World) -> None:
    """So that not each request waits for its timeout; then it is tried again. Seen to fail without a rest."""
    tried: list[str] = []

    class Counting(MemoryCache):
        async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
            tried.append("read")
            return await super().read(names)

    memory = Counting(lambda: world.clock_ms, is_away=True)
    cache = world.gateway(RestingCache(memory, 1.0, lambda: world.clock_ms / 1000))
    for _ in range(5):
        assert await version(cache, X) == 1
    assert (len(tried), len(world.reads)) == (1, 5)
    memory.is_away = False
    world.clock_ms += 1_000
    for _ in range(5):
        await version(cache, X)
    assert len(world.reads) == 6


async def test_closing_ends_what_is_being_read(world: World) -> None:
    """Nobody waits for a gateway that stops."""
    cache = world.gateway()
    world.gate = gate = Gate()
    reading = asyncio.create_task(version(cache, X))
    await gate.reached.wait()
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await reading
