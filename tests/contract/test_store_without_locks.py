"""Writing without a lock what was read without one, on Postgres and on its twin: who was overtaken changes nothing."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from msgspec.structs import replace as replace_

from schema.rows import Pool
from schema.store import LockNeededError, Store
from schema.writing import RacedError, ResourceWrite, Writes
from tests.contract.stores import (
    AULA,
    BAR,
    CLUB,
    NOW,
    Server,
    assert_empty,
    hold,
    order,
    payment,
    request,
    resource,
    resources_in,
    sales,
    seen,
    stored,
    waits,
    write,
    write_of,
    writes,
)
from topics.identifiers import hold_id_of
from topics.orders import OrderStatus
from topics.resources import HoldStatus


async def write_alone(store: Store, one: Writes) -> None:
    """Write without a lock."""
    async with store.transaction(is_locking=False) as transaction:
        await transaction.write(one)


def batch() -> Writes:
    """Return what a batch may write of a new resource: its version, a request, a pool and a hold."""
    return writes([request("r1")], [write_of(AULA)], {(AULA, "units"): Pool(5, 2, 0, 5)}, [(AULA, hold("h1"))])


async def test_what_is_written_without_a_lock_is_there(store: Store) -> None:
    """At once, and for all."""
    await write_alone(store, batch())
    found = await seen(store, AULA, pools={AULA: None}, hold_ids=["h1"])
    assert resources_in(found) == {AULA: resource()}
    assert found.pools == [(AULA, "units", Pool(5, 2, 0, 5))]
    assert found.named_holds == [(AULA, hold("h1"))]


@pytest.mark.parametrize("existed", [False, True])
async def test_a_batch_that_was_overtaken_leaves_nothing(store: Store, *, existed: bool) -> None:
    """Of none of its resources. Seen to fail with a statement that counts its rows and raises nothing."""
    await write(store, writes(resources=[write_of(BAR)]))
    before = await stored(store, BAR) if existed else None
    if existed:
        await write(store, writes(resources=[write_of(BAR, before)]))
    both = batch()
    with pytest.raises(RacedError):
        await write_alone(store, replace(both, resources=[*both.resources, write_of(BAR, before)]))
    await assert_empty(store)
    assert (await stored(store, BAR)).version == 1 + existed


async def test_a_claim_that_was_decided_meanwhile_leaves_nothing(store: Store) -> None:
    """Also where its resource stayed as it was."""
    await write(store, writes([request("r0", "k")], [write_of(BAR)]))
    with pytest.raises(RacedError):
        await write_alone(store, replace(batch(), requests=[request("r1", "k")]))
    await assert_empty(store)


async def test_a_refusal_moves_on_what_others_decided_on(store: Store) -> None:
    """It leaves the version, and may leave the last arrival: who read before it is raced, and time never runs back.

    Seen to fail with the version alone, and found by the simulation with version and last arrival: decisions that were not
    in the order of their times.
    """
    await write(store, writes(resources=[write_of(AULA)]))
    before = await stored(store, AULA)
    await write_alone(store, writes([request("r1")], [ResourceWrite(AULA, before, before)]))
    with pytest.raises(RacedError):
        await write_alone(store, writes([request("r2")], [write_of(AULA, before)]))
    assert resources_in(await seen(store, AULA)) == {AULA: resource()}


async def test_a_resource_that_came_into_being_is_raced(store: Store) -> None:
    """Its absence was decided on, and nothing of it is written. Seen to fail without looking again."""
    absent = replace(writes([request("r1", reason="not_found")]), missing=[AULA])
    await write_alone(store, absent)
    await write(store, writes(resources=[write_of(AULA)]))
    with pytest.raises(RacedError):
        await write_alone(store, replace(absent, requests=[request("r2", reason="not_found")]))
    claims = (await seen(store, refused=["r1", "r2"])).refused
    assert [one.request_id for one in claims] == ["r1"]


async def test_of_two_who_write_at_once_one_is_raced(server: Server) -> None:
    """Whoever he is."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    before = await stored(server.store(), AULA)
    both = [writes([request(name)], [write_of(AULA, before)]) for name in ("r1", "r2")]
    ends = await asyncio.gather(*(write_alone(server.store(), one) for one in both), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [RacedError]
    assert resources_in(await seen(server.store(), AULA)) == {AULA: resource(2)}


async def test_who_has_the_lock_is_waited_for_and_was_faster(server: Server) -> None:
    """So a batch under locks gets on, whatever others try meanwhile."""
    await write(server.store(), writes(resources=[write_of(AULA)]))
    before = await stored(server.store(), AULA)
    async with server.store().transaction() as transaction:
        await transaction.lock([AULA])
        second = asyncio.create_task(write_alone(server.store(), writes([request("r2")], [write_of(AULA, before)])))
        assert await waits(second)
        await transaction.write(writes([request("r1")], [write_of(AULA, before)]))
    with pytest.raises(RacedError):
        await second
    assert resources_in(await seen(server.store(), AULA)) == {AULA: resource(2)}


async def test_a_fault_without_a_lock_leaves_nothing(store: Store) -> None:
    """A batch that Postgres refuses is as if it had not been."""
    with pytest.raises(asyncpg.CheckViolationError):
        await write_alone(store, replace(batch(), pools={(AULA, "units"): Pool(5, 4, 2, 5)}))
    await assert_empty(store)


async def test_what_needs_more_than_one_statement_needs_locks(store: Store) -> None:
    """Each of these reads what must not have changed since the first."""
    async with store.transaction(is_locking=False) as transaction:
        for reading in (
            transaction.pools_of([(AULA, "units")]),
            transaction.orders([AULA], NOW, [], 9),
            transaction.known_payments([]),
        ):
            with pytest.raises(LockNeededError):
                await reading


async def test_who_wrote_is_told(store: Store) -> None:
    """So that the next batch need not read it: what it says is what a reading says. With nothing to write nobody did."""
    async with store.transaction(is_locking=False) as transaction:
        written_by = await transaction.write(batch())
    assert written_by is not None
    assert (await stored(store, AULA)).written_by == written_by
    async with store.transaction(is_locking=False) as transaction:
        assert await transaction.write(writes()) is None


@pytest.mark.parametrize(("ahead", "is_raced"), [(-4.0, False), (-6.0, True), (1.0, True)])
async def test_a_time_that_was_carried_on_is_checked(store: Store, *, ahead: float, is_raced: bool) -> None:
    """It is Postgres's own, of some seconds ago at most. Seen to fail without the check."""
    one = replace(batch(), carried_at=datetime.now(UTC) + timedelta(seconds=ahead))
    if is_raced:
        with pytest.raises(RacedError):
            await write_alone(store, one)
        await assert_empty(store)
    else:
        await write_alone(store, one)
        assert (await stored(store, AULA)).version == 1


async def test_what_nobody_looked_for_must_not_be_there(store: Store) -> None:
    """The hold of a command, placed by it or not now, and its steps. Seen to fail without the check."""
    step = replace_(request("a step", key=BAR), step_of="req_2")
    await write(store, writes([step], [write_of(AULA)], holds=[(AULA, hold(hold_id_of("req_1")))]))
    before = await stored(store, AULA)
    carried_at = datetime.now(UTC) - timedelta(milliseconds=1)
    for name in ("req_1", "req_2", "req_3"):
        one = replace(writes([request(name)], [write_of(AULA, before)]), carried_at=carried_at)
        with pytest.raises(RacedError) if name != "req_3" else nullcontext():
            await write_alone(store, one)
    assert (await stored(store, AULA)).version == 2


async def test_a_hold_that_is_there_is_not_placed_again(store: Store) -> None:
    """Nor changed, where nobody looked for it. Seen to fail where holds that are placed are written as others are."""
    await write(store, writes(resources=[write_of(AULA)], holds=[(AULA, hold(hold_id_of("req_1")))]))
    again = hold(hold_id_of("req_1"), status=HoldStatus.CANCELLED)
    one = writes([request("req_1")], [write_of(AULA, await stored(store, AULA))], holds=[(AULA, again)])
    with pytest.raises(RacedError):
        await write_alone(store, replace(one, carried_at=datetime.now(UTC) - timedelta(milliseconds=1)))
    assert (await seen(store, AULA, hold_ids=[again.hold_id])).named_holds == [(AULA, hold(hold_id_of("req_1")))]


@pytest.mark.parametrize("owns", [False, True])
async def test_a_request_without_a_claim_that_was_decided_meanwhile_leaves_nothing(store: Store, *, owns: bool) -> None:
    """Its key was another's, who may be forgotten: its own id tells that it is there.

    Seen to fail (with what Postgres raises) unless that counts as raced.
    """
    await write(store, writes([request("r7", "k", owns=False)], [write_of(BAR)]))
    with pytest.raises(RacedError):
        await write_alone(store, replace(batch(), requests=[request("r7", "k", owns=owns)]))
    await assert_empty(store)


async def test_the_first_deadlines_are_read_where_they_are_needed(store: Store) -> None:
    """Of live holds, of orders that wait for payment, of payments that wait for their order; what is over counts."""
    await write(store, writes(resources=[write_of(AULA), write_of(BAR), write_of(CLUB)]))
    assert (await seen(store, AULA, needs_deadlines=True)).due_at == {}
    later, over = hold("h1", expires_in=50), hold("h2", expires_in=-9, status=HoldStatus.EXPIRED)
    await write(store, writes(holds=[(AULA, later), (AULA, over), (BAR, hold("h3"))]))
    await write(store, sales([(BAR, order("o1", due_in=7)), (BAR, order("o2", due_in=1, status=OrderStatus.PAID))]))
    of_club = [payment("p1", "o9", parked_for=-3), payment("p2", "o8", parked_for=5), payment("p3", "o7")]
    await write(store, sales(payments=[(CLUB, one) for one in of_club]))
    found = await seen(store, AULA, BAR, CLUB, needs_deadlines=True)
    assert found.due_at == {
        AULA: later.expires_at,
        BAR: NOW + timedelta(seconds=7),
        CLUB: NOW - timedelta(seconds=3),
    }
    assert (await seen(store, AULA)).due_at == {}
