"""The status of a request as Server-Sent Events: queued, then the outcome, then the end."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.installation import BOB_KEY, Client, Installation, eventually
from tests.integration.expectations import check_members, fresh, problem, silence, sleeping
from tests.integration.test_requests import unknown_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    event: str
    id: str
    data: dict[str, Any]


async def told(response: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    """Yield the events of a stream until it ends."""
    fields: dict[str, str] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield Told(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
            fields = {}


async def test_a_decided_request(alice: Client) -> None:
    """One event, what a poll shows, and the end; a browser that comes again is told to stay away."""
    slot = fresh("stream")
    await alice.define(slot, 1)
    for status in ("succeeded", "refused"):
        reply = await alice.hold(slot)
        request_id = reply.body["instance" if status == "refused" else "id"].rpartition("/")[2].replace("hold_", "req_")
        polled = await alice.call("GET", f"/requests/{request_id}")
        async with alice.session.get(f"/requests/{request_id}/events") as response:
            assert (response.status, response.content_type) == (200, "text/event-stream")
            assert response.headers["Cache-Control"] == "no-store"
            assert [event async for event in told(response)] == [Told(status, "final", polled.body)]
        again = await alice.call("GET", f"/requests/{request_id}/events", headers={"Last-Event-ID": "final"})
        assert again.status == 204


async def test_a_queued_request(alice: Client, running: Installation) -> None:
    """Queued at once with what is ahead, which shrinks; then the outcome. Fails if `ahead` is told only once."""
    slot = fresh("stream")
    await alice.define(slot, 100)
    await eventually(running.is_worked_off, what="the workers are past all")
    async with sleeping(running.processes[0]):
        accepted = [await alice.hold(slot, wait=0) for _ in range(3)]
        response = await alice.session.get(f"/requests/{accepted[-1].body['id']}/events")
        events = told(response)
        first = await asyncio.wait_for(anext(events), 5)
    rest = [event async for event in events]
    assert (first.event, first.data["status"], first.id) == ("queued", "queued", "")
    assert first.data["ahead"] == 2
    assert [event.event for event in rest[:-1]] == ["queued"] * (len(rest) - 1)
    assert (rest[-1].event, rest[-1].data["result"]["status"]) == ("succeeded", "held")


async def test_who_may_follow(alice: Client, running: Installation) -> None:
    """Another's request and one of nobody's are 404, before the stream begins; fails if events alone are believed."""
    slot = fresh("stream")
    await alice.define(slot, 1)
    hold = (await alice.hold(slot)).body
    request_id = hold["links"]["request"].rpartition("/")[2]
    await eventually(running.is_worked_off, what="the workers are past all")
    problem(await alice.call("GET", f"/requests/{unknown_id(slot)}/events"), 404, "unknown_request")
    problem(await alice.call("GET", "/requests/none/events"), 404, "unknown_request")
    async with running.client(BOB_KEY) as bob:
        problem(await bob.call("GET", f"/requests/{request_id}/events"), 404, "unknown_request")


async def test_who_turns_out_not_to_be_entitled(alice: Client, running: Installation) -> None:
    """While it is queued nobody can tell whose it is; when it is decided, another's hears that there is none."""
    slot = fresh("stream")
    await alice.define(slot, 1)
    async with running.client(BOB_KEY) as bob:
        async with sleeping(running.processes[0]):
            request_id = (await alice.hold(slot, wait=0)).body["id"]
            response = await bob.session.get(f"/requests/{request_id}/events")
            events = told(response)
            assert (await asyncio.wait_for(anext(events), 5)).event == "queued"
        last = [event async for event in events][-1]
    assert (last.event, last.id) == ("problem", "final")
    check_members(last.data, 404, "unknown_request")


async def test_clients_that_leave_free_their_place(alice: Client, running: Installation) -> None:
    """With room for one, the second follower is 503; once the first has left, another finds room.

    Fails if a stream is not watched for its client's end.
    """
    slot = fresh("stream")
    await alice.define(slot, 1)
    url = await running.start_gateway(FIRMHOLD_WAITERS_MAX="1", FIRMHOLD_STREAM_PING_SECONDS="0.1")
    async with sleeping(running.processes[0]), running.client(url=url) as client:
        request_id = (await client.hold(slot, wait=0)).body["id"]
        path = f"/requests/{request_id}/events"
        response = await client.session.get(path)
        await anext(told(response))
        problem(await client.call("GET", path), 503, "unavailable")
        response.close()

        async def finds_room() -> bool:
            async with client.session.get(path) as other:
                return other.status == 200

        await eventually(finds_room, seconds=5, what="the place is free")


async def test_a_stopping_gateway_ends_its_streams(alice: Client, running: Installation) -> None:
    """It ends in time, and so do they."""
    slot = fresh("stream")
    await alice.define(slot, 1)
    url = await running.start_gateway()
    gateway = running.processes[-1]
    async with sleeping(running.processes[0]), running.client(url=url) as client:
        request_id = (await client.hold(slot, wait=0)).body["id"]
        response = await client.session.get(f"/requests/{request_id}/events")
        events = told(response)
        assert (await anext(events)).event == "queued"
        assert await gateway.stop(8) == 0
        assert [event.event async for event in events] == []


async def test_nothing_to_be_told(running: Installation, alice: Client) -> None:
    """Kafka silent: 503 soon, no stream that says nothing. Seen to fail with the first state bounded as reads are."""
    async with silence() as silent:
        url = await running.start_gateway(
            until="healthz", FIRMHOLD_KAFKA=silent.address, FIRMHOLD_POSTGRES_READ_TIMEOUT_SECONDS="20"
        )
        async with running.client(url=url) as client:
            started = time.monotonic()
            reply = await client.call("GET", f"/requests/{unknown_id(str(uuid.uuid4()))}/events")
            problem(reply, 503, "unavailable")
            assert time.monotonic() - started < 10
