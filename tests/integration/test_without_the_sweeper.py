"""Time and its end with the sweeper off: every answer is right without it, on arrival, whatever was expired by whom.

A broker's clock cannot be made to step here (R-1): a producer cannot set LogAppendTime. That is shown in
tests/unit/test_scenarios_of_time.py.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.acceptance.people import Person, open_slot, outcome, person
from tests.installation import BOB_KEY, Installation, Process, Reply, eventually, installation
from tests.integration.expectations import caused_by, events_of, headers_of, sleeping
from tests.servers import Urls
from topics import signatures
from topics.commands import Command, Confirm, Expire
from topics.log_records import Acknowledgement

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
        (place,) = await upstream.send(upstream.record(command, source=source, command_id=command_id, signing_key=key))
    return command_id, place


async def expire(running: Installation, slot: str) -> str:
    """Write an Expire, as a sweeper would; return its id."""
    return (await give(running, Expire(resource_id=slot), "worker/tests"))[0]


async def confirm(running: Installation, hold: Reply) -> tuple[str, Acknowledgement]:
    """Write Alice's confirm of a hold, as her gateway would, without waiting; return its id and where it lies."""
    command = Confirm(resource_id=hold.body["slot_id"], hold_id=hold.body["id"])
    return await give(running, command, "gateway/alice")


async def reason_or_type(running: Installation, command_id: str) -> str:
    """Return why a command was refused, or else the type of its answer."""
    event = (await caused_by(running, command_id))[-1]
    return json.loads(event.value or b"{}").get("reason") or headers_of(event)["ce_type"]


def worker_of(running: Installation) -> Process:
    """Return the worker that runs now."""
    return next(one for one in reversed(running.processes) if one.log.name.startswith("worker"))


async def test_e11_confirm_after_the_end(alice: Person, running: Installation) -> None:
    """A confirm that comes too late is refused though nobody swept, and only the expiry is written.

    Seen to fail on what is due being expired by `Expire` only, and on a confirm that an expired hold may have.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await alice.waits_for_the_end_of(hold)
    assert await rows(running, slot) == [("held", 1, 0)]
    assert outcome(await alice.confirms(hold)) == (409, "hold_expired")
    assert await rows(running, slot) == [("expired", 0, 0)]
    assert await ends(running, slot) == [hold.body["id"]]


async def test_e12_the_unit_is_free_at_once(alice: Person, bob: Person, running: Installation) -> None:
    """The unit of a hold that is over and unswept goes to the next hold; then it is sold out again.

    Seen to fail on what is due being expired by `Expire` only.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await alice.waits_for_the_end_of(hold)
    assert await alice.sees(slot) == [0, 0, 1]
    await alice.define(slot, 1)
    assert [outcome(await bob.hold(slot)) for _ in range(2)] == [(201, "held"), (409, "sold_out")]
    assert await rows(running, slot) == [("expired", 1, 0), ("held", 1, 0)]


async def test_e13_confirm_then_expire(alice: Person, running: Installation) -> None:
    """In one backlog a confirm in time and an Expire behind the end: it is sold, and the expiry finds nothing.

    Seen to fail on an `arrival` that is the time of the decision.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    async with sleeping(worker_of(running)):
        confirmed, _ = await confirm(running, hold)
        await alice.waits_for_the_end_of(hold)
        await expire(running, slot)
    await eventually(running.is_worked_off)
    assert await reason_or_type(running, confirmed) == "hold.confirmed"
    assert (await rows(running, slot), await ends(running, slot)) == ([("confirmed", 0, 1)], [])


async def test_e13_expire_then_confirm(alice: Person, bob: Person, running: Installation) -> None:
    """The other way round: it is free, the confirm is refused, and the unit is somebody else's.

    Seen to fail on a confirm that an expired hold may have, in the table of the lifecycle.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await alice.define(slot, 1)
    async with sleeping(worker_of(running)):
        await alice.waits_for_the_end_of(hold)
        await expire(running, slot)
        refused, _ = await confirm(running, hold)
    assert outcome(await bob.hold(slot)) == (201, "held")
    assert await reason_or_type(running, refused) == "hold_expired"
    assert await rows(running, slot) == [("expired", 1, 0), ("held", 1, 0)]
    assert await ends(running, slot) == [hold.body["id"]]


async def test_e14_at_the_very_instant(alice: Person, running: Installation) -> None:
    """A confirm that the log took at the instant of expiry is too late; a thousandth of a second before, it is not.

    Seen to fail on `<` in `State.due`, and on the log's time rounded to seconds in `workers.intake`.
    """
    slot = await open_slot(alice, 2)
    holds = [await alice.hold(slot) for _ in range(2)]
    async with sleeping(worker_of(running)):
        given = [await confirm(running, hold) for hold in holds]
        async with running.database() as database:
            for hold, (_, place), more_ms in zip(holds, given, (0, 1), strict=True):
                await database.execute(
                    "update holds set expires_at = to_timestamp($2::numeric / 1000) where hold_id = $1",
                    hold.body["id"],
                    place.timestamp_ms + more_ms,
                )
    answers = [await reason_or_type(running, command_id) for command_id, _ in given]
    assert answers == ["hold_expired", "hold.confirmed"]
    assert await rows(running, slot) == [("expired", 0, 1), ("confirmed", 0, 1)]


async def test_e15_r9_an_expire_too_early_and_two_at_once(alice: Person, running: Installation) -> None:
    """An Expire that comes early releases nothing, and the next one is obeyed; of two, one finds something to do.

    Seen to fail on a `due`, and a reading, that look into the future.
    """
    slot = await open_slot(alice, 1, hold_seconds=1)
    hold = await alice.hold(slot)
    await expire(running, slot)
    await eventually(running.is_worked_off)
    assert (await rows(running, slot), await ends(running, slot)) == ([("held", 1, 0)], [])

    await alice.waits_for_the_end_of(hold)
    for _ in range(2):
        await expire(running, slot)
    await eventually(running.is_worked_off)
    assert (await rows(running, slot), await ends(running, slot)) == ([("expired", 0, 0)], [hold.body["id"]])


async def test_e19_the_worker_was_down(alice: Person, running: Installation) -> None:
    """Of its backlog a confirm that came in time is honoured, one that came late is not, a hold lives its full life.

    Seen to fail on a lifetime that starts on arrival, and on an `arrival` that is the time of the decision.
    """
    slot = await open_slot(alice, 3, hold_seconds=2)
    in_time, too_late = [await alice.hold(slot) for _ in range(2)]
    await worker_of(running).stop()
    honoured, _ = await confirm(running, in_time)
    waiting = asyncio.create_task(alice.hold(slot))
    await alice.waits_for_the_end_of(too_late)
    refused, _ = await confirm(running, too_late)
    restarted_at = datetime.now(UTC)
    await running.start_worker()
    granted = await waiting
    assert [await reason_or_type(running, one) for one in (honoured, refused)] == ["hold.confirmed", "hold_expired"]
    granted_at, expires_at = (datetime.fromisoformat(granted.body[name]) for name in ("granted_at", "expires_at"))
    assert granted_at > restarted_at
    assert expires_at - granted_at == timedelta(seconds=2)
