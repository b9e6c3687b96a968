"""Alice changes her mind: more, less, longer, not at all."""

import pytest

from tests.acceptance.people import Person, open_slot, outcome

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_more_and_less(alice: Person, bob: Person) -> None:
    """A hold grows into what is free, its own units not in its way, all or nothing; what it gives back is Bob's at once.

    Seen to fail on a change that takes all units anew.
    """
    slot = await open_slot(alice, 5)
    hold = await alice.hold(slot, quantity=3)
    assert (await alice.changes(hold, quantity=5)).body["quantity"] == 5
    assert outcome(await alice.changes(hold, quantity=6)) == (409, "sold_out")
    assert await alice.sees(slot) == [5, 0, 0]

    smaller = await alice.changes(hold, quantity=1)
    assert (smaller.body["quantity"], smaller.body["expires_at"]) == (1, hold.body["expires_at"])
    assert outcome(await bob.hold(slot, quantity=4)) == (201, "held")


async def test_less_is_always_possible(alice: Person) -> None:
    """A slot that has closed takes units back, and gives none.

    Seen to fail on a change that asks for opening whatever it does.
    """
    slot = await open_slot(alice, 5)
    hold = await alice.hold(slot, quantity=3)
    await alice.define(slot, 5, open=False)
    assert outcome(await alice.changes(hold, quantity=1)) == (200, "held")
    assert outcome(await alice.changes(hold, quantity=2)) == (409, "closed")
    assert await alice.sees(slot) == [1, 0, 4]


async def test_e18_longer_within_bounds(alice: Person) -> None:
    """More time is given up to the longest life, never taken away, and the answer says the true end.

    Seen to fail on an extension that may shorten.
    """
    slot = await open_slot(alice, 1, hold_seconds=60, max_hold_seconds=100)
    hold = await alice.hold(slot)
    unchanged = await alice.extends(hold, seconds=1)
    assert (unchanged.status, unchanged.body["expires_at"]) == (200, hold.body["expires_at"])

    longest = await alice.extends(hold, seconds=5000)
    assert (longest.status, longest.body["expires_at"]) == (200, hold.body["expires_latest_at"])
    assert (await alice.looks_at(hold))["expires_at"] == hold.body["expires_latest_at"]


async def test_not_at_all(alice: Person, bob: Person) -> None:
    """A hold given back is free at once and cannot be used any more."""
    slot = await open_slot(alice, 1)
    hold = await alice.hold(slot)
    assert outcome(await alice.cancels(hold)) == (200, "cancelled")
    assert outcome(await bob.hold(slot)) == (201, "held")
    for late in (
        await alice.confirms(hold),
        await alice.extends(hold, seconds=9),
        await alice.changes(hold, quantity=2),
    ):
        assert outcome(late) == (409, "hold_cancelled")
