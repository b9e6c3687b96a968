"""The events of a slot: their versions, ids and extensions, what they do not tell, and that they come again word for word."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord

from tests.installation import ADMIN_KEY, Client, Installation, Reply, eventually, installation
from tests.integration.expectations import caused_by, events_of, fresh, headers_of
from tests.servers import Urls
from topics.log_records import Record
from topics.partitions import partition_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUYER = "carol-who-buys"
EXPIRING = 3
HOLD_SECONDS = 2  # long enough that all are placed before the first is over


class Life:
    """What happened to a slot: the answers that its callers got, and the events that told of it."""

    def __init__(self, slot: str, defined: Reply, holds: list[Reply], refused: Reply, later: Reply) -> None:
        """Keep the answers."""
        self.slot, self.defined, self.holds, self.refused, self.later = slot, defined, holds, refused, later
        self.events: list[ConsumerRecord] = []

    def of_type(self, name: str) -> list[ConsumerRecord]:
        """Return the events of one type."""
        return [event for event in self.events if headers_of(event)["ce_type"] == name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation whose worker never sweeps: it is always the last hold that finds the others over."""
    async with installation(servers, module_postgres_url, logs, FIRMHOLD_SWEEP_SECONDS="0") as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def life(alice: Client, running: Installation) -> Life:
    """Let a slot be defined, held, sold out, expired and held again."""
    slot = fresh("life")
    defined = await alice.define(slot, EXPIRING, hold_seconds=HOLD_SECONDS)
    headers = {"Buyer": BUYER, "Prefer": "wait=30"}
    holds = [
        await alice.call("POST", f"/slots/{slot}/hold", headers={**headers, "Idempotency-Key": str(uuid.uuid4())})
        for _ in range(EXPIRING)
    ]
    refused = await alice.hold(slot)
    await eventually(lambda: is_free(alice, slot), what="all holds are over")
    found = Life(slot, defined, holds, refused, await alice.hold(slot, client_reference="last"))
    found.events = await events_of(running, slot)
    return found


async def is_free(alice: Client, slot: str) -> bool:
    """Tell whether no unit of the slot is held."""
    return bool((await alice.call("GET", f"/slots/{slot}")).body["held"] == 0)


async def test_versions_have_no_gaps(life: Life) -> None:
    """Each event that changes the slot has the next version, a refusal the current one, with the counters as of then.

    Fails if an expiry shares the version of the command that found it.
    """
    types = [headers_of(event)["ce_type"] for event in life.events]
    expired = ["hold.expired"] * EXPIRING
    assert types == ["resource.defined", *["hold.placed"] * EXPIRING, "request.refused", *expired, "hold.placed"]
    data = [json.loads(event.value) for event in life.events]
    versions = [each["version"] for each in data]
    refused = types.index("request.refused")
    assert versions[refused] == versions[refused - 1]
    assert versions[:refused] + versions[refused + 1 :] == list(range(1, len(versions)))
    assert [each["counters"]["held"] for each in data] == [0, 1, 2, 3, 3, 2, 1, 0, 1]
    for event, each in zip(life.events, data, strict=True):
        assert headers_of(event)["ce_sequence"] == f"{each['version']:020d}"
    reading = life.later.body
    assert data[-1]["hold"]["id"] == reading["id"]


async def test_e16_expiries_come_in_their_order(life: Life) -> None:
    """Within a slot holds expire in the order of their expiry, each at its own instant, before the command that found them."""
    holds = [json.loads(event.value)["hold"] for event in life.of_type("hold.expired")]
    assert [hold["id"] for hold in holds] == [reply.body["id"] for reply in life.holds]
    assert [datetime.fromisoformat(hold["expires_at"]) for hold in holds] == sorted(
        datetime.fromisoformat(hold["ended_at"]) for hold in holds
    )


