"""Time and its end with the sweeper off: every answer is right without it, on arrival, whatever was expired by whom.

A broker's clock cannot be made to step here (R-1): a producer cannot set LogAppendTime. That is shown in
tests/unit/test_scenarios_of_time.py.
"""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.acceptance.people import Person, open_slot, outcome, person
from tests.installation import BOB_KEY, Installation, Reply, eventually, installation
from tests.integration.expectations import caused_by, events_of, headers_of, sleeping
from tests.servers import Urls
from topics import signatures
from topics.commands import Command, Confirm, Expire
from topics.producer import Acknowledgement

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation whose worker never sweeps."""
    async with installation(servers, module_postgres_url, logs, FIRMHOLD_SWEEP_SECONDS="0") as one:
        await one.start_gateway()
        await one.start_worker()
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(running: Installation) -> AsyncIterator[Person]:
    """Give a buyer."""
    async with person(running) as somebody:
        yield somebody


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(running: Installation) -> AsyncIterator[Person]:
    """Give another buyer."""
    async with person(running, BOB_KEY) as somebody:
        yield somebody


async def rows(running: Installation, slot: str) -> list[tuple[str, int, int]]:
    """Return what is stored of a slot's holds, with the units that its pool has held and taken."""
    query = """
        select h.status, p.held, p.taken from holds h join pools p using (kind, resource_id)
        where resource_id = $1 order by h.granted_at
    """
    async with running.database() as database:
        return [tuple(row) for row in await database.fetch(query, slot)]


async def ends(running: Installation, slot: str) -> list[str]:
    """Return which holds were told as expired, each event once."""
    told = {headers_of(event)["ce_id"]: event for event in await events_of(running, slot)}
    expired = [event for event in told.values() if headers_of(event)["ce_type"] == "hold.expired"]
    return [json.loads(event.value or b"{}")["hold"]["id"] for event in expired]


async def give(running: Installation, command: Command, source: str) -> tuple[str, Acknowledgement]:
    """Write a command to the log as the sweeper or as a gateway does; return its id and where it lies."""
    secret, command_id = running.settings.installation_secret(), str(uuid.uuid4())
    key = signatures.worker_key(secret) if isinstance(command, Expire) else signatures.gateway_key(secret)
    async with running.producer() as upstream:
        (place,) = await upstream.send(
            upstream.record(command, source=source, command_id=command_id, signing_key=key)
        )
    return command_id, place


async def expire(running: Installation, slot: str) -> str:
    """Write an Expire, as a sweeper would; return its id."""
    return (await give(running, Expire(resource_id=slot), "worker/tests"))[0]


async def later(client: Person, slot: str) -> Reply:
    """Look for a hold's outcome behind all that lies in the log of this slot."""
    return await client.hold(slot, quantity=1_000)


async def test_e11_confirm_after_the_end(alice: Person, running: Installation) -> None:
    """A confirm that comes too late is refused though nobody swept, and only the expiry is written.

    Fails if what is due is not expired before a command is decided.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await alice.waits_for_the_end_of(hold)
    assert await rows(running, slot) == [("held", 1, 0)]
    assert outcome(await alice.confirms(hold)) == (409, "hold_expired")
    assert await rows(running, slot) == [("expired", 0, 0)]
    assert await ends(running, slot) == [hold.body["id"]]


async def test_e12_the_unit_is_free_at_once(alice: Person, bob: Person, running: Installation) -> None:
    """The unit of a hold that is over and unswept goes to the next hold; then it is sold out again."""
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await alice.waits_for_the_end_of(hold)
    assert await alice.sees(slot) == [0, 0, 1]
    await alice.define(slot, 1)
    assert [outcome(await bob.hold(slot)) for _ in range(2)] == [(201, "held"), (409, "sold_out")]
    assert await rows(running, slot) == [("expired", 1, 0), ("held", 1, 0)]
