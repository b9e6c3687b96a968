"""Sold out, and when to try again: the answer says how, and a key keeps its answer."""

import asyncio
import uuid

import pytest

from tests.acceptance.people import Person, open_slot, outcome
from tests.installation import BOB_KEY, Installation
from tests.integration.expectations import silence

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_e24_a_refusal_stays_with_its_key(alice: Person, bob: Person) -> None:
    """Bob is refused. Though Alice gives back, his key repeats the refusal; a new key is a new attempt.

    Seen to fail on refusals that are told and not stored.
    """
    slot, key = await open_slot(alice, 1), str(uuid.uuid4())
    hold = await alice.hold(slot)
    refused = await bob.hold(slot, key)
    assert (outcome(refused), refused.body["retry"]) == ((409, "sold_out"), "new_key")

    await alice.cancels(hold)
    again = await bob.hold(slot, key)
    assert (again.status, again.body) == (409, refused.body)
    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert outcome(await bob.hold(slot)) == (201, "held")


async def test_e1_a_rush_for_the_last_three(alice: Person, bob: Person) -> None:
    """Forty ask at once for the last three: three get one, each of the others an honest no."""
    slot = await open_slot(alice, 3)
    replies = await asyncio.gather(*((alice, bob)[number % 2].hold(slot) for number in range(40)))
    assert sorted(outcome(reply) for reply in replies) == [(201, "held")] * 3 + [(409, "sold_out")] * 37
    assert await alice.sees(slot) == [3, 0, 0]


async def test_e81_what_to_do_next(alice: Person, bob: Person, running: Installation) -> None:
    """Wait and repeat, take a new key, or stop: problems that ask for different things have different types, and say which.

    Seen to fail on types that say no more than the HTTP status.
    """
    full, closed, key = await open_slot(alice, 0), await open_slot(alice, 1, open=False), str(uuid.uuid4())
    await bob.hold(full, key)
    async with silence() as silent, running.client(BOB_KEY) as stranger:
        url = await running.start_gateway(
            until="healthz", FIRMHOLD_KAFKA=silent.address, FIRMHOLD_PUBLISH_TIMEOUT_SECONDS="0.5"
        )
        async with running.client(BOB_KEY, url) as unlucky:
            replies = [
                (await unlucky.hold(full), "same_key"),
                (await bob.hold(full), "new_key"),
                (await bob.hold(closed), "new_key"),
                (await bob.hold(full, key, quantity=2), "new_key"),
                (await bob.hold(full, quantity=0), "never"),
                (await stranger.call("PUT", f"/slots/{full}", json={"capacity": 1}), "never"),
                (await stranger.call("GET", "/nothing/here"), "never"),
            ]
    assert [reply.body["retry"] for reply, _ in replies] == [wanted for _, wanted in replies]
    types = [reply.body["type"] for reply, _ in replies]
    assert len(set(types)) == len(types)
