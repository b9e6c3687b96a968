"""What the log's commands come to, where HTTP does not ask for it: batches, expiry times, resources that are not there."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.installation import Client, Installation, eventually
from tests.integration.expectations import caused_by, fresh, headers_of
from tests.integration.ingress import headers, raw
from topics import commands, signatures
from topics.commands import Hold
from topics.log_records import Record

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def slot(alice: Client) -> str:
    """Give a slot with room."""
    name = fresh("log")
    assert (await alice.define(name, 100)).status == 201
    return name


def event_of(slot: str, command_id: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a hold as one event of a batch."""
    event = {"specversion": "1.0", "type": "Hold", "source": "gateway/alice", "id": command_id}
    return event | {"datacontenttype": "application/json", "data": {"resource_id": slot}} | members


def batch_of(running: Installation, slot: str, events: list[Any], batch_id: str) -> Record:
    """Return a batch signed as a gateway does."""
    value = json.dumps(events).encode()
    key = signatures.gateway_key(running.settings.installation_secret())
    signed = signatures.Signed("slot", slot.encode(), commands.BATCH, "gateway/one", batch_id, value)
    with_headers = [*headers(batch_id, ce_type=commands.BATCH, ce_source="gateway/one"), signatures.sign(key, signed)]
    return raw(running, slot, value, with_headers)


async def send(running: Installation, *records: Record) -> None:
    """Put records on their topic."""
    async with running.producer() as upstream:
        await upstream.send(*records)


async def outcome(running: Installation, command_id: str) -> str:
    """Return the type, or the reason, of the first event that a command caused."""
    event = (await caused_by(running, command_id))[0]
    return json.loads(event.value or b"{}").get("reason") or headers_of(event)["ce_type"]


async def test_batch_of_64(running: Installation, alice: Client, slot: str) -> None:
    """Each command of a batch is claimed, decided, refused or put aside alone, and the next record is decided.

    Seen to fail on a batch that ends at its first bad command, on copies within it that are decided twice (`_Batch.keep`
    without `stored`), and on commands read without the signer of the batch.
    """
    name, batch_id = f"{fresh('batch')}-", str(uuid.uuid4())
    strange: list[tuple[Any, str]] = [
        (event_of(slot, f"{name}type", type="Nothing"), "unknown_type"),
        (event_of(slot, f"{name}version", dataschema="/schemas/commands/Hold/2"), "unknown_version"),
        (event_of(slot, f"{name}invalid", data={"resource_id": slot, "quantity": 0}), "invalid_command"),
        (event_of(slot, f"{name}key", data={"resource_id": "another"}), "mis_keyed"),
        (event_of(slot, f"{name}source", source="upstream/x"), "forbidden"),
        (event_of(slot, f"{name}nested", type=commands.BATCH), "unknown_type"),
        (event_of(slot, f"{name}expired", expirytime="2020-01-01T00:00:00Z"), "command_expired"),
        (event_of(slot, f"{name}many", data={"resource_id": slot, "quantity": 1_000}), "sold_out"),
    ]
    good = [event_of(slot, f"{name}{number}") for number in range(52)]
    copies = [good[0], event_of(slot, f"{name}1", data={"resource_id": slot, "quantity": 2})]
    events = [event for event, _ in strange] + good + copies + [7, {"specversion": "1.0"}]
    assert len(events) == commands.BATCH_COMMANDS_MAX
    await send(running, batch_of(running, slot, events, batch_id), batch_of(running, slot, good, f"{batch_id}-again"))
    for event, reason in strange:
        assert await outcome(running, event["id"]) == reason
    assert [await outcome(running, event["id"]) for event in (good[0], good[-1])] == ["hold.placed"] * 2
    of_reused = await caused_by(running, f"{name}1", count=2)
    assert {json.loads(event.value).get("reason") for event in of_reused} == {None, "idempotency_key_reused"}
    assert (await alice.call("GET", f"/slots/{slot}")).body["held"] == 52
    repeated = await alice.hold(slot, f"{name}0")
    assert (repeated.status, repeated.response.headers.get("Idempotent-Replayed")) == (201, "true")
    await eventually(running.is_worked_off, what="every command is worked off")
    letters = await running.records(running.settings.catalogue().dead_letters("slot"))
    reasons = [headers_of(each)["firmhold-dlq-reason"] for each in letters if headers_of(each)["ce_id"] == batch_id]
    put_aside = ["unknown_type", "unknown_version", "invalid_command", "mis_keyed", "unknown_type"]
    assert reasons == [*put_aside, "undecodable", "undecodable"]


