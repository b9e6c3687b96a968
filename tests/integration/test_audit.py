"""`firmhold audit` tells each contradiction: every row of the table is made by hand, on a resource of its own."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from firmhold.audit.findings import Check
from firmhold.audit.running import Scope, audit
from tests.installation import Client, Installation, Upstream, eventually
from tests.integration.expectations import fresh
from topics import events
from topics.cloudevents import Envelope, encode
from topics.log_records import Record

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Case:
    """A contradiction: how it is made, and per check what its sentences must say, in their order."""

    make: Callable[["Scene"], Awaitable[Any]]
    told: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Scene:
    """A slot of ten units with a live hold of two, a confirmed one of three, and a hold that was refused."""

    slot: str
    held: str
    confirmed: str
    refused: str
    database: asyncpg.Connection
    upstream: Upstream

    async def sql(self, statement: str, *values: object) -> None:
        """Change rows by hand; `$1` is the slot."""
        status = await self.database.execute(statement, self.slot, *values)
        assert not status.endswith(" 0"), f"{statement} changed nothing"

    async def append_event(self, event_id: str, data: dict[str, Any], event_type: str = events.HOLD_CONFIRMED) -> None:
        """Append an event that no worker wrote."""
        envelope = Envelope(type=event_type, source=events.SOURCE, id=event_id, data=json.dumps(data).encode())
        topic = self.upstream.catalogue.events("slot")
        await self.upstream.send(Record(topic, self.slot.encode(), envelope.data, encode(envelope, events.FAMILY)))


def _sql(statement: str) -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: scene.sql(statement)


def _of_request(statement: str, which: str = "held") -> Callable[[Scene], Awaitable[None]]:
    return lambda scene: scene.sql(statement, getattr(scene, which))


CASES = {
    "a pool holds more than its holds": Case(
        _sql("update pools set held = held + 1 where resource_id = $1"),
        {
            "counters": (
                "pool units: pools.held is 3; the rows that claim of it add up to 2",
                "resources.held is 2; its pools come to 3",
                "resources.remaining is 5; its pools come to 4",
            )
        },
    ),
    "a resource has taken less than its pools": Case(
        _sql("update resources set taken = 0 where resource_id = $1"),
        {
            "counters": ("resources.taken is 0; its pools come to 3",),
            "versions": ("its row has capacity=10 held=2 taken=0 remaining=5 oversubscribed_by=0; the event of that",),
        },
    ),
    "a ceiling is below the capacity": Case(
        _sql("update pools set ceiling = 9 where resource_id = $1"),
        {"counters": ("pools.ceiling is 9; it is never below its capacity 10",)},
    ),
    "a pool is gone": Case(
        _sql("delete from pools where resource_id = $1"),
        {
            "counters": (
                "holds and orders claim 5 units of it and it has no row in `pools`",
                "resources.capacity is 10; its pools come to 0",
                "resources.held is 2",
                "resources.taken is 3",
                "resources.remaining is 5",
            )
        },
    ),
    "a resource is gone": Case(
        _sql("delete from resources where resource_id = $1"),
        {
            "counters": ("it has pools, live holds or orders and no row in `resources`",),
            "versions": ("events told of it and it has no row in `resources`",),
        },
    ),
    "a hold was ended by hand": Case(
        _of_request("update holds set status = 'cancelled' where resource_id = $1 and hold_id = $2", "confirmed"),
        {
            "counters": ("pools.taken is 3; the rows that claim of it add up to 0",),
            "states": ('"status":"cancelled"',),
        },
    ),
    "a hold lives longer than was told": Case(
        _of_request(
            "update holds set expires_at = expires_at + interval '1 second' where resource_id = $1 and hold_id = $2"
        ),
        {"states": ("the event of version 2, the last that told of it, says something else",)},
    ),
    "a hold of more than was told": Case(
        _of_request("update holds set quantity = quantity + 1 where resource_id = $1 and hold_id = $2", "confirmed"),
        {"states": ("its row says {",)},
    ),
    "two holds have changed places": Case(
        lambda scene: scene.sql(
            "update holds set status = case hold_id when $2 then 'confirmed' else 'held' end, units = '{\"units\": 1}'"
            " where resource_id = $1 and hold_id in ($2, $3)",
            scene.held,
            scene.confirmed,
        ),
        {
            "counters": (
                "pools.held is 2; the rows that claim of it add up to 1",
                "pools.taken is 3; the rows that claim of it add up to 1",
            ),
            "states": ("its row says {", "its row says {"),
        },
    ),
    "a hold of another account": Case(
        _of_request("update holds set account = 'bob' where resource_id = $1 and hold_id = $2"),
        {"holds": ("it belongs to bob; its request was made by gateway/alice",)},
    ),
    "settings that nobody was told of": Case(
        _sql(
            "update resources set settings = jsonb_set(settings::jsonb, '{open}', 'false')::json where resource_id = $1"
        ),
        {"states": ('"open":false',)},
    ),
    "a hold is gone": Case(
        _of_request("delete from holds where resource_id = $1 and hold_id = $2"),
        {
            "counters": ("pools.held is 2; the rows that claim of it add up to 0",),
            "holds": ("its Hold was granted, and hold_slot~",),
        },
    ),
    "a hold without a request": Case(
        _sql(
            "insert into holds select 'hold_slot~' || $1 || '~forged', kind, resource_id, account, token_hash, buyer, "
            "client_reference, 'cancelled', quantity, units, granted_at, expires_at, expires_latest_at, ended_at "
            "from holds where resource_id = $1 limit 1"
        ),
        {"holds": ("~forged: it was granted at ",)},
    ),
    "a request is gone": Case(
        _of_request("delete from requests where resource_id = $1 and request_id = 'req_' || substr($2, 6)"),
        {
            "holds": ("the request that asked for it is not stored",),
            "events": ("and its request is not stored",),
            "commands": ("Hold of (gateway/alice, ",),
        },
    ),
    "a refusal was turned into a success": Case(
        _of_request("update requests set reason = null where resource_id = $1 and request_id = $2", "refused"),
        {"holds": ("its Hold was granted, and hold_slot~",)},
    ),
    "a granted request was turned into a refusal": Case(
        _of_request(
            "update requests set reason = 'sold_out' where resource_id = $1 and request_id = 'req_' || substr($2, 6)"
        ),
        {"holds": ("its Hold was refused: sold_out, and hold_slot~",)},
    ),
    "stored events were rewritten": Case(
        _of_request(
            "update requests set events = replace(events::text, '\"quantity\":2', '\"quantity\":1')::json "
            "where resource_id = $1 and request_id = 'req_' || substr($2, 6)"
        ),
        {"events": ("its data differ: {",)},
    ),
    "the stored trail of a request is empty": Case(
        _of_request("update requests set events = '[]' where resource_id = $1 and request_id = $2", "refused"),
        {"events": ("its request is stored without such an event", "it has 0 answers stored")},
    ),
    "a request with another record's coordinates": Case(
        _of_request("update requests set record_offset = 0 where resource_id = $1 and request_id = $2", "refused"),
        {"records": ("no record with the claim (gateway/alice, ",)},
    ),
    "a request that was written by hand": Case(
        _of_request(
            "insert into requests select 'req_slot~' || $1 || '~forged', kind, resource_id, source, 'forged', true, "
            "fingerprint, command, reason, replace(events::text, 'req_slot', 'xxx_slot')::json, arrived_at, decided_at, "
            "topic_partition, record_offset from requests where resource_id = $1 and request_id = $2",
            "refused",
        ),
        {
            "events": ("1 of its events (xxx_slot~",),
            "records": ("no record with the claim (gateway/alice, forged) lies there",),
        },
    ),
    "a resource was set back": Case(
        _sql("update resources set version = version - 1 where resource_id = $1"),
        {"versions": ("its row is at version 3; an event told of version 4",)},
    ),
    "a resource is ahead of its events": Case(
        _sql("update resources set version = version + 1 where resource_id = $1"),
        {"versions": ("its row was at version 5; no event was told above version 4",)},
    ),
    "a forged event": Case(
        lambda scene: scene.append_event(
            f"req_slot~{scene.slot}~{'a' * 32}/0", {"resource_id": scene.slot, "version": 9, "counters": {}}
        ),
        {"events": ("and its request is not stored",)},
    ),
    "an event that belongs to nobody": Case(
        lambda scene: scene.append_event("", {}, "hello"), {"events": ("event  at ",)}
    ),
    "an event told again with other words": Case(
        lambda scene: scene.append_event(f"{scene.refused}/0", {"resource_id": scene.slot, "version": 4}),
        {"events": ('its data differ: {"resource_id"',)},
    ),
}


async def scene(running: Installation, alice: Client, database: asyncpg.Connection, upstream: Upstream) -> Scene:
    """Set a scene that agrees in everything."""
    slot = fresh("audit")
    assert (await alice.define(slot, 10)).status == 201
    held, firm, refused = [await alice.hold(slot, quantity=quantity) for quantity in (2, 3, 6)]
    confirmed = await alice.call("POST", f"/holds/{firm.body['id']}/confirm", headers={"Prefer": "wait=30"})
    assert (confirmed.body["status"], refused.reason) == ("confirmed", "sold_out")
    await eventually(running.is_worked_off, what="the workers are past it")
    return Scene(slot, held.body["id"], firm.body["id"], refused.body["request_id"], database, upstream)


def sentences(checks: list[Check]) -> dict[str, list[str]]:
    """Return what each check that found something says."""
    assert all(len(check.discrepancies) == check.count for check in checks)
    return {check.name: [each.sentence() for each in check.discrepancies] for check in checks if check.count}


@pytest.mark.parametrize("name", CASES)
async def test_each_contradiction_is_told(running: Installation, alice: Client, name: str) -> None:
    """Nothing before it is made; then the checks that it concerns, and no other, with what is there and what should be."""
    case = CASES[name]
    async with running.database() as database, running.producer() as upstream:
        one = await scene(running, alice, database, upstream)
        scope = Scope(resource_id=one.slot)
        before = await audit(running.settings, scope)
        assert sentences(before) == {}
        assert {check.name for check in before if not check.looked_at} == {"orders", "payments"}
        await case.make(one)
        told = sentences(await audit(running.settings, scope))
    assert told.keys() == case.told.keys(), told
    for check, parts in case.told.items():
        assert len(told[check]) == len(parts), told[check]
        for sentence, part in zip(told[check], parts, strict=True):
            assert part in sentence


@pytest.mark.chaos
async def test_the_command_line_tells_it_and_exits_with_1(running: Installation, alice: Client) -> None:
    """A line a check, sentences below; `--json` has the same for a program; 0 where everything agrees."""
    async with running.database() as database, running.producer() as upstream:
        one = await scene(running, alice, database, upstream)
        code, text = await _cli(running, "--resource", one.slot, "--since-hours", "1")
        assert (code, text.count("\n"), text.count("ok  ")) == (0, 9, 9)
        await one.sql("update resources set remaining = 99 where resource_id = $1")
    code, text = await _cli(running, "--resource", one.slot)
    assert code == 1
    assert f"slot {one.slot}: resources.remaining is 99; its pools come to 5. " in text
    assert "FAIL counters: " in text
    code, text = await _cli(running, "--resource", one.slot, "--json")
    document = json.loads(text)
    assert (code, document["agrees"]) == (1, False)
    (counters,) = [check for check in document["checks"] if check["name"] == "counters"]
    assert counters["discrepancies"][0]["subject"] == f"slot {one.slot}"


async def _cli(running: Installation, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "firmhold.cli", "audit", *arguments),
        env=running.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()