async def test_ids_and_extensions(life: Life, running: Installation) -> None:
    """Ids are unique, the cause is named, only the answer bears the request id; the record lies where its key says."""
    shown = [headers_of(event) for event in life.events]
    assert len({each["ce_id"] for each in shown}) == len(shown)
    home = partition_of(life.slot.encode(), running.settings.partitions)
    assert {(event.key, event.partition) for event in life.events} == {(life.slot.encode(), home)}
    for each in shown:
        assert (each["ce_specversion"], each["content-type"]) == ("1.0", "application/json")
        assert (each["ce_subject"], each["ce_source"]) == (life.slot, "firmhold/worker")
        assert each["ce_dataschema"] == f"/schemas/events/{each['ce_type']}/1"
        assert datetime.fromisoformat(each["ce_time"]).tzinfo is not None
        assert each["ce_causationid"]
        assert all(name.removeprefix("ce_").isalnum() for name in each if name.startswith("ce_"))
        assert ("ce_correlationid" in each) == (each["ce_type"] != "hold.expired")
    last = life.later.body["links"]["request"].rpartition("/")[2]
    of_last = [each for each in shown if each["ce_id"].startswith(last)]
    assert [each["ce_type"] for each in of_last] == [*["hold.expired"] * EXPIRING, "hold.placed"]
    assert len({each["ce_causationid"] for each in of_last}) == 1
    assert of_last[-1]["ce_correlationid"] == last


async def test_e77_events_tell_no_secret(life: Life, running: Installation) -> None:
    """No token, no hash of one, no buyer, no account and no key is in any event; the buyer is in the table all the same."""
    async with running.database() as database:
        rows = await database.fetch("select token_hash, buyer from holds where resource_id = $1", life.slot)
    assert {row["buyer"] for row in rows} == {BUYER, None}
    secrets = {row["token_hash"] for row in rows} | {reply.body["hold_token"] for reply in [*life.holds, life.later]}
    assert len(secrets) == 2 * (EXPIRING + 1)
    for event in life.events:
        told = " ".join([str(event.value), *(f"{name} {text}" for name, text in headers_of(event).items())])
        for secret in [*secrets, BUYER, "alice", ADMIN_KEY]:
            assert secret not in told


async def test_repeated_events_are_the_same_words(life: Life, running: Installation) -> None:
    """A record that is delivered again sends all its events again, word for word, header for header; nothing changes.

    Fails if events are written anew from the row, or if only the answer is sent again.
    """
    topic = running.settings.catalogue().commands("slot")
    records = [each for each in await running.records(topic) if each.key == life.slot.encode()]
    again = [Record(topic, each.key, each.value, each.headers, each.partition) for each in records]
    async with running.producer() as upstream:
        await upstream.send(*again)
    wanted = 2 * len(life.events)
    events: list[ConsumerRecord] = await eventually(
        lambda: at_least(running, life.slot, wanted), what="all events again"
    )
    assert len(events) == wanted
    words = [(event.key, event.value, event.headers) for event in events]
    assert words[: wanted // 2] == words[wanted // 2 :]


async def at_least(running: Installation, slot: str, count: int) -> list[ConsumerRecord] | None:
    """Return the events of a slot if there are enough."""
    events = await events_of(running, slot)
    return events if len(events) >= count else None


async def test_events_of_a_crowd(alice: Client, running: Installation) -> None:
    """Decided in batches of many, each event still has a version of its own, and the last one's counters are the slot's."""
    slot = fresh("crowd")
    await alice.define(slot, 60)
    replies = await asyncio.gather(*(alice.hold(slot) for _ in range(100)))
    assert sorted(reply.status for reply in replies) == [201] * 60 + [409] * 40
    events = await events_of(running, slot)
    data = [json.loads(event.value) for event in events]
    assert [each["version"] for each in data if "hold" in each] == list(range(2, 62))
    assert data[-1]["counters"] == {"capacity": 60, "held": 60, "taken": 0, "remaining": 0, "oversubscribed_by": 0}
    assert len({headers_of(event)["ce_id"] for event in events}) == 101


async def test_rejections_tell_of_the_record(running: Installation) -> None:
    """An answer to a record that was not decided names its coordinates and has no version and no request."""
    slot, command_id = fresh("rejected"), str(uuid.uuid4())
    topic = running.settings.catalogue().commands("slot")
    headers = [("content-type", b"application/json"), ("ce_specversion", b"1.0"), ("ce_type", b"Nothing")]
    record = Record(topic, slot.encode(), b"{}", [*headers, ("ce_source", b"s"), ("ce_id", command_id.encode())])
    async with running.producer() as upstream:
        (sent,) = await upstream.send(record)
    (event,) = await caused_by(running, command_id)
    data = json.loads(event.value)
    assert (data["topic"], data["partition"], data["offset"]) == (topic, sent.partition, sent.offset)
    assert (data["source"], data["id"], data["reason"]) == ("s", command_id, "unknown_type")
    assert not {"ce_sequence", "ce_correlationid"} & headers_of(event).keys()
