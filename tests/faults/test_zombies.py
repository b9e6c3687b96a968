"""Two workers run the same command, or hold each other's rows: claim rows and row locks decide, not partition ownership."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.faults import is_transient
from schema.rows import ResourceKey
from schema.store import Store, Transaction
from tests.auditing import audit
from tests.installation import Installation, eventually
from tests.overtaking import Overtaken
from topics import commands
from topics.commands import PlaceOrder
from topics.identifiers import hold_id_of, request_id
from topics.signatures import account_of
from workers.applying import Applied, Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks

pytestmark = pytest.mark.chaos

ROUNDS = 30


def arrived(slot: str, claim_id: str, command: commands.Command, offset: int) -> Arrived:
    """Return a command as two workers both have it from the log."""
    fingerprint = commands.fingerprint("slot", command)
    source = "upstream/tests"
    return Arrived(
        key=ResourceKey("slot", slot),
        command=command,
        source=source,
        claim_id=claim_id,
        account=account_of(source),
        fingerprint=fingerprint,
        request_id=request_id("slot", slot, source, claim_id, fingerprint),
        appended_at=datetime.now(UTC),
        partition=0,
        offset=offset,
    )


@pytest_asyncio.fixture
async def appliers(postgres_url: str) -> AsyncIterator[tuple[Applier, Applier]]:
    """Give two workers' appliers on one database, each with its own connections."""
    pools = [lazy_pool(postgres_url, connections_max=4, timeouts=Timeouts(), role="test") for _ in range(2)]
    async with pools[0], pools[1]:
        one, other = (
            Applier(
                Store(pool).transaction,
                request_retention=timedelta(days=14),
                expiries_max=1000,
                reached=Hooks().reached,
            )
            for pool in pools
        )
        yield one, other


async def applied(applier: Applier, batch: Sequence[Arrived]) -> Applied:
    """Apply a batch as the pipeline does: again after what is transient, a deadlock for example."""
    while True:
        try:
            return await applier.apply(batch)
        except Exception as fault:
            if not is_transient(fault):
                raise


