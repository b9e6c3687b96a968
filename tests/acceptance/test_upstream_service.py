"""A booking system that writes to Kafka itself and reads what became of it; HTTP shows the same."""

import json
import uuid

import pytest
from aiokafka import ConsumerRecord

from tests.acceptance.people import Person, open_slot, outcome
from tests.installation import Installation, Upstream
from tests.integration.expectations import caused_by, headers_of
from topics.commands import Command, Confirm, Hold, fingerprint
from topics.identifiers import hold_id_of, request_id

pytestmark = pytest.mark.asyncio(loop_scope="package")

SOURCE = "booking/system"


async def give(upstream: Upstream, *commands: tuple[str, Command]) -> None:
    """Write commands with their ids to the log."""
    await upstream.send(*(upstream.record(command, source=SOURCE, command_id=name) for name, command in commands))


def told(event: ConsumerRecord) -> str:
    """Return why a request was refused, or else the type of the event."""
    return json.loads(event.value or b"{}").get("reason") or headers_of(event)["ce_type"]


async def test_hold_and_confirm_in_one_go(alice: Person, running: Installation) -> None:
    """The id of a hold is known beforehand, so its confirm follows at once; what is refused says so, and so does its confirm.

    Seen to fail on a batch that is decided from its end.
    """
    slot, names = await open_slot(alice, 1), [str(uuid.uuid4()) for _ in range(4)]
    hold = Hold(resource_id=slot)
    asked = [request_id("slot", slot, SOURCE, name, fingerprint("slot", hold)) for name in names]
    first, second = hold_id_of(asked[0]), hold_id_of(asked[2])
    async with running.producer() as upstream:
        await give(
            upstream,
            (names[0], hold),
            (names[1], Confirm(resource_id=slot, hold_id=first)),
            (names[2], hold),
            (names[3], Confirm(resource_id=slot, hold_id=second)),
        )
    events = [(await caused_by(running, name))[0] for name in names]
    assert [told(event) for event in events] == ["hold.placed", "hold.confirmed", "sold_out", "hold_refused"]
    assert json.loads(events[1].value or b"{}")["counters"]["taken"] == 1
    assert await alice.sees(slot) == [0, 1, 0]


async def test_e31_sent_twice(alice: Person, running: Installation) -> None:
    """A command that is written again is answered again, by the same event, and takes nothing more.

    Seen to fail on an emitter that does not answer what it repeats.
    """
    slot, name = await open_slot(alice, 5), str(uuid.uuid4())
    async with running.producer() as upstream:
        for _ in range(2):
            await give(upstream, (name, Hold(resource_id=slot, quantity=2)))
    events = await caused_by(running, name, count=2)
    assert [told(event) for event in events] == ["hold.placed"] * 2
    assert len({headers_of(event)["ce_id"] for event in events}) == 1
    assert await alice.sees(slot) == [2, 0, 3]


async def test_its_holds_are_its_own(alice: Person, running: Installation) -> None:
    """Alice competes for the same units, and cannot give back what the booking system holds.

    Seen to fail on a hold that is anybody's.
    """
    slot, name = await open_slot(alice, 1), str(uuid.uuid4())
    async with running.producer() as upstream:
        await give(upstream, (name, Hold(resource_id=slot)))
    (placed,) = await caused_by(running, name)
    assert outcome(await alice.hold(slot)) == (409, "sold_out")
    hold_id = json.loads(placed.value or b"{}")["hold"]["id"]
    reply = await alice.call("DELETE", f"/holds/{hold_id}", headers={"Prefer": "wait=30"})
    assert outcome(reply) == (404, "hold_not_found")
