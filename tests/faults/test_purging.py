"""Requests are forgotten when no record can ask for them any more, in small batches; holds answer for them from then on."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.rows import ResourceKey
from schema.store import Store
from tests.installation import Installation, eventually
from topics import commands, events
from topics.identifiers import request_id
from workers.applying import Applied, Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks
from workers.purging import Purge, Purger

RETENTION = timedelta(days=14)
MARGIN = timedelta(hours=24)
HOLDS = 30
OLD = 20


@pytest_asyncio.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Give connections to a database of the test's own."""
    async with lazy_pool(postgres_url, connections_max=4, timeouts=Timeouts(), role="test") as one:
        yield one


def arrived(claim: str, command: commands.Command, age: timedelta = timedelta()) -> Arrived:
    """Return a command whose record is so old."""
    fingerprint = commands.fingerprint("slot", command)
    return Arrived(
        key=ResourceKey("slot", command.resource_id),
        command=command,
        source="gateway/alice",
        claim_id=claim,
        account="alice",
        fingerprint=fingerprint,
        request_id=request_id("slot", command.resource_id, "gateway/alice", claim, fingerprint),
        appended_at=datetime.now(UTC) - age,
        partition=0,
        offset=0,
    )


async def decide(pool: asyncpg.Pool, *these: Arrived) -> list[str]:
    """Decide commands one after the other and return the type of each answer, or `too_old`."""
    applier = Applier(
        Store(pool).transaction,
        request_retention=RETENTION,
        expiries_max=100,
        reached=Hooks().reached,
    )
    return [_answer(await applier.apply([one])) for one in these]


def _answer(applied: Applied) -> str:
    (outcome,) = applied.outcomes
    return "too_old" if outcome.events is None else next(event.type for event in outcome.events if event.answers)


async def _age(pool: asyncpg.Pool, age: timedelta, claims: list[str]) -> None:
    changed = await pool.execute(
        "update requests set decided_at = clock_timestamp() - $1::interval where claim_id = any ($2::text[])",
        age,
        claims,
    )
    assert changed == f"UPDATE {len(claims)}"


async def test_r12_e32_nothing_is_executed_again_after_the_purge(pool: asyncpg.Pool) -> None:
    """The old record is too old; the same key in a new record is answered from the hold as it stands.

    Seen to fail (`hold.placed`, the confirmed hold is live again) without `placed_before` in the core.
    """
    define, hold = (
        commands.DefineResource(resource_id="room", capacity=5),
        commands.Hold(resource_id="room", quantity=2),
    )
    first = arrived("k1", hold)
    confirm = commands.Confirm(resource_id="room", hold_id=f"hold_{first.request_id.removeprefix('req_')}")
    assert await decide(pool, arrived("define", define), first, arrived("confirm", confirm)) == [
        events.RESOURCE_DEFINED,
        events.HOLD_PLACED,
        events.HOLD_CONFIRMED,
    ]
    await _age(pool, RETENTION + MARGIN + timedelta(seconds=1), ["k1"])
    assert await Store(pool).purge_requests(RETENTION + MARGIN, 100) == 1
    assert await decide(pool, arrived("k1", hold, RETENTION), arrived("k1", hold)) == ["too_old", events.HOLD_UNCHANGED]
    rows = await pool.fetch("select status, quantity from holds")
    assert [tuple(row) for row in rows] == [("confirmed", 2)]
    assert tuple(await pool.fetchrow("select held, taken from resources")) == (0, 2)  # type: ignore[arg-type] # one row


async def test_e32_no_outcome_goes_that_a_record_may_still_ask_for(pool: asyncpg.Pool) -> None:
    """What is within retention and margin stays, whatever the clocks of broker and Postgres make of a day.

    Seen to fail with a purge that looks at `arrived_at`.
    """
    hold = commands.Hold(resource_id="room")
    ages = {
        "new": timedelta(),
        "within": RETENTION,
        "margin": RETENTION + MARGIN - timedelta(minutes=1),
        "over": RETENTION + MARGIN + timedelta(minutes=1),
    }
    for claim, age in ages.items():
        await decide(pool, arrived(claim, hold))
        await _age(pool, age, [claim])
    await pool.execute("update requests set arrived_at = arrived_at - interval '1 year'")
    assert await Store(pool).purge_requests(RETENTION + MARGIN, 100) == 1
    left = await pool.fetch("select claim_id from requests order by decided_at desc")
    assert [row["claim_id"] for row in left] == ["new", "within", "margin"]


