"""The operator lowers a capacity, closes a slot, opens one at an instant."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.people import Person, open_slot, outcome
from tests.installation import Reply, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_e6_capacity_lowered_below_what_is_sold(alice: Person, bob: Person) -> None:
    """From 64 places to 16 with 44 out: nobody loses one, the next 28 that come back are nobody's, the 29th is Bob's.

    Seen to fail on units that become free below a ceiling that stays where the capacity was.
    """
    slot = await open_slot(alice, 64)
    sold = await asyncio.gather(*(alice.hold(slot) for _ in range(44)))
    await asyncio.gather(*(alice.confirms(hold) for hold in sold[:40]))
    lowered = await alice.define(slot, 16)
    assert (lowered.status, lowered.body["remaining"], lowered.body["oversubscribed_by"]) == (200, 0, 28)

    assert outcome(await alice.confirms(sold[40])) == (200, "confirmed")
    assert outcome(await alice.extends(sold[41], seconds=400)) == (200, "held")
    for number, hold in enumerate(sold[-28:], start=1):
        assert outcome(await alice.cancels(hold)) == (200, "cancelled")
        assert await alice.sees(slot, "remaining", "oversubscribed_by") == [0, 28 - number]
        assert outcome(await bob.hold(slot)) == (409, "sold_out")
    await alice.cancels(sold[0])
    assert outcome(await bob.hold(slot)) == (201, "held")
    assert await alice.sees(slot) == [1, 15, 0]


async def test_closed_for_now(alice: Person, bob: Person) -> None:
    """A closed slot takes no new holds and honours those it has given; opened again it is as before."""
    slot = await open_slot(alice, 2)
    hold = await alice.hold(slot)
    await alice.define(slot, 2, open=False)
    assert outcome(await bob.hold(slot)) == (409, "closed")
    assert outcome(await alice.confirms(hold)) == (200, "confirmed")

    await alice.define(slot, 2)
    assert outcome(await bob.hold(slot)) == (201, "held")


async def test_open_from_one_instant_to_another(alice: Person, bob: Person) -> None:
    """Doors open and close by themselves, at the second that the operator named.

    Seen to fail on either instant not being asked.
    """
    opens_at = datetime.now(UTC) + timedelta(seconds=1.5)
    closes_at = opens_at + timedelta(seconds=1.5)
    slot = await open_slot(alice, 100, opens_at=opens_at.isoformat(), closes_at=closes_at.isoformat())
    assert outcome(await bob.hold(slot)) == (409, "not_open_yet")

    first = await eventually(lambda: held(bob, slot), what="the doors open")
    assert datetime.fromisoformat(first.body["granted_at"]) >= opens_at
    refused = await eventually(lambda: refused_for(bob, slot, "closed"), what="the doors close")
    polled = await bob.call("GET", f"/requests/{refused.body['request_id']}")
    assert datetime.fromisoformat(polled.body["decided_at"]) >= closes_at
    assert outcome(await bob.confirms(first)) == (200, "confirmed")


async def held(somebody: Person, slot: str) -> Reply | None:
    """Return a hold, if it is granted."""
    reply = await somebody.hold(slot)
    return reply if reply.status == 201 else None


async def refused_for(somebody: Person, slot: str, reason: str) -> Reply | None:
    """Return the refusal of a hold, if that is why."""
    reply = await somebody.hold(slot)
    return reply if reply.status == 409 and reply.reason == reason else None
