"""A client that does not wait: 202, where to look, and the outcome there."""

import pytest

from tests.acceptance.people import Person, open_slot
from tests.installation import Installation, Reply
from tests.integration.expectations import sleeping

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def ask(somebody: Person, slot: str, key: str) -> str:
    """Ask for a hold without waiting; return where to look."""
    headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
    reply = await somebody.call("POST", f"/slots/{slot}/hold", headers=headers)
    assert (reply.status, reply.body["status"]) == (202, "queued")
    return str(reply.response.headers["Location"])


async def look(somebody: Person, location: str, seconds: int = 0) -> Reply:
    """Look at a request, waiting that long for its outcome."""
    return await somebody.call("GET", f"{location}?wait={seconds}")


async def test_202_then_the_outcome(alice: Person, running: Installation) -> None:
    """While nobody decides it says queued; then it says what became of each, as a direct answer would have.

    Seen to fail on a poll that does not look in Postgres.
    """
    slot = await open_slot(alice, 1)
    async with sleeping(running.processes[0]):
        locations = [await ask(alice, slot, f"poll-{slot}-{number}") for number in range(2)]
        queued = [await look(alice, location) for location in locations]
    assert [(reply.status, reply.body["status"]) for reply in queued] == [(200, "queued")] * 2
    assert all(int(reply.response.headers["Retry-After"]) >= 1 for reply in queued)

    granted, refused = [await look(alice, location, seconds=30) for location in locations]
    assert (granted.body["status"], refused.body["status"]) == ("succeeded", "refused")
    assert granted.body["result"] == await alice.looks_at(Reply(200, granted.body["result"], granted.response))
    assert (refused.body["error"]["status"], refused.body["error"]["retry"]) == (409, "new_key")


async def test_the_key_finds_it_too(alice: Person) -> None:
    """Who lost the address asks again with the key: one hold, and the same address."""
    slot = await open_slot(alice, 5)
    location = await ask(alice, slot, f"again-{slot}")
    outcome = await look(alice, location, seconds=30)
    again = await alice.hold(slot, f"again-{slot}")
    assert (again.body, again.body["links"]["request"]) == (outcome.body["result"], location)
    assert await alice.sees(slot) == [1, 0, 4]
