"""A hold from HTTP through Kafka and Faust to Postgres and back."""

import asyncio
import uuid

import pytest

from tests.installation import Client, Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_e1_one_unit_two_hundred_buyers(alice: Client) -> None:
    """Exactly one of 200 concurrent holds gets the last unit; the others are refused for good."""
    slot = f"e1-{uuid.uuid4().hex[:8]}"
    assert (await alice.define(slot, 1)).status == 201
    replies = await asyncio.gather(*(alice.hold(slot) for _ in range(200)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 199
    assert {reply.reason for reply in replies if reply.status == 409} == {"sold_out"}
    reading = await alice.call("GET", f"/slots/{slot}")
    assert (reading.body["remaining"], reading.body["held"], reading.body["capacity"]) == (0, 1, 1)


async def test_hold_is_stored_and_shown(alice: Client, running: Installation) -> None:
    """The answer, the row and the poll agree."""
    slot = f"shown-{uuid.uuid4().hex[:8]}"
    await alice.define(slot, 5)
    reply = await alice.hold(slot, quantity=2, client_reference="order 7")
    assert reply.status == 201
    hold_id = reply.body["id"]
    shown = await alice.call("GET", f"/holds/{hold_id}")
    polled = await alice.call("GET", reply.body["links"]["request"])
    assert shown.body == reply.body
    assert polled.body["result"] == reply.body
    async with running.database() as database:
        row = await database.fetchrow("select quantity, status, account from holds where hold_id = $1", hold_id)
    assert row is not None
    assert tuple(row) == (2, "held", "alice")