async def test_small_batches_and_nobody_waits(pool: asyncpg.Pool) -> None:
    """So many go at once, oldest first; a row that somebody has locked is passed over; one worker purges at a time.

    Seen to fail without `skip locked` (the lock timeout is met), without `limit`, and without the advisory lock.
    """
    hold, store = commands.Hold(resource_id="room"), Store(pool)
    for number in range(6):
        await decide(pool, arrived(f"k{number}", hold))
        await _age(pool, RETENTION + timedelta(days=9 - number), [f"k{number}"])
    assert await store.purge_requests(RETENTION, 2) == 2
    assert await pool.fetchval("select min(claim_id) from requests") == "k2"
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from requests where claim_id = 'k2' for update")
        assert await store.purge_requests(RETENTION, 2) == 2
    left = await pool.fetch("select claim_id from requests order by 1")
    assert [row["claim_id"] for row in left] == ["k2", "k5"]
    async with pool.acquire() as other, other.transaction():
        lock = "select objid, classid from pg_locks where locktype = 'advisory'"
        assert await other.fetch(lock) == []
        await other.execute("select pg_advisory_xact_lock(4919735502461952)")
        assert await store.purge_requests(RETENTION, 2) is None
    assert await store.purge_requests(RETENTION, 2) == 2
    assert await store.purge_requests(RETENTION, 2) == 0


async def test_a_purger_outlives_what_passes() -> None:
    """It goes on after faults that pass, at once while there is more, and is ended by cancelling; other faults it raises.

    Seen to fail when every fault ends it.
    """
    said: list[int | Exception | None] = [
        ConnectionError("away"),
        TimeoutError("slow"),
        5,
        5,
        3,
        None,
        ValueError("a bug"),
    ]
    asked: list[tuple[timedelta, int]] = []

    async def purge_requests(older_than: timedelta, requests_max: int) -> int | None:
        asked.append((older_than, requests_max))
        answer = said[len(asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    purger = Purger(purge_requests, Purge(RETENTION, 5, pause_seconds=0.01, again_seconds=0.02))
    running = asyncio.create_task(purger.run())
    await asyncio.wait((running,), timeout=10)
    assert isinstance(running.exception(), ValueError)
    assert asked == [(RETENTION, 5)] * len(said)
    assert purger.purged == 13


async def test_a_worker_purges_beside_its_work(site: Installation) -> None:
    """What is old goes, what is new is served; who asks again over HTTP gets the hold that exists, and no second one.

    Seen to fail when the purger is not started, and without the margin.
    """
    await site.start_worker(FIRMHOLD_PURGE_SECONDS="0.1", FIRMHOLD_PURGE_REQUESTS_MAX="7", FIRMHOLD_PURGE_PAUSE_MS="10")
    await site.start_gateway()
    keys = [str(uuid.uuid4()) for _ in range(HOLDS)]
    async with site.client() as alice, site.database() as database:
        assert (await alice.define("room", 100)).status == 201
        placed = [await alice.hold("room", key) for key in keys]
        assert {reply.status for reply in placed} == {201}
        older = "update requests set decided_at = decided_at - $1::interval where claim_id = any ($2::text[])"
        await database.execute(older, RETENTION + MARGIN / 2, keys[OLD:])
        await database.execute(older, RETENTION + MARGIN, keys[:OLD])

        async def only_new() -> bool:
            rows = await database.fetch("select claim_id from requests where command = 'Hold'")
            return {row["claim_id"] for row in rows} == set(keys[OLD:])

        await eventually(only_new, what="the old requests are forgotten")
        again = await alice.hold("room", keys[0])
        assert (again.status, again.body["id"], again.body["hold_token"]) == (
            200,
            placed[0].body["id"],
            placed[0].body["hold_token"],
        )
        assert (await alice.call("GET", "/slots/room")).body["held"] == HOLDS
