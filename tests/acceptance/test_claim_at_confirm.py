"""A slot where holding takes nothing: who confirms first gets it."""

import asyncio

import pytest

from tests.acceptance.people import Person, open_slot, outcome

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_first_to_confirm(alice: Person, bob: Person) -> None:
    """Both hold the one place; Alice confirms, Bob is told that it is sold, keeps his hold, and gets it when she gives it back.

    Fails if such a hold takes its unit, or if it ends with the refused confirm.
    """
    slot = await open_slot(alice, 1, claim_at="confirm")
    hers, his = await alice.hold(slot), await bob.hold(slot)
    assert await alice.sees(slot) == [0, 0, 1]

    assert outcome(await alice.confirms(hers)) == (200, "confirmed")
    assert outcome(await bob.confirms(his)) == (409, "sold_out")
    assert (await bob.looks_at(his))["status"] == "held"

    await alice.cancels(hers)
    assert outcome(await bob.confirms(his)) == (200, "confirmed")
    assert await alice.sees(slot) == [0, 1, 0]


async def test_all_confirm_at_once(alice: Person) -> None:
    """Twenty hold three places and all confirm at one moment: three are firm, none is sold twice."""
    slot = await open_slot(alice, 3, claim_at="confirm")
    holds = await asyncio.gather(*(alice.hold(slot) for _ in range(20)))
    confirmed = await asyncio.gather(*(alice.confirms(hold) for hold in holds))
    assert sorted(outcome(reply) for reply in confirmed) == [(200, "confirmed")] * 3 + [(409, "sold_out")] * 17
    assert await alice.sees(slot) == [0, 3, 0]
