"""How long a caller waits: Prefer over HTTP, 202 with where to look, and the answer that comes in time."""

import asyncio
import time
import uuid
from collections.abc import Sequence

import pytest
import pytest_asyncio

from tests.installation import Client, Installation, Reply, eventually
from tests.integration.expectations import fresh, sleeping

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slot(alice: Client) -> str:
    """Give a slot with room."""
    name = fresh("prefer")
    assert (await alice.define(name, 1_000)).status == 201
    return name


async def hold(alice: Client, slot: str, *lines: str) -> Reply:
    """Hold a unit with these Prefer lines."""
    headers: Sequence[tuple[str, str]] = [("Idempotency-Key", str(uuid.uuid4())), *(("Prefer", line) for line in lines)]
    return await alice.call("POST", f"/slots/{slot}/hold", headers=headers)


def accepted(reply: Reply) -> str:
    """Check a 202 and return where to look."""
    assert reply.status == 202, reply.body
    location = reply.response.headers["Location"]
    assert reply.body == {"id": location.removeprefix("/requests/"), "status": "queued", "links": {"self": location}}
    assert int(reply.response.headers["Retry-After"]) >= 1
    assert reply.response.headers["Cache-Control"] == "no-store"
    assert reply.response.headers["Vary"] == "Prefer"
    return location


@pytest.mark.parametrize(
    ("lines", "applied"),
    [
        (["respond-async"], "respond-async"),
        (["respond-async", "respond-async"], "respond-async"),
        (["wait=0"], "wait=0"),
        (["wait=0", "wait=30"], "wait=0"),
        (["respond-async, wait=0"], "respond-async, wait=0"),
        (["foo; wait=3, RESPOND-ASYNC"], "respond-async"),
    ],
)
async def test_no_wait_is_answered_at_once(alice: Client, slot: str, lines: list[str], applied: str) -> None:
    """202 at once and Preference-Applied says why; the request is then found; fails if the wait is not skipped."""
    reply = await hold(alice, slot, *lines)
    assert reply.response.headers["Preference-Applied"] == applied
    polled = await alice.call("GET", f"{accepted(reply)}?wait=30")
    assert (polled.status, polled.body["status"]) == (200, "succeeded")


@pytest.mark.parametrize(
    ("lines", "applied"),
    [
        ([], None),
        (["wait=30"], "wait=30"),
        (["wait=3600"], "wait=30"),
        (['wait="30"'], "wait=30"),
        (["respond-async", "wait=30"], "respond-async, wait=30"),
        (["wait=30, respond-async"], "respond-async, wait=30"),
        (["wait=soon, respond-soon"], None),
        (["wait=-1"], None),
        (["return=minimal;", "wait=30", "wait=0"], "wait=30"),
    ],
)
async def test_an_outcome_within_the_wait_is_the_answer(
    alice: Client, slot: str, lines: list[str], applied: str | None
) -> None:
    """201 with the hold as soon as it is decided; what is malformed is ignored and the default wait holds."""
    reply = await hold(alice, slot, *lines)
    assert reply.status == 201, reply.body
    assert reply.response.headers.get("Preference-Applied") == applied
    assert reply.response.headers["Vary"] == "Prefer"
    assert reply.response.headers["Location"] == f"/holds/{reply.body['id']}"


async def test_refusals_and_definitions_bear_the_preference_too(alice: Client) -> None:
    """Every write honours Prefer, refused or not."""
    slot = fresh("prefer-full")
    defined = await alice.define(slot, 0)
    refused = await hold(alice, slot, "wait=30")
    assert [reply.status for reply in (defined, refused)] == [201, 409]
    for reply in (defined, refused):
        assert reply.response.headers["Preference-Applied"] == "wait=30"
        assert reply.response.headers["Vary"] == "Prefer"


async def test_the_wait_ends_in_202(alice: Client, slot: str, running: Installation) -> None:
    """No outcome in time is 202, not before the wait is over and soon after; the default is 2 s. Then it is decided."""
    async with sleeping(running.processes[0]):
        started = time.monotonic()
        lines: list[list[str]] = [["wait=1"], ["respond-async, wait=1"], [], ["wait=x"]]

        async def timed(prefer: list[str]) -> tuple[str, float]:
            reply = await hold(alice, slot, *prefer)
            return accepted(reply), time.monotonic() - started

        found = await asyncio.gather(*(timed(prefer) for prefer in lines))
        assert [round(seconds) for _, seconds in found] == [1, 1, 2, 2]
        assert all(seconds >= wanted for (_, seconds), wanted in zip(found, (1, 1, 2, 2), strict=True))
    polls = await asyncio.gather(*(alice.call("GET", f"{location}?wait=30") for location, _ in found))
    assert {poll.body["status"] for poll in polls} == {"succeeded"}


async def test_who_could_not_be_let_wait_is_not_told_that_he_was(
    alice: Client, slot: str, running: Installation
) -> None:
    """With room for one who waits, the second has 202 at once and no `wait` in Preference-Applied.

    Seen to fail with the preference that was asked for told as applied.
    """
    url = await running.start_gateway(FIRMHOLD_WAITERS_MAX="1")
    async with running.client(url=url) as client, sleeping(running.processes[0]):
        first = asyncio.ensure_future(hold(client, slot, "wait=2"))
        await eventually(lambda: waiting(client), what="the first one waits")
        second = await hold(client, slot, "respond-async, wait=30")
        accepted(second)
        assert second.response.headers["Preference-Applied"] == "respond-async"
        third = await hold(client, slot, "wait=30")
        accepted(third)
        assert "Preference-Applied" not in third.response.headers
        accepted(await first)


async def waiting(client: Client) -> bool:
    """Tell whether somebody waits at this gateway."""
    async with client.session.get("/metrics") as response:
        return "firmhold_waiters 1.0" in await response.text()