async def ask(url: str, query: str, *values: str) -> int:
    """Return the one number that a query gives, if it gives one."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(query, *values) or 0)
    finally:
        await connection.close()


async def counts(url: str) -> tuple[int, int, int]:
    """Return how many requests, holds and held units there are."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            """
            select (select count(*) from requests), (select count(*) from holds),
                   (select coalesce(sum(held), 0)::bigint from resources)
            """
        )
    finally:
        await connection.close()
    assert row is not None
    return row[0], row[1], row[2]


async def test_e64_r3_the_same_batch_twice_at_once(appliers: tuple[Applier, Applier], postgres_url: str) -> None:
    """Owner and zombie commit the same batches at the same time: one effect each, and both tell the same events.

    The first of each batch creates its slot, so that there is no row yet to wait for. Seen to fail (a slot without its holds'
    units, or twice the effect) where `require_rows` raises nothing.
    """
    for number in range(ROUNDS):
        slot = f"slot-{number}"
        define = commands.DefineResource(resource_id=slot, capacity=5)
        batch = [arrived(slot, f"{slot}-define", define, 0)]
        batch += [arrived(slot, f"{slot}-{place}", commands.Hold(resource_id=slot), place + 1) for place in range(8)]
        ours, zombies = await asyncio.gather(*(applied(applier, batch) for applier in appliers))
        assert [outcome.events for outcome in ours.outcomes] == [outcome.events for outcome in zombies.outcomes]
    assert await counts(postgres_url) == (9 * ROUNDS, 5 * ROUNDS, 5 * ROUNDS)


async def test_r3_same_request_twice_in_one_batch(appliers: tuple[Applier, Applier], postgres_url: str) -> None:
    """A copy within a batch is a duplicate: it has the same outcome and no effect."""
    define = arrived("slot", "define", commands.DefineResource(resource_id="slot", capacity=5), 0)
    hold = arrived("slot", "hold", commands.Hold(resource_id="slot"), 1)
    result = await appliers[0].apply([define, hold, hold])
    assert result.outcomes[1].events == result.outcomes[2].events
    assert await counts(postgres_url) == (2, 1, 1)


async def test_r3_same_keys_on_two_resources_in_opposite_order(
    appliers: tuple[Applier, Applier], postgres_url: str
) -> None:
    """Two batches that use the same keys on two resources, in opposite order, end, with one effect for each key."""
    definitions = [
        arrived(slot, slot, commands.DefineResource(resource_id=slot, capacity=1000), 0) for slot in ("left", "right")
    ]
    await appliers[0].apply(definitions)
    for number in range(ROUNDS):
        keys = [f"{number}-{place}" for place in range(5)]
        left = [arrived("left", key, commands.Hold(resource_id="left"), 1) for key in keys]
        right = [arrived("right", key, commands.Hold(resource_id="right"), 1) for key in reversed(keys)]
        results = await asyncio.gather(applied(appliers[0], left), applied(appliers[1], right))
        answers = [outcome.events[-1].type for result in results for outcome in result.outcomes if outcome.events]
        assert sorted(answers) == ["hold.placed"] * 5 + ["request.refused"] * 5
    assert await counts(postgres_url) == (2 + 10 * ROUNDS, 5 * ROUNDS, 5 * ROUNDS)


async def test_e4_two_resources_in_opposite_order(appliers: tuple[Applier, Applier], postgres_url: str) -> None:
    """Two batches that name the same two resources in opposite order never hold what the other waits for.

    Both are stopped by a lock on the first resource and then let go. Seen to fail (a deadlock) with resources written in the
    order of the commands, and no order in write_resources.sql.
    """
    slots = ("left", "right")
    definitions = [arrived(slot, slot, commands.DefineResource(resource_id=slot, capacity=9), 0) for slot in slots]
    await appliers[0].apply(definitions)
    connection = await asyncpg.connect(postgres_url)
    running = []
    async with connection.transaction():
        await connection.execute("select from resources where resource_id = 'left' for update")
        for number, order in enumerate((slots, slots[::-1]), start=1):
            batch = [arrived(slot, f"{number}-{slot}", commands.Hold(resource_id=slot), 1) for slot in order]
            running.append(asyncio.create_task(appliers[number - 1].apply(batch)))
            await eventually(partial(_wait_for_locks, postgres_url, number), what=f"{number} batches wait")
    await asyncio.gather(*running)
    await connection.close()
    assert await counts(postgres_url) == (6, 4, 4)


async def _wait_for_locks(url: str, wanted: int) -> bool:
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return await ask(url, query) == wanted


async def test_e9_ended_by_two_at_once(appliers: tuple[Applier, Applier], postgres_url: str) -> None:
    """Holds that two workers cancel, or expire, at the same time give their units back once and end once.

    Seen to fail (units given back by both) with no check in write_resources.sql.
    """
    for number in range(ROUNDS):
        slot = f"slot-{number}"
        hold = arrived(slot, f"{slot}-hold", commands.Hold(resource_id=slot, quantity=2), 1)
        await appliers[0].apply([arrived(slot, slot, commands.DefineResource(resource_id=slot, capacity=2), 0), hold])
        end: commands.Command = commands.Expire(resource_id=slot)
        if number % 2:
            end = commands.Cancel(resource_id=slot, hold_id=hold_id_of(hold.request_id))
        else:
            await ask(postgres_url, "update holds set expires_at = granted_at where resource_id = $1", slot)
        twice = (arrived(slot, f"{slot}-end-{one}", end, 2 + one) for one in range(2))
        await asyncio.gather(*(applied(applier, [one]) for applier, one in zip(appliers, twice, strict=True)))
    whole = "select count(*) from resources where held = 0 and taken = 0 and remaining = 2 and version = 3"
    assert await ask(postgres_url, whole) == ROUNDS
    told = """
        select count(*) from requests, json_array_elements(events) as event
        where event ->> 'type' in ('hold.expired', 'hold.cancelled')
    """
    assert await ask(postgres_url, told) == ROUNDS


async def test_r4_worker_stopped_in_its_transaction(site: Installation) -> None:
    """A worker paused while it holds row locks does not hold up the next one for longer than the timeouts.

    Whatever concerns orders is decided under locks. When it goes on, its transaction is gone and it changes nothing. Seen to
    fail (no decision within the time) with the session's idle_in_transaction_session_timeout and transaction_timeout taken out.
    """
    define = commands.DefineResource(resource_id="shoe", capacity=100, price=5, currency="EUR")
    await audit_paused(
        site, "product", define, PlaceOrder(resource_id="shoe", hold_id=hold_id_of("req_product~shoe~none"))
    )


async def test_r4_worker_stopped_between_reading_and_writing(site: Installation) -> None:
    """A worker paused without a lock holds up nobody, and finds what it read overtaken when it goes on.

    Seen to fail (counters that no hold explains) where `require_rows` raises nothing.
    """
    define = commands.DefineResource(resource_id="slot", capacity=100)
    await audit_paused(site, "slot", define, commands.Hold(resource_id="slot"))


async def audit_paused(
    site: Installation, kind: str, define: commands.DefineResource, command: commands.Command
) -> None:
    """Pause a worker with a command that it is about to write, or to commit; let another one go on, and then the first."""
    claims = [("gateway/admin", "define"), ("upstream/tests", "paused")]
    another = commands.Hold(resource_id=define.resource_id)
    async with site.producer() as upstream:
        record = partial(upstream.record, kind=kind)
        await upstream.send(
            record(define, source="gateway/admin", command_id="define", signing_key=upstream.gateway_key)
        )
        paused = await site.start_worker("in_transaction", "2", "SIGSTOP", wait=False)
        await eventually(lambda: all_decided(site, 1), seconds=15, what="the slot is defined")
        await upstream.send(record(command, command_id="paused"))
        await eventually(lambda: is_stopped(paused.popen.pid), what="the worker pauses in its transaction")
        ids = [f"hold-{number}" for number in range(20)]
        claims += [("upstream/tests", command_id) for command_id in ids]
        await upstream.send(*(record(another, command_id=command_id) for command_id in ids))
        await site.start_worker()
        await eventually(lambda: all_decided(site, len(claims)), seconds=15, what="the other worker goes on")
        paused.send_signal(signal.SIGCONT)
        more = [f"later-{number}" for number in range(20)]
        claims += [("upstream/tests", command_id) for command_id in more]
        await upstream.send(*(record(another, command_id=command_id) for command_id in more))
        await eventually(lambda: all_decided(site, len(claims)), seconds=30, what="all is decided after SIGCONT")
    for process in site.processes:
        await process.stop()
    await audit(site, claims, kind)


def is_stopped(pid: int) -> bool:
    """Tell whether the kernel shows the process as stopped by a signal."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - a kernel's file
        return stat.read().rpartition(")")[2].split()[0] == "T"


