"""Services that write commands to Kafka themselves: who may what, in which mode, and what happens to the rest."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.installation import PARTITIONS, Client, Installation, eventually, installation
from tests.integration.expectations import caused_by, fresh, headers_of, sleeping
from tests.integration.ingress import headers, raw
from tests.servers import Urls
from topics import commands, signatures
from topics.cloudevents import EVENT_BYTES_MAX
from topics.commands import DefineResource, Hold
from topics.identifiers import request_id
from topics.log_records import Record
from topics.partitions import partition_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTNER_SECRET = b"theirs and ours."
PARTNER = signatures.SigningKey(
    "partner", PARTNER_SECRET, frozenset({signatures.Scope.HOLD, signatures.Scope.DEFINE}), "partner/"
)
HOLDER = signatures.SigningKey("holder", PARTNER_SECRET, frozenset({signatures.Scope.HOLD}), "partner/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation that trusts two producers."""
    secret = base64.b64encode(PARTNER_SECRET).decode()
    keys = f"partner:{secret}:hold+define:partner/,holder:{secret}:hold:partner/"
    async with installation(servers, module_postgres_url, logs, FIRMHOLD_SIGNING_KEYS=keys) as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def slot(alice: Client) -> str:
    """Give a slot with room."""
    name = fresh("upstream")
    assert (await alice.define(name, 100)).status == 201
    return name


async def send(running: Installation, *records: Record) -> None:
    """Put records on their topic."""
    async with running.producer() as upstream:
        await upstream.send(*records)


async def outcome(running: Installation, command_id: str) -> tuple[str, str]:
    """Return the type of the one event that a command caused, and its reason if it has one."""
    (event,) = await caused_by(running, command_id)
    return headers_of(event)["ce_type"], str(json.loads(event.value or b"{}").get("reason", ""))


async def account_of(running: Installation, slot: str) -> list[str]:
    """Return whose the holds of a slot are."""
    async with running.database() as database:
        rows = await database.fetch("select account from holds where resource_id = $1 order by granted_at", slot)
    return [row["account"] for row in rows]


