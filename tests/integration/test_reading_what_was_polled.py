"""Who learns of his write by polling reads it next, though its event and those before it are still on their way."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.installation import Client, Installation, eventually, installation
from tests.integration.expectations import fresh
from tests.servers import Urls
from tests.worker_under_test import KEEP_EVENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation whose worker tells of the first batch and then no more."""
    async with installation(servers, module_postgres_url, logs) as one:
        await one.start_gateway()
        await one.start_worker(KEEP_EVENTS, "2")
        yield one


async def _remaining(alice: Client, slot: str) -> int:
    reply = await alice.call("GET", "/slots/availability", params={"ids": slot})
    return int(reply.body[0]["remaining"])


async def _held(alice: Client, slot: str) -> str:
    """Hold a unit, and return the hold's id when a poll, which reads Postgres, tells of it."""
    queued = await alice.hold(slot, wait=0)
    assert queued.status == 202

    async def decided() -> str | None:
        poll = await alice.call("GET", queued.response.headers["Location"], params={"wait": "0"})
        return str(poll.body["result"]["id"]) if poll.body["status"] == "succeeded" else None

    return str(await eventually(decided, what="the hold is placed"))


async def test_e57_what_was_polled_is_read(alice: Client) -> None:
    """Two holds are placed one after the other while no event is sent: each is seen as soon as it is committed.

    Polled or read with `GET /holds`, and then in the availability that was cached before. Seen to fail (the second hold is
    not seen) on an invalidation that waits until the events of the batch before are sent.
    """
    slot = fresh()
    assert (await alice.define(slot, 5)).status == 201
    assert await _remaining(alice, slot) == 5
    for left in (4, 3):
        hold_id = await _held(alice, slot)
        assert (await alice.call("GET", f"/holds/{hold_id}")).body["status"] == "held"

        async def seen(left: int = left) -> bool:
            return await _remaining(alice, slot) == left

        # Between the commit and the word to Redis is a moment, in which a poll may be faster.
        await eventually(seen, seconds=5, what=f"{left} units are left")