async def all_decided(site: Installation, wanted: int) -> bool:
    """Tell whether so many requests have their outcome."""
    async with site.database() as database:
        return bool(await database.fetchval("select count(*) from requests") == wanted)


def overtaken_once(pool: asyncpg.Pool, overtake: Callable[[], Awaitable[object]]) -> Applier:
    """Return the applier of a worker that is overtaken in its first batch."""
    waiting = [overtake]

    async def overtake_once() -> None:
        while waiting:
            await waiting.pop()()

    @asynccontextmanager
    async def transaction(*, is_locking: bool = True) -> AsyncIterator[Transaction]:
        async with pool.acquire() as connection, AsyncExitStack() as stack:
            if is_locking:
                await stack.enter_async_context(connection.transaction())
            yield Overtaken(connection, overtake_once, is_locking=is_locking)

    return Applier(transaction, request_retention=timedelta(days=14), expiries_max=1000, reached=Hooks().reached)


async def test_e64_r3_a_slot_is_created_while_a_batch_is_read(
    appliers: tuple[Applier, Applier], postgres_url: str
) -> None:
    """A zombie creates the slot after the owner looked for it and before the owner writes.

    The owner finds the definition decided then, and must not decide the hold behind it as if there were no slot. Found
    by the simulation (`make sim`). Seen to fail (a hold that its slot does not count) where `require_rows` raises nothing.
    """
    define = arrived("slot", "define", commands.DefineResource(resource_id="slot", capacity=5), 0)
    hold = arrived("slot", "hold", commands.Hold(resource_id="slot"), 1)
    async with lazy_pool(postgres_url, connections_max=4, timeouts=Timeouts(), role="test") as pool:
        owner = overtaken_once(pool, lambda: appliers[1].apply([define]))
        result = await applied(owner, [define, hold])
    assert [outcome.events[-1].type for outcome in result.outcomes if outcome.events] == [
        "resource.defined",
        "hold.placed",
    ]
    assert await counts(postgres_url) == (2, 1, 1)


async def test_e64_a_zombie_that_read_before_and_writes_after(
    appliers: tuple[Applier, Applier], postgres_url: str
) -> None:
    """The last unit is sold by the owner between the zombie's reading and its writing, to another hold: it is sold once.

    Seen to fail (a unit sold twice) with no check in write_resources.sql.
    """
    await appliers[0].apply([arrived("slot", "define", commands.DefineResource(resource_id="slot", capacity=1), 0)])
    one, other = (arrived("slot", name, commands.Hold(resource_id="slot"), 1) for name in ("one", "other"))
    async with lazy_pool(postgres_url, connections_max=4, timeouts=Timeouts(), role="test") as pool:
        zombie = overtaken_once(pool, lambda: appliers[1].apply([one]))
        result = await applied(zombie, [other])
    assert [outcome.reason for outcome in result.outcomes] == ["sold_out"]
    assert await counts(postgres_url) == (3, 1, 1)


async def test_e64_a_zombie_that_refuses_what_was_stocked_since(
    appliers: tuple[Applier, Applier], postgres_url: str
) -> None:
    """A refusal rests on what was read as much as a grant does: the owner cancels a hold meanwhile, and the unit is free.

    Seen to fail (`sold_out`) with no check in write_resources.sql.
    """
    hold = arrived("slot", "hold", commands.Hold(resource_id="slot"), 1)
    define = arrived("slot", "define", commands.DefineResource(resource_id="slot", capacity=1), 0)
    await appliers[0].apply([define, hold])
    cancel = arrived("slot", "cancel", commands.Cancel(resource_id="slot", hold_id=hold_id_of(hold.request_id)), 2)
    async with lazy_pool(postgres_url, connections_max=4, timeouts=Timeouts(), role="test") as pool:
        zombie = overtaken_once(pool, lambda: appliers[1].apply([cancel]))
        result = await applied(zombie, [arrived("slot", "next", commands.Hold(resource_id="slot"), 3)])
    assert [outcome.reason for outcome in result.outcomes] == [None]
