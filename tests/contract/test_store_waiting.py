"""Two transactions at once, on Postgres and on its twin: who waits for whom, for how long, and what he then finds."""

import asyncio

import asyncpg
import pytest

from schema.faults import is_transient
from schema.rows import ResourceKey
from schema.snapshots import Claim, Wanted
from schema.writing import RacedError
from tests.contract.stores import (
    AULA,
    BAR,
    CLUB,
    IDLE_SECONDS,
    TRANSACTION_SECONDS,
    Server,
    request,
    resource,
    resources_in,
    seen,
    stored,
    two_transactions,
    waits,
    write,
    write_of,
    writes,
)
from tests.overtaking import Overtaken


async def test_a_lock_is_waited_for_and_then_the_new_row_is_read(server: Server) -> None:
    """READ COMMITTED: who waited sees what he waited for."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    before = await stored(server.store(), AULA)
    async with two_transactions(server) as (one, other, commit):
        await one.lock([AULA])
        await one.write(writes(resources=[write_of(AULA, before)]))
        second = asyncio.create_task(other.lock([AULA]))
        assert await waits(second)
        await commit.aclose()
        assert await second == 1
        assert resources_in(await other.read(Wanted([AULA]))) == {AULA: resource(version=2)}


async def test_other_resources_are_not_waited_for(server: Server) -> None:
    """Nor such as do not exist: there is no row to lock."""
    await write(server.store(), writes(resources=[write_of(AULA), write_of(BAR)]))
    async with two_transactions(server) as (one, other, _):
        assert await one.lock([AULA, CLUB]) == 1
        assert await other.lock([BAR, CLUB]) == 1


async def test_a_lock_is_not_waited_for_for_ever(server: Server) -> None:
    """After the lock timeout the waiting fails as a passing fault, 55P03."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    async with server.store().transaction() as one:
        await one.lock([AULA])
        with pytest.raises(asyncpg.LockNotAvailableError) as fault:  # noqa: PT012 - the statement ends the block
            async with server.store().transaction() as other:
                waiting = asyncio.ensure_future(other.lock([AULA]))
                while not waiting.done():
                    await asyncio.sleep(IDLE_SECONDS / 3)
                    await one.pools_of([])  # else its idleness would end it before
                await waiting
    assert fault.value.sqlstate == "55P03"
    assert is_transient(fault.value)


async def test_who_is_idle_in_a_transaction_loses_it(server: Server) -> None:
    """His locks are given to the next; what he does then fails for a passing reason and changes nothing."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    before = await stored(server.store(), AULA)
    with pytest.raises(Exception) as fault:  # noqa: PT011, PT012 - which fault differs, what it means is asserted
        async with server.store().transaction() as one:
            await one.lock([AULA])
            async with server.store().transaction() as other:
                assert await other.lock([AULA]) == 1
            await one.write(writes(resources=[write_of(AULA, before)]))
    assert is_transient(fault.value)
    assert resources_in(await seen(server.store(), AULA)) == {AULA: resource()}


async def test_a_transaction_does_not_last_for_ever(server: Server) -> None:
    """However busy its owner is with it; its locks are free then, and the fault is a passing one."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    with pytest.raises(Exception) as fault:  # noqa: PT011, PT012 - which fault differs, what it means is asserted
        async with server.store().transaction() as one:
            await one.lock([AULA])
            async with asyncio.timeout(3 * TRANSACTION_SECONDS):
                while True:
                    await asyncio.sleep(IDLE_SECONDS / 3)
                    await one.pools_of([])
    assert is_transient(fault.value)
    assert not isinstance(fault.value, TimeoutError)
    async with server.store().transaction() as transaction:
        assert await transaction.lock([AULA]) == 1


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
            return f"{fault.sqlstate}, transient: {is_transient(fault)}"
        return None

    met = asyncio.Barrier(2)
    ends = await asyncio.gather(crosswise(AULA, BAR, met), crosswise(BAR, AULA, met))
    assert sorted(ends, key=str) == ["40P01, transient: True", None]


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
    seconds: list[asyncio.Task[int | None]] = []
    async with server.store().transaction() as other:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it is the end of the block that counts
            async with server.store().transaction() as one:
                await one.write(writes([request("r1", "k")]))
                seconds.append(asyncio.create_task(other.write(writes([request("r2", "k")]))))
                assert await waits(seconds[0])
                raise ZeroDivisionError
        await seconds[0]
    found = await seen(server.store(), claims=[Claim("gateway/alice", "k", "r1")])
    assert [row.request_id for row in found.decided] == ["r2"]


async def test_a_resource_that_is_being_created_is_waited_for(server: Server) -> None:
    """Two create it: the second is raced."""
    async with two_transactions(server) as (one, other, commit):
        assert await one.lock([AULA]) == await other.lock([AULA]) == 0
        await one.write(writes(resources=[write_of(AULA)]))
        second = asyncio.create_task(other.write(writes(resources=[write_of(AULA)])))
        assert await waits(second)
        await commit.aclose()
        with pytest.raises(RacedError):
            await second


async def test_a_slot_created_meanwhile_is_not_decided_on(server: Server) -> None:
    """What the simulation found: no lock stands on what did not exist, so what is read of it then may change.

    Seen to fail with a reading that does not count what was locked.
    """
    made = writes([request("r1")], [write_of(AULA)])
    async with server.pool().acquire() as connection, connection.transaction():
        overtaken = Overtaken(connection, lambda: write(server.store(), made))
        with pytest.raises(RacedError):
            await overtaken.read(Wanted([AULA], [Claim("gateway/alice", "r1", "r1")]))