def structured(slot: str, command_id: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a hold as a structured event."""
    event = {"specversion": "1.0", "type": "Hold", "source": "upstream/structured", "id": command_id}
    return event | {"datacontenttype": "application/json", "data": {"resource_id": slot}} | members


async def test_unsigned_hold_in_both_modes(running: Installation, slot: str) -> None:
    """A stranger may hold, as account `kafka/{source}`, in binary and in structured mode; names of headers in any case."""
    ids = [str(uuid.uuid4()) for _ in range(3)]
    event = json.dumps(structured(slot, ids[1])).encode()
    await send(
        running,
        raw(running, slot, json.dumps({"resource_id": slot}).encode(), headers(ids[0])),
        raw(running, slot, event, [("content-type", b"application/cloudevents+json; charset=utf-8")]),
        raw(running, slot, b'{"resource_id":"%s"}' % slot.encode(), [(n.upper(), v) for n, v in headers(ids[2])]),
    )
    assert [await outcome(running, command_id) for command_id in ids] == [("hold.placed", "")] * 3
    assert await account_of(running, slot) == [
        "kafka/upstream/tests",
        "kafka/upstream/structured",
        "kafka/upstream/tests",
    ]


async def test_signed_producer_has_its_scopes_and_sources(running: Installation) -> None:
    """A key gives what its scopes say, as sources of its prefix; fails if scope or prefix is not asked."""
    slot, ids = fresh("signed"), [str(uuid.uuid4()) for _ in range(5)]
    define, hold = DefineResource(resource_id=slot, capacity=5), Hold(resource_id=slot)
    async with running.producer() as upstream:
        await upstream.send(
            upstream.record(define, source="partner/a", command_id=ids[0], signing_key=HOLDER),
            upstream.record(define, source="partner/a", command_id=ids[1], signing_key=PARTNER),
            upstream.record(hold, source="partner/b", command_id=ids[2], signing_key=HOLDER),
            upstream.record(hold, source="other/b", command_id=ids[3], signing_key=PARTNER),
            upstream.record(hold, source="gateway/alice", command_id=ids[4], signing_key=PARTNER),
        )
    rejected = ("record.rejected", "forbidden")
    expected = [rejected, ("resource.defined", ""), ("hold.placed", ""), rejected, rejected]
    assert [await outcome(running, command_id) for command_id in ids] == expected
    assert await account_of(running, slot) == ["kafka/partner/b"]


UNREADABLE: Sequence[tuple[str, bytes | None, dict[str, str | bytes | None]]] = [
    ("null_value", None, {}),
    ("undecodable", b"{}", {"content_type": None}),
    ("undecodable", b"{}", {"content_type": "text/plain"}),
    ("undecodable", b"{}", {"ce_specversion": "0.3"}),
    ("undecodable", b"{}", {"ce_type": None}),
    ("undecodable", b"{}", {"ce_source": ""}),
    ("undecodable", b"{}", {"ce_source": b"\xff"}),
    ("undecodable", b"{}", {"ce_expirytime": "tomorrow"}),
    ("undecodable", b"\xff{", {"content_type": "application/cloudevents+json"}),
    ("undecodable", b"[" * 100_000, {"content_type": "application/cloudevents+json"}),
    ("unknown_type", b"{}", {"ce_type": "hold"}),
    ("unknown_type", b"{}", {"ce_type": "Confirm!"}),
    ("unknown_version", b"{}", {"ce_dataschema": "/schemas/commands/Hold/2"}),
    ("invalid_command", b"\xff", {}),
    ("invalid_command", b"[]", {}),
    ("invalid_command", b"{}", {}),
    ("invalid_command", b"[" * 60_000, {}),
    ("invalid_command", b'{"resource_id":"%s","quantity":0}', {}),
    ("invalid_command", b'{"resource_id":"%s","quantity":"5"}', {}),
    ("invalid_command", b'{"resource_id":"%s","quantity":2147483648}', {}),
    ("invalid_command", b'{"resource_id":"%s","colour":"red"}', {}),
    ("mis_keyed", b'{"resource_id":"another"}', {}),
    ("too_large", b" " * (EVENT_BYTES_MAX + 1), {}),
]


async def test_e66_e68_dead_letters(running: Installation, slot: str) -> None:
    """What cannot be decided is kept word for word with reason and coordinates, and answered; the next is decided.

    Fails if a reason is missing, if a dead letter claims the id, or if the answer bears a request id. Seen to fail on a key
    that is not compared with the body.
    """
    ids = [str(uuid.uuid4()) for _ in UNREADABLE]
    records = [
        raw(running, slot, value and value.replace(b"%s", slot.encode()), headers(command_id, **replaced))
        for command_id, (_, value, replaced) in zip(ids, UNREADABLE, strict=True)
    ]
    after = str(uuid.uuid4())
    async with running.producer() as upstream:
        sent = await upstream.send(*records)
    await send(running, raw(running, slot, b'{"resource_id":"%s"}' % slot.encode(), headers(after)))
    assert await outcome(running, after) == ("hold.placed", "")
    await eventually(running.is_worked_off, what="every command is worked off")
    catalogue = running.settings.catalogue()
    letters = {headers_of(each)["ce_id"]: each for each in await running.records(catalogue.dead_letters("slot"))}
    answers = {
        json.loads(each.value)["offset"]: each
        for each in await running.records(catalogue.events("slot"))
        if each.key == slot.encode() and headers_of(each)["ce_type"] == "record.rejected"
    }
    for command_id, place, record, (reason, _, _) in zip(ids, sent, records, UNREADABLE, strict=True):
        letter, shown = letters[command_id], headers_of(letters[command_id])
        assert (letter.key, letter.value, letter.partition) == (record.key, record.value, place.partition)
        assert list(letter.headers[: len(record.headers)]) == list(record.headers)
        assert (shown["firmhold-dlq-reason"], shown["firmhold-dlq-topic"]) == (reason, catalogue.commands("slot"))
        coordinates = (shown["firmhold-dlq-partition"], shown["firmhold-dlq-offset"])
        assert coordinates == (str(place.partition), str(place.offset))
        data = json.loads(answers[place.offset].value)
        assert (data["reason"], data["detail"] != "") == (reason, True)
        assert "ce_correlationid" not in headers_of(answers[place.offset])
    async with running.database() as database:
        assert await database.fetchval("select count(*) from requests where claim_id = any ($1)", ids) == 0


async def test_e68_keys_that_are_none(running: Installation, slot: str) -> None:
    """Without a key, or with one that is no resource id, a record is a dead letter and claims nothing.

    Seen to fail on a reader that takes the resource of the body where there is no key.
    """
    ids = [str(uuid.uuid4()) for _ in range(4)]
    value = b'{"resource_id":"%s"}' % slot.encode()
    keys: Sequence[bytes | None] = [None, b"", b"sp ace", b"\xff\xfe"]
    records = [raw(running, key, value, headers(command_id)) for key, command_id in zip(keys, ids, strict=True)]
    await send(running, *records)

    async def all_dead() -> bool:
        letters = await running.records(running.settings.catalogue().dead_letters("slot"))
        reasons = {headers_of(each)["ce_id"]: headers_of(each)["firmhold-dlq-reason"] for each in letters}
        return [reasons.get(command_id) for command_id in ids] == ["mis_keyed"] * 4

    await eventually(all_dead, what="four dead letters")
    await send(running, *(raw(running, slot, value, headers(command_id)) for command_id in ids))
    assert [await outcome(running, command_id) for command_id in ids] == [("hold.placed", "")] * 4


async def test_e68_wrong_partition(running: Installation, slot: str) -> None:
    """A record of another partitioner is forwarded once, word for word, and decided at home; signatures stay valid.

    One that bears the header already is decided where it lies. Seen to fail on no forwarding at all, and on forwarding that
    does not look at the header.
    """
    ids, home = [str(uuid.uuid4()) for _ in range(3)], partition_of(slot.encode(), PARTITIONS)
    aside = (home + 1) % PARTITIONS
    async with running.producer() as upstream:
        hold = Hold(resource_id=slot)
        signed = {"source": "partner/x", "signing_key": PARTNER}
        mine = upstream.record(hold, command_id=ids[2], partition=aside)
        marked = Record(mine.topic, mine.key, mine.value, [*mine.headers, ("firmhold-forwarded", b"9/9")], aside)
        sent = await upstream.send(
            upstream.record(hold, command_id=ids[0], partition=aside),
            upstream.record(hold, command_id=ids[1], partition=aside, **signed),  # type: ignore[arg-type] # by name
            marked,
        )
    assert [await outcome(running, command_id) for command_id in ids] == [("hold.placed", "")] * 3
    records = await running.records(running.settings.catalogue().commands("slot"))
    found = {
        command_id: [each for each in records if headers_of(each).get("ce_id") == command_id] for command_id in ids
    }
    for place, command_id in zip(sent[:2], ids[:2], strict=True):
        first, second = sorted(found[command_id], key=lambda each: each.partition != aside)
        assert (first.partition, second.partition, second.key, second.value) == (aside, home, first.key, first.value)
        mark = ("firmhold-forwarded", f"{place.partition}/{place.offset}".encode())
        assert list(second.headers) == [*first.headers, mark]
    assert [each.partition for each in found[ids[2]]] == [aside]
    async with running.database() as database:
        rows = await database.fetch("select claim_id, topic_partition from requests where claim_id = any ($1)", ids)
    assert {row["claim_id"]: row["topic_partition"] for row in rows} == dict(zip(ids, (home, home, aside), strict=True))


async def test_r6_what_strangers_may_not(running: Installation, alice: Client, slot: str) -> None:
    """Commands and sources beyond a stranger's authority are refused and claim nothing: the victim's id is still free.

    Seen to fail on authority that is not asked, or not of a gateway's source, or not for a buyer, and on an answer that bears the
    request id that the record claims.
    """
    key = str(uuid.uuid4())
    forger = signatures.SigningKey("gateway", b"guessed", frozenset(signatures.Scope), "gateway/")
    async with running.producer() as upstream:
        define = DefineResource(resource_id=slot, capacity=10_000)
        hold = Hold(resource_id=slot)
        await upstream.send(
            upstream.record(define, command_id=key),
            upstream.record(define, source="gateway/admin", command_id=key),
            upstream.record(hold, source="gateway/alice", command_id=key),
            upstream.record(hold, source="gateway/alice", command_id=key, signing_key=forger),
            upstream.record(hold, source="worker/1", command_id=key),
            upstream.record(Hold(resource_id=slot, buyer="victim"), command_id=key),
            raw(running, slot, b"{}", headers(key, ce_type="RecordPayment")),
            raw(running, slot, b'{"resource_id": "%s"}' % slot.encode(), headers(key, ce_type="Expire")),
            raw(running, slot, b"{}", headers(key, ce_type="CancelOrder")),
            raw(running, slot, b"[]", headers(key, ce_type=commands.BATCH)),
        )
    events = await caused_by(running, key, count=10)
    assert {json.loads(event.value)["reason"] for event in events} == {"forbidden"}
    assert not any("ce_correlationid" in headers_of(event) for event in events)
    reply = await alice.hold(slot, key)
    assert (reply.status, reply.response.headers.get("Idempotent-Replayed")) == (201, None)
    assert (await alice.call("GET", f"/slots/{slot}")).body["capacity"] == 100
    async with running.database() as database:
        assert await database.fetchval("select count(*) from requests where claim_id = $1", key) == 1


async def test_r6_a_forged_copy_answers_nobody(running: Installation, alice: Client, slot: str) -> None:
    """Copies of a waiting victim's record, unsigned or changed, before it and behind, do not answer the victim.

    Seen to fail on an answer to a rejected record that bears the request id that the record claims.
    """
    key, hold = str(uuid.uuid4()), Hold(resource_id=slot)
    request = request_id("slot", slot, "gateway/alice", key, commands.fingerprint("slot", hold))
    claimed = headers(key, ce_source="gateway/alice", ce_correlationid=request)
    async with sleeping(running.processes[0]):
        await send(running, raw(running, slot, commands.encode(hold), claimed), raw(running, slot, b"{", claimed))
        waiting = asyncio.create_task(alice.hold(slot, key))
        original = await eventually(lambda: signed_one(running, key), what="the victim's record")
        unsigned = [(name, text) for name, text in original.headers if name != signatures.HEADER]
        changed = b'{"resource_id":"%s","quantity":9}' % slot.encode()
        await send(
            running,
            Record(original.topic, original.key, original.value, unsigned),
            Record(original.topic, original.key, changed, original.headers),
        )
    reply = await waiting
    assert (reply.status, reply.body["quantity"]) == (201, 1)
    assert reply.body["links"]["request"] == f"/requests/{request}"
    assert (await alice.call("GET", f"/slots/{slot}")).body["held"] == 1
    rejected = await caused_by(running, key, count=5)
    assert sum("ce_correlationid" in headers_of(event) for event in rejected) == 1


async def signed_one(running: Installation, key: str) -> Record | None:
    """Return the gateway's own record of a key."""
    topic = running.settings.catalogue().commands("slot")
    for each in await running.records(topic):
        shown = headers_of(each)
        if shown.get("ce_id") == key and signatures.HEADER in shown:
            return Record(topic, each.key, each.value, each.headers)
    return None