async def test_batches_that_are_none(running: Installation, slot: str) -> None:
    """A batch that is empty, too long, or no list is dead-lettered whole; what follows is decided.

    Seen to fail on a reader that asks only whether a batch is empty.
    """
    ids = [str(uuid.uuid4()) for _ in range(4)]
    one = event_of(slot, f"{ids[0]}-inside")
    for batch_id, events in zip(ids, ([], [one] * 65, one, "text"), strict=True):
        await send(running, batch_of(running, slot, events, batch_id))  # type: ignore[arg-type] # what it is about
    assert [await outcome(running, batch_id) for batch_id in ids] == ["undecodable"] * 4
    after = str(uuid.uuid4())
    await send(running, batch_of(running, slot, [event_of(slot, after)], str(uuid.uuid4())))
    assert await outcome(running, after) == "hold.placed"


async def test_e10_unknown_and_closed(running: Installation, alice: Client) -> None:
    """A hold of nothing, or of what takes none, is refused and stored; no crash, no retry.

    Seen to fail on a `place` that raises where there is no resource, on one that does not ask `open`, and on refusals that
    are told and not stored.
    """
    closed, not_yet, over = fresh("closed"), fresh("not-yet"), fresh("over")
    now = datetime.now(UTC)
    await alice.define(closed, 5, open=False)
    await alice.define(not_yet, 5, opens_at=(now + timedelta(hours=1)).isoformat())
    await alice.define(over, 5, closes_at=(now - timedelta(hours=1)).isoformat())
    wanted = {fresh("nowhere"): "not_found", closed: "closed", not_yet: "not_open_yet", over: "closed"}
    for slot, reason in wanted.items():
        command_id = str(uuid.uuid4())
        async with running.producer() as upstream:
            await upstream.send(upstream.record(Hold(resource_id=slot), command_id=command_id))
        assert await outcome(running, command_id) == reason
        assert (await alice.hold(slot)).reason == reason
        async with running.database() as database:
            query = "select reason from requests where claim_id = $1"
            assert await database.fetchval(query, command_id) == reason


async def test_e20_command_expired(running: Installation, alice: Client, slot: str) -> None:
    """A command past its expirytime is refused and not executed; one before it is executed, and so is its copy later.

    Seen to fail on an expirytime that nobody asks for, and on one that is judged before the stored outcome is looked for.
    """
    ids = [str(uuid.uuid4()) for _ in range(2)]
    value = b'{"resource_id":"%s"}' % slot.encode()
    soon = msgspec.to_builtins(datetime.now(UTC) + timedelta(hours=1))
    await send(
        running,
        raw(running, slot, value, headers(ids[0], ce_expirytime="2026-01-01T00:00:00+01:00")),
        raw(running, slot, value, headers(ids[1], ce_expirytime=soon)),
        raw(running, slot, value, headers(ids[1], ce_expirytime="2026-01-01T00:00:00Z")),
    )
    assert await outcome(running, ids[0]) == "command_expired"
    assert await outcome(running, ids[1]) == "hold.placed"
    after = str(uuid.uuid4())
    await send(running, raw(running, slot, value, headers(after)))
    assert await outcome(running, after) == "hold.placed"
    types = {headers_of(event)["ce_type"] for event in await caused_by(running, ids[1])}
    assert types == {"hold.placed"}
    assert (await alice.call("GET", f"/slots/{slot}")).body["held"] == 2
