"""Alice lets her hold run out, and Bob gets it."""

import pytest

from tests.acceptance.people import Person, open_slot, outcome

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_e12_the_next_one_gets_it(alice: Person, bob: Person) -> None:
    """The last unit is Alice's for a second, then it is free at once, and she comes too late.

    Seen to fail on holds that are expired by the sweeper's commands only.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    assert outcome(await bob.hold(slot)) == (409, "sold_out")

    await alice.waits_for_the_end_of(hold)
    bobs = await bob.hold(slot)
    assert outcome(bobs) == (201, "held")
    assert outcome(await alice.confirms(hold)) == (409, "hold_expired")
    assert outcome(await alice.extends(hold, seconds=60)) == (409, "hold_expired")


async def test_e82_giving_back_what_has_expired(alice: Person, bob: Person) -> None:
    """Cancelling what has run out is a success that changes nothing: Bob keeps what he got.

    Seen to fail on a cancel that gives back again what was given back.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await alice.waits_for_the_end_of(hold)
    await alice.define(slot, 1, hold_seconds=60)
    bobs = await bob.hold(slot)

    assert outcome(await alice.cancels(hold)) == (200, "expired")
    assert await alice.sees(slot) == [1, 0, 0]
    assert outcome(await bob.confirms(bobs)) == (200, "confirmed")


async def test_more_time_in_time(alice: Person, bob: Person) -> None:
    """An extension that comes before the end keeps the hold beyond it."""
    slot = await open_slot(alice, 2, hold_seconds=1, max_hold_seconds=60)
    hold, yardstick = await alice.hold(slot), await alice.hold(slot)
    extended = await alice.extends(hold, seconds=30)
    assert extended.body["expires_at"] > hold.body["expires_at"]

    await alice.waits_for_the_end_of(yardstick)
    assert [outcome(await bob.hold(slot)) for _ in range(2)] == [(201, "held"), (409, "sold_out")]
    assert outcome(await alice.confirms(hold)) == (200, "confirmed")
