"""E-22: clocks of gateways decide nothing."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.installation import Client, Installation
from tests.integration.expectations import fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOLD_SECONDS = 120


def instant(text: str) -> datetime:
    """Read an instant of an answer."""
    return datetime.fromisoformat(text)


async def lifetime_of(client: Client, slot: str) -> dict[str, Any]:
    """Hold a unit through a gateway; return the hold after checking the time that it was given."""
    before = datetime.now(UTC)
    reply = await client.hold(slot)
    assert reply.status == 201, reply.body
    assert "Idempotent-Replayed" not in reply.response.headers
    hold: dict[str, Any] = reply.body
    granted_at, expires_at = instant(hold["granted_at"]), instant(hold["expires_at"])
    assert before - timedelta(seconds=1) <= granted_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert expires_at - granted_at == timedelta(seconds=HOLD_SECONDS)
    return hold


async def test_e22_gateways_five_minutes_off(alice: Client, running: Installation) -> None:
    """Holds, replays, polls and opening times are the same through gateways whose clocks are 5 minutes off.

    Fails if a gateway puts its own time into a command, or judges a deadline or a replay by it.
    """
    now = datetime.now(UTC)
    slot, over, early = fresh("e22"), fresh("e22-over"), fresh("e22-early")
    await alice.define(slot, 100, hold_seconds=HOLD_SECONDS)
    await alice.define(over, 100, closes_at=(now - timedelta(minutes=2)).isoformat())
    await alice.define(early, 100, opens_at=(now + timedelta(minutes=2)).isoformat())
    urls = await asyncio.gather(*(running.start_gateway(seconds) for seconds in ("-300", "300")))
    shown = []
    for url in (running.gateway_url, *urls):
        async with running.client(url=url) as client:
            hold = await lifetime_of(client, slot)
            assert (await client.call("GET", f"/holds/{hold['id']}")).body["status"] == "held"
            assert [(await client.hold(name)).reason for name in (over, early)] == ["closed", "not_open_yet"]
            shown.append((await client.call("GET", f"/slots/{slot}")).body["held"])
    assert shown == [1, 2, 3]
    key = str(uuid.uuid4())
    first = await alice.hold(slot, key)
    for url in urls:
        async with running.client(url=url) as client:
            again = await client.hold(slot, key)
            assert (again.status, again.body) == (201, first.body)
            assert again.response.headers["Idempotent-Replayed"] == "true"
            polled = await client.call("GET", first.body["links"]["request"])
            assert polled.body["result"] == first.body
            assert abs(instant(polled.body["decided_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
