"""The store on Postgres and on its twin: pools as they are needed, and the audit of seats.

On the twin seen to fail without the unique index, with ends of what has ended, and with all pools read for a name.
"""

from dataclasses import replace
from datetime import datetime

import asyncpg
import msgspec
import pytest

from schema.faults import is_culprit
from schema.rows import Holding, HoldingEnd, HoldingUpdate, Pool, ResourceKey
from schema.store import Store
from schema.writing import RacedError, Writes
from tests.contract.stores import AULA, BAR, CLUB, NOW, hold, seen, write, write_of, writes

BEGUN = Holding("h1", "A1", "ann", NOW)


def began(*holdings: Holding, key: ResourceKey = AULA) -> Writes:
    """Return what a batch writes of holdings that began in it."""
    return replace(writes(), holdings=[(key, holding) for holding in holdings])


def ended(end: HoldingEnd | None, *, hold_id: str = "h1", returned_at: datetime | None = None) -> Writes:
    """Return what a batch writes of the end of the seat A1's holding."""
    news = HoldingUpdate(hold_id, "A1", None if end is None else NOW, end, returned_at)
    return replace(writes(), holding_updates=[news])


async def test_pools_are_read_as_they_are_needed(store: Store) -> None:
    """All of a resource, or those of these names, or none; by name also later in the transaction."""
    pools = {(key, name): Pool(5, 0, 0, 5) for key in (AULA, BAR, CLUB) for name in ("A1", "A2", "A3")}
    await write(store, writes(resources=[write_of(key) for key in (AULA, BAR, CLUB)], pools=pools))
    found = await seen(store, AULA, BAR, CLUB, pools={AULA: None, BAR: ["A2", "A9"], CLUB: []})
    assert sorted((key.resource_id, name) for key, name, _ in found.pools) == [
        ("aula", "A1"),
        ("aula", "A2"),
        ("aula", "A3"),
        ("bar", "A2"),
    ]
    async with store.transaction() as transaction:
        later = await transaction.pools_of([(CLUB, "A3"), (BAR, "A9"), (BAR, "A1")])
    assert sorted(later, key=str) == [(BAR, "A1", Pool(5, 0, 0, 5)), (CLUB, "A3", Pool(5, 0, 0, 5))]


async def test_pools_that_holds_claim_are_read_with_them(store: Store) -> None:
    """Of holds that are over and that are named, on the resources of which that is wanted, and no others.

    Seen to fail with the pools of all holds of the batch.
    """
    pools = {(key, name): Pool(5, 0, 0, 5) for key in (AULA, BAR) for name in ("A1", "A2", "A3")}
    over = msgspec.structs.replace(hold("over", expires_in=-9), units={"A1": 1})
    named = msgspec.structs.replace(hold("named"), units={"A2": 1, "A9": 1})
    holds = [(AULA, over), (AULA, named), (AULA, msgspec.structs.replace(hold("other"), units={"A3": 1}))]
    holds += [(BAR, msgspec.structs.replace(over, hold_id="bar"))]
    await write(store, writes(resources=[write_of(AULA), write_of(BAR)], pools=pools, holds=holds))
    found = await seen(store, AULA, BAR, claimed_of={AULA}, hold_ids=["named"], due_max=9)
    assert {(key, name) for key, name, _ in found.pools} == {(AULA, "A1"), (AULA, "A2")}


async def test_a_seat_has_one_open_holding(store: Store) -> None:
    """A second one is a culprit's fault, 23505, and nothing of its batch stays; once the first has ended it may begin."""
    await write(store, began(BEGUN), began(msgspec.structs.replace(BEGUN, hold_id="h0"), key=BAR))
    second = msgspec.structs.replace(BEGUN, hold_id="h2")
    there = msgspec.structs.replace(second, pool="A2")
    with pytest.raises(asyncpg.UniqueViolationError) as fault:
        await write(store, began(msgspec.structs.replace(BEGUN, hold_id="h3", pool="A2"), second))
    assert is_culprit(fault.value)
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(
            store,
            began(msgspec.structs.replace(second, pool="A2"), msgspec.structs.replace(BEGUN, hold_id="h3", pool="A2")),
        )
    await write(store, began(there), ended(HoldingEnd.EXPIRED), began(second))


async def test_a_seat_is_given_back_and_held_again_in_one_batch(store: Store) -> None:
    """Ends are written before beginnings; one that began and ended in the batch is in nobody's way."""
    await write(store, began(BEGUN))
    brief = msgspec.structs.replace(BEGUN, hold_id="h2", ended_at=NOW, end=HoldingEnd.CHANGED)
    await write(store, replace(ended(HoldingEnd.CANCELLED), holdings=[(AULA, brief), (AULA, BEGUN)]))
    await write(store, ended(HoldingEnd.CANCELLED))


@pytest.mark.parametrize("end", [HoldingEnd.CANCELLED, HoldingEnd.CHANGED, HoldingEnd.EXPIRED], ids=lambda it: it.value)
async def test_a_holding_ends_once(store: Store, end: HoldingEnd) -> None:
    """What is over, or never began, is raced."""
    await write(store, began(BEGUN), ended(end))
    for hold_id in ("h1", "h9"):
        with pytest.raises(RacedError):
            await write(store, ended(HoldingEnd.CANCELLED, hold_id=hold_id))


async def test_a_seat_that_was_made_firm_is_given_back_once(store: Store) -> None:
    """It stays confirmed; another may hold it from when it was made firm, as far as the audit goes."""
    await write(store, began(BEGUN), ended(HoldingEnd.CONFIRMED), ended(HoldingEnd.EXPIRED, returned_at=NOW))
    with pytest.raises(RacedError):
        await write(store, ended(None, returned_at=NOW))


@pytest.mark.parametrize(
    "bad",
    [
        msgspec.structs.replace(BEGUN, ended_at=NOW),
        msgspec.structs.replace(BEGUN, end=HoldingEnd.EXPIRED),
        msgspec.structs.replace(BEGUN, ended_at=NOW, end=HoldingEnd.EXPIRED, returned_at=NOW),
    ],
    ids=["no reason", "no end", "given back though never firm"],
)
async def test_a_holding_that_cannot_be_is_refused(store: Store, bad: Holding) -> None:
    """A CHECK violation: the command's fault."""
    with pytest.raises(asyncpg.CheckViolationError) as fault:
        await write(store, began(bad))
    assert is_culprit(fault.value)
