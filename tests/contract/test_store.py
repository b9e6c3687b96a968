"""The store on Postgres and on its twin: what the worker relies on, and what the simulation therefore imitates."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.faults import is_culprit, is_transient
from schema.reads import Reads
from schema.rows import Hold, Pool, Request, Resource, ResourceKey
from schema.store import Claim, RacedError, RefusedHold, ResourceWrite, Store, Transaction, Writes
from tests.twins.memory_store import MemoryPool, MemoryPostgres
from tests.twins.row_locks import Patience
from topics.resources import Counters, HoldStatus, Settings

LOCK_SECONDS = 2.5
IDLE_SECONDS = 1.0
SETTLE_SECONDS = 0.3  # after so long, who waits for a lock does wait
AULA, BAR, CLUB = (ResourceKey("slot", name) for name in ("aula", "bar", "club"))
SETTINGS = Settings(hold_seconds=300, max_hold_seconds=1800)
NOW = datetime.now(UTC)

OpenPool = Callable[[], Any]


@dataclass(frozen=True)
class Server:
    """One of the two, and how a client opens its pool."""

    pool: OpenPool

    def store(self) -> Store:
        """Return the store of a client."""
        return Store(cast(asyncpg.Pool, self.pool()))


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Give an empty database on either."""
    if request.param == "memory":
        memory = MemoryPostgres(
            lambda: datetime.now(UTC), Patience(lock_seconds=LOCK_SECONDS, idle_seconds=IDLE_SECONDS)
        )
        yield Server(lambda: MemoryPool(memory))
        return
    timeouts = Timeouts(lock_ms=int(LOCK_SECONDS * 1000), idle_in_transaction_ms=int(IDLE_SECONDS * 1000))
    url = request.getfixturevalue("postgres_url")
    async with lazy_pool(url, connections_max=8, timeouts=timeouts, role="test") as pool:
        yield Server(lambda: pool)


@pytest.fixture
def store(server: Server) -> Store:
    """Give a client's store."""
    return server.store()


def resource(version: int = 1, capacity: int = 5) -> Resource:
    """Return a resource as it may be stored."""
    return Resource(version, SETTINGS, Counters(capacity, 0, 0, capacity, 0), NOW)


def write_of(key: ResourceKey, expected: int = 0) -> ResourceWrite:
    """Return a resource's next version."""
    return ResourceWrite(key, expected, resource(expected + 1))


def hold(
    name: str, *, expires_in: float = 60, status: HoldStatus = HoldStatus.HELD, buyer: str | None = None
) -> Hold:
    """Return a hold of two units."""
    expires_at = NOW + timedelta(seconds=expires_in)
    return Hold(name, "alice", None, buyer, None, status, 2, {"units": 2}, NOW, expires_at, expires_at)


def request(
    request_id: str, claim_id: str = "", *, key: ResourceKey = AULA, owns: bool = True, reason: str | None = None
) -> Request:
    """Return a decided request."""
    return Request(
        request_id=request_id,
        key=key,
        source="gateway/alice",
        claim_id=claim_id or request_id,
        owns_claim=owns,
        fingerprint=b"print",
        command="Hold",
        reason=reason,
        events='[{"word":  "for word"}]',
        arrived_at=NOW,
        decided_at=NOW,
        partition=1,
        offset=2,
    )


def writes(
    requests: Sequence[Request] = (),
    resources: Sequence[ResourceWrite] = (),
    pools: dict[tuple[ResourceKey, str], Pool] | None = None,
    holds: Sequence[tuple[ResourceKey, Hold]] = (),
) -> Writes:
    """Return what a batch writes."""
    return Writes(requests, resources, pools or {}, holds)


async def write(store: Store, *given: Writes) -> None:
    """Write, in a transaction each."""
    for one in given:
        async with store.transaction() as transaction:
            await transaction.write(one)


@asynccontextmanager
async def two_transactions(server: Server) -> AsyncIterator[tuple[Transaction, Transaction, AsyncExitStack]]:
    """Give two clients' open transactions; closing the stack commits the first."""
    async with server.store().transaction() as other, AsyncExitStack() as stack:
        one = await stack.enter_async_context(server.store().transaction())
        yield one, other, stack


async def waits(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task still waits when it has had its time."""
    done, _ = await asyncio.wait((task,), timeout=SETTLE_SECONDS)
    return not done


async def test_what_is_written_is_read(store: Store) -> None:
    """Every column comes back as it went."""
    pool = Pool(capacity=5, held=2, taken=1, ceiling=5)
    both = [hold("h1"), replace(hold("h2"), token_hash="t", buyer="ann", client_reference="c", units={}, ended_at=NOW)]
    await write(
        store,
        writes([request("r1", "k1")], [write_of(AULA)], {(AULA, "units"): pool}, [(AULA, one) for one in both]),
    )
    async with store.transaction() as transaction:
        assert await transaction.lock([AULA, BAR]) == {AULA: resource()}
        _, decided = await transaction.clock_and_decided([Claim("gateway/alice", "k1", "r1")])
        assert [(row.request_id, row.owns_claim, row.events) for row in decided] == [("r1", True, request("r").events)]
        assert await transaction.pools([AULA, BAR]) == {AULA: {"units": pool}}
        found = await transaction.holds([AULA], NOW, ["h1", "h2", "h3"], 10)
        assert sorted(found[AULA], key=lambda one: one.hold_id) == both


async def test_a_hold_that_is_written_again_keeps_what_it_was_granted(store: Store) -> None:
    """Status, quantity, units, expiry and end may change; owner, buyer and the latest expiry may not."""
    await write(store, writes(holds=[(AULA, hold("h1"))]))
    later = replace(hold("h1"), account="mallory", buyer="eve", status=HoldStatus.CANCELLED, quantity=1, ended_at=NOW)
    await write(store, writes(holds=[(AULA, later)]))
    async with store.transaction() as transaction:
        assert await transaction.holds([AULA], NOW, ["h1"], 1) == {AULA: [replace(later, account="alice", buyer=None)]}


async def test_nothing_is_seen_before_the_commit_and_nothing_stays_of_a_rollback(server: Server) -> None:
    """The others read what is committed."""
    with pytest.raises(ZeroDivisionError):
        async with server.store().transaction() as transaction:
            await transaction.write(writes([request("r1")], [write_of(AULA)], holds=[(AULA, hold("h1"))]))
            await assert_empty(server.store())
            raise ZeroDivisionError
    await assert_empty(server.store())


async def assert_empty(store: Store) -> None:
    """Find nothing."""
    async with store.transaction() as transaction:
        assert await transaction.lock([AULA]) == {}
        _, decided = await transaction.clock_and_decided([Claim("gateway/alice", "r1", "r1")])
        assert decided == []
        assert await transaction.holds([AULA], NOW + timedelta(hours=1), ["h1"], 10) == {}


async def test_a_lock_is_waited_for_and_then_the_new_row_is_read(server: Server) -> None:
    """READ COMMITTED: who waited sees what he waited for."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    async with two_transactions(server) as (one, other, commit):
        await one.lock([AULA])
        await one.write(writes(resources=[write_of(AULA, 1)]))
        second = asyncio.create_task(other.lock([AULA]))
        assert await waits(second)
        await commit.aclose()
        assert await second == {AULA: resource(version=2)}


async def test_other_resources_are_not_waited_for(server: Server) -> None:
    """Nor such as do not exist: there is no row to lock."""
    await write(server.store(), writes(resources=[write_of(AULA), write_of(BAR)]))
    async with two_transactions(server) as (one, other, _):
        assert set(await one.lock([AULA, CLUB])) == {AULA}
        assert set(await other.lock([BAR, CLUB])) == {BAR}


async def test_a_lock_is_not_waited_for_for_ever(server: Server) -> None:
    """After the lock timeout the waiting fails as a passing fault, 55P03."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    async with server.store().transaction() as one:
        await one.lock([AULA])
        with pytest.raises(asyncpg.LockNotAvailableError) as fault:
            async with server.store().transaction() as other:
                waiting = asyncio.ensure_future(other.lock([AULA]))
                while not waiting.done():
                    await asyncio.sleep(IDLE_SECONDS / 3)
                    await one.pools([AULA])  # else its idleness would end it before
                await waiting
    assert fault.value.sqlstate == "55P03"
    assert is_transient(fault.value)


async def test_who_is_idle_in_a_transaction_loses_it(server: Server) -> None:
    """His locks are given to the next; what he does then fails for a passing reason and changes nothing."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    with pytest.raises(Exception) as fault:  # noqa: PT011 - which it is, differs; what it means is asserted
        async with server.store().transaction() as one:
            await one.lock([AULA])
            async with server.store().transaction() as other:
                assert await other.lock([AULA]) == {AULA: resource()}
            await one.write(writes(resources=[write_of(AULA, 1)]))
    assert is_transient(fault.value)
    async with server.store().transaction() as transaction:
        assert await transaction.lock([AULA]) == {AULA: resource()}


async def test_a_deadlock_ends_for_one_of_the_two(server: Server) -> None:
    """As a passing fault, 40P01; the other goes on."""
    await write(server.store(), writes(resources=[write_of(AULA), write_of(BAR)]))

    async def crosswise(first: ResourceKey, second: ResourceKey, met: asyncio.Barrier) -> str | None:
        try:
            async with server.store().transaction() as transaction:
                await transaction.lock([first])
                await met.wait()
                await transaction.lock([second])
        except asyncpg.PostgresError as fault:
            assert is_transient(fault)
            return fault.sqlstate
        return None

    met = asyncio.Barrier(2)
    ends = await asyncio.gather(crosswise(AULA, BAR, met), crosswise(BAR, AULA, met))
    assert sorted(ends, key=str) == ["40P01", None]


async def test_e25_a_claim_that_is_taken_is_raced(store: Store) -> None:
    """By another request of the same key, or by the very same one; a request that owns no claim does not mind."""
    await write(store, writes([request("r1", "k")]))
    for raced in (request("r2", "k"), request("r1", "k")):
        with pytest.raises(RacedError):
            await write(store, writes([request("r3", "k3"), raced]))
    await write(store, writes([request("r3", "k3"), request("r4", "k", owns=False)]))
    async with store.transaction() as transaction:
        claims = [Claim("gateway/alice", "k", "r9"), Claim("gateway/alice", "k3", "r3")]
        _, decided = await transaction.clock_and_decided([*claims, Claim("gateway/alice", "none", "r4")])
    assert sorted((row.request_id, row.owns_claim) for row in decided) == [("r1", True), ("r3", True), ("r4", False)]


@pytest.mark.parametrize("same_request", [True, False])
async def test_r3_a_claim_of_an_open_transaction_is_waited_for(server: Server, *, same_request: bool) -> None:
    """If it commits, the second is raced."""
    async with two_transactions(server) as (one, other, commit):
        await one.write(writes([request("r1", "k")]))
        second = asyncio.create_task(other.write(writes([request("r1" if same_request else "r2", "k")])))
        assert await waits(second)
        await commit.aclose()
        with pytest.raises(RacedError):
            await second


async def test_r3_a_claim_that_is_rolled_back_is_free(server: Server) -> None:
    """If the first gives up, the second has the claim."""
    second: asyncio.Task[None] | None = None
    async with server.store().transaction() as other:
        with pytest.raises(ZeroDivisionError):
            async with server.store().transaction() as one:
                await one.write(writes([request("r1", "k")]))
                second = asyncio.create_task(other.write(writes([request("r2", "k")])))
                assert await waits(second)
                raise ZeroDivisionError
        await second
    async with server.store().transaction() as transaction:
        _, decided = await transaction.clock_and_decided([Claim("gateway/alice", "k", "r1")])
    assert [row.request_id for row in decided] == ["r2"]


@pytest.mark.parametrize("expected", [0, 2])
async def test_a_resource_at_another_version_is_raced(store: Store, expected: int) -> None:
    """Also one that was not to exist yet."""
    await write(store, writes(resources=[write_of(AULA)]))
    with pytest.raises(RacedError):
        await write(store, writes(resources=[write_of(BAR), write_of(AULA, expected)]))
    async with store.transaction() as transaction:
        assert await transaction.lock([AULA, BAR]) == {AULA: resource()}


async def test_a_resource_that_is_being_created_is_waited_for(server: Server) -> None:
    """Two create it: the second is raced."""
    async with two_transactions(server) as (one, other, commit):
        assert await one.lock([AULA]) == await other.lock([AULA]) == {}
        await one.write(writes(resources=[write_of(AULA)]))
        second = asyncio.create_task(other.write(writes(resources=[write_of(AULA)])))
        assert await waits(second)
        await commit.aclose()
        with pytest.raises(RacedError):
            await second


async def test_a_slot_created_meanwhile_is_seen_by_the_next_statement(server: Server) -> None:
    """What the simulation found: no lock stands on what did not exist, and a second look finds it."""
    async with server.store().transaction() as transaction:
        assert await transaction.lock([AULA]) == {}
        await write(server.store(), writes([request("r1")], [write_of(AULA)]))
        _, decided = await transaction.clock_and_decided([Claim("gateway/alice", "r1", "r1")])
        assert [row.request_id for row in decided] == ["r1"]
        assert await transaction.lock([AULA]) == {AULA: resource()}


@pytest.mark.parametrize(
    "pool", [Pool(5, 4, 2, 5), Pool(5, -1, 0, 5), Pool(5, 0, -1, 5), Pool(-1, 0, 0, 5)], ids=str
)
async def test_r10_units_that_cannot_be_are_refused(store: Store, pool: Pool) -> None:
    """A CHECK violation: the command's fault, 23514, and nothing of its batch stays."""
    with pytest.raises(asyncpg.CheckViolationError) as fault:
        await write(store, writes([request("r1")], [write_of(AULA)], {(AULA, "units"): pool}))
    assert fault.value.sqlstate == "23514"
    assert is_culprit(fault.value)
    await assert_empty(store)


@pytest.mark.parametrize(
    "bad", [replace(hold("h1"), quantity=0), replace(hold("h1"), expires_at=NOW + timedelta(days=9))], ids=["0", "9"]
)
async def test_a_hold_that_cannot_be_is_refused(store: Store, bad: Hold) -> None:
    """The same for holds."""
    with pytest.raises(asyncpg.CheckViolationError):
        await write(store, writes([request("r1")], holds=[(AULA, bad)]))
    await assert_empty(store)


async def test_holds_that_are_due_are_read_the_oldest_first_and_so_many(store: Store) -> None:
    """Those at the instant included, ended ones not; a named hold of another resource is not found."""
    holds = [(AULA, hold(f"h{late}", expires_in=late)) for late in (0, -1, -2, -3, 1)]
    holds += [(AULA, hold("over", expires_in=-9, status=HoldStatus.EXPIRED)), (BAR, hold("bar", expires_in=-9))]
    await write(store, writes(holds=holds))
    async with store.transaction() as transaction:
        found = await transaction.holds([AULA], NOW, ["h1", "over", "bar"], 3)
        assert sorted(one.hold_id for one in found[AULA]) == ["h-1", "h-2", "h-3", "h1", "over"]
        every = await transaction.holds([AULA, BAR], NOW, [], 10)
    assert {key: len(some) for key, some in every.items()} == {AULA: 4, BAR: 1}


async def test_live_holds_of_buyers_are_counted(store: Store) -> None:
    """Those that are due included; who has none is not named."""
    await write(
        store,
        writes(
            holds=[
                (AULA, hold("h1", buyer="ann")),
                (AULA, hold("h2", buyer="ann", expires_in=-9)),
                (AULA, hold("h3", buyer="ann", status=HoldStatus.CONFIRMED)),
                (BAR, hold("h4", buyer="ann")),
                (AULA, hold("h5", buyer="ben")),
            ]
        ),
    )
    async with store.transaction() as transaction:
        assert await transaction.live_holds_of([(AULA, "ann"), (BAR, "ann"), (BAR, "ben")]) == {
            (AULA, "ann"): 2,
            (BAR, "ann"): 1,
        }


async def test_refused_holds_are_read(store: Store) -> None:
    """With whose they were and why; what was granted is not among them."""
    await write(store, writes([request("r1", reason="sold_out"), request("r2")]))
    async with store.transaction() as transaction:
        assert await transaction.refused(["r1", "r2", "r3"]) == [RefusedHold(AULA, "r1", "gateway/alice", "sold_out")]


async def test_due_resources_come_the_longest_overdue_first(store: Store) -> None:
    """By their first hold that is over."""
    await write(
        store,
        writes(
            holds=[
                (AULA, hold("h1", expires_in=-1)),
                (BAR, hold("h2", expires_in=-3)),
                (BAR, hold("h3", expires_in=60)),
                (CLUB, hold("h4", expires_in=60)),
            ]
        ),
    )
    assert await store.due_resources(10) == [BAR, AULA]
    assert await store.due_resources(1) == [BAR]


async def test_the_clock_is_read_at_each_statement(store: Store) -> None:
    """Not at the beginning of the transaction, and in UTC."""
    async with store.transaction() as transaction:
        first, _ = await transaction.clock_and_decided([])
        await asyncio.sleep(0.01)
        second, _ = await transaction.clock_and_decided([])
    assert second - first >= timedelta(milliseconds=9)
    assert abs(second - datetime.now(UTC)) < timedelta(seconds=5)
    assert second.utcoffset() == timedelta(0)


async def test_a_gateway_reads_what_is_due_as_free(server: Server) -> None:
    """The reading of one resource, and of none."""
    resource_ = replace(resource(), counters=Counters(5, 4, 0, 1, 0))
    pool = Pool(5, 4, 0, 5)
    await write(
        server.store(),
        writes(
            resources=[ResourceWrite(AULA, 0, resource_)],
            pools={(AULA, "units"): pool},
            holds=[(AULA, hold("h1", expires_in=-1)), (AULA, hold("h2"))],
        ),
    )
    reads = Reads(cast(asyncpg.Pool, server.pool()))
    reading = await reads.resource(AULA)
    assert reading is not None
    assert (reading.version, reading.settings, reading.counters) == (1, SETTINGS, Counters(5, 2, 0, 3, 0))
    assert await reads.resource(BAR) is None
