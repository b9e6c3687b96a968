"""One key, one effect: repeats, reuse, races and lost answers, over HTTP and over the log."""

import asyncio
import uuid

import aiohttp
import pytest
import pytest_asyncio

from tests.installation import ADMIN_KEY, BOB_KEY, Client, Installation, Reply, eventually
from tests.integration.expectations import (
    caused_by,
    check_members,
    fresh,
    headers_of,
    problem,
    silence,
    sleeping,
)
from topics.commands import Hold
from topics.log_records import Record

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLAYED = "Idempotent-Replayed"
RACES = 20
CROWD = 100
SLEEP_SECONDS_MAX = 2.5  # a worker that sleeps for longer loses its partitions


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def second_url(running: Installation) -> str:
    """Give the URL of a second gateway of the same installation, which is known to clients by one address."""
    return await running.start_gateway(FIRMHOLD_URL=running.gateway_url)


async def units_out(alice: Client, slot: str) -> int:
    """Return how many units of a slot are held."""
    return int((await alice.call("GET", f"/slots/{slot}")).body["held"])


def is_replay(reply: Reply) -> bool:
    """Tell whether a reply says that it repeats an answered request."""
    return bool(reply.response.headers.get(REPLAYED) == "true")


async def poll(alice: Client, request_id: str) -> Reply:
    """Return the status of a decided request."""
    return await alice.call("GET", f"/requests/{request_id}?wait=30")


async def test_e23_repeat_after_success(alice: Client, second_url: str, running: Installation) -> None:
    """The same key gives the same hold, marked as a replay, through any gateway; fails if claims are not looked up."""
    slot, key = fresh("e23"), str(uuid.uuid4())
    await alice.define(slot, 5)
    first = await alice.hold(slot, key, quantity=2)
    async with running.client(url=second_url) as elsewhere:
        repeats = [await alice.hold(slot, key, quantity=2), await elsewhere.hold(slot, f'"{key}"', quantity=2)]
    assert (first.status, is_replay(first)) == (201, False)
    for repeat in repeats:
        assert (repeat.status, is_replay(repeat), repeat.body) == (201, True, first.body)
        assert repeat.response.headers["Location"] == first.response.headers["Location"]
    assert repeats[1].body["hold_token"] == first.body["hold_token"]
    assert await units_out(alice, slot) == 2
    other = await alice.hold(slot, quantity=2)
    assert (other.status, is_replay(other), await units_out(alice, slot)) == (201, False, 4)


async def test_e23_a_repeat_while_no_worker_works(alice: Client, running: Installation) -> None:
    """What is decided is answered without a worker to tell it again, long before the wait of the client is over.

    Seen to fail (no answer while the worker sleeps) without the first look in `Submitter.outcome`.
    """
    slot, key = fresh("e23w"), str(uuid.uuid4())
    await alice.define(slot, 5)
    first = await alice.hold(slot, key)
    async with sleeping(running.processes[0]):
        repeat = await asyncio.wait_for(alice.hold(slot, key, wait=20), SLEEP_SECONDS_MAX)
    assert (repeat.status, is_replay(repeat), repeat.body) == (201, True, first.body)


async def test_e23_absent_fields_are_their_defaults(alice: Client) -> None:
    """No body, an empty one and the default written out ask for the same; headers are no part of it."""
    slot, key = fresh("e23d"), str(uuid.uuid4())
    await alice.define(slot, 5)
    first = await alice.hold(slot, key)
    headers = {"Idempotency-Key": key, "Prefer": "wait=30", "Buyer": "carol", "traceparent": "00-1-2-01"}
    repeat = await alice.call("POST", f"/slots/{slot}/hold", json={"quantity": 1}, headers=headers)
    assert (repeat.status, repeat.body) == (201, first.body)
    assert is_replay(repeat)


async def test_e24_repeat_after_refusal(alice: Client) -> None:
    """A stored refusal stays, though stock came back; a new key is a new attempt.

    Seen to fail on refusals that are told and not stored, in `_Batch.keep`.
    """
    slot, key = fresh("e24"), str(uuid.uuid4())
    await alice.define(slot, 0)
    first = await alice.hold(slot, key)
    assert (await alice.define(slot, 1)).status == 200
    again = await alice.hold(slot, key)
    problem(first, 409, "sold_out")
    assert (again.status, again.body, is_replay(first), is_replay(again)) == (409, first.body, False, True)
    assert (first.body["retry"], await units_out(alice, slot)) == ("new_key", 0)
    assert (await alice.hold(slot)).status == 201


async def test_e25_same_key_another_request(alice: Client, running: Installation) -> None:
    """Another quantity, reference, path or method under a used key is 422 and changes nothing; it is stored."""
    slot, other, key = fresh("e25"), fresh("e25-other"), str(uuid.uuid4())
    await alice.define(slot, 10)
    await alice.define(other, 10)
    async with running.client(ADMIN_KEY) as admin:
        first = await admin.hold(slot, key)
        for reply in (
            await admin.hold(slot, key, quantity=2),
            await admin.hold(slot, key, client_reference="r"),
            await admin.hold(other, key),
            await put(admin, slot, key, 10),
            await put(admin, fresh("e25-new"), key, 10),
            await put(admin, slot, key, 10),
        ):
            body = problem(reply, 422, "idempotency_key_reused")
            assert body["retry"] == "new_key"
            polled = await poll(admin, body["request_id"])
            assert (polled.body["status"], polled.body["error"]) == ("refused", body)
        assert is_replay(reply)  # the last one repeats a refusal that was stored
        repeat = await admin.hold(slot, key)
        assert (repeat.status, repeat.body, is_replay(repeat)) == (201, first.body, True)
    assert [await units_out(alice, slot), await units_out(alice, other)] == [1, 0]


async def put(client: Client, slot: str, key: str, capacity: int) -> Reply:
    """Define a slot under a key."""
    headers = {"Idempotency-Key": key, "Prefer": "wait=30"}
    return await client.call("PUT", f"/slots/{slot}", json={"capacity": capacity}, headers=headers)


async def test_e27_two_callers_one_key(alice: Client, running: Installation) -> None:
    """The scope of a key is its account: two callers, two holds.

    Seen to fail on one source for all accounts, in `Caller.source`.
    """
    slot, key = fresh("e27"), str(uuid.uuid4())
    await alice.define(slot, 5)
    async with running.client(BOB_KEY) as bob:
        replies = await asyncio.gather(alice.hold(slot, key), bob.hold(slot, key))
    assert [reply.status for reply in replies] == [201, 201]
    assert not any(is_replay(reply) for reply in replies)
    assert replies[0].body["id"] != replies[1].body["id"]
    assert await units_out(alice, slot) == 2


async def test_e28_gateway_dies_before_the_acknowledgement(alice: Client, running: Installation) -> None:
    """What a dead gateway never published does not stand in the way: the retry goes through at once, as the first.

    Seen to fail on a gateway that notes a request where the others see it before Kafka has acknowledged it.
    """
    slot, key = fresh("e28"), str(uuid.uuid4())
    await alice.define(slot, 5)
    async with silence() as silent:
        url = await running.start_gateway(until="healthz", FIRMHOLD_KAFKA=silent.address)
        doomed = running.processes[-1]
        before = await eventually(lambda: silent.connections, what="the event reader connects")
        async with running.client(url=url) as client:
            lost = asyncio.create_task(client.hold(slot, key))
            await eventually(lambda: silent.connections > before, what="the producer connects")
            doomed.kill()
            with pytest.raises(aiohttp.ClientError):
                await lost
    retry = await alice.hold(slot, key)
    assert (retry.status, is_replay(retry), await units_out(alice, slot)) == (201, False, 1)


async def test_e29_two_records_one_effect(alice: Client, second_url: str, running: Installation) -> None:
    """A record written thrice has one effect, each is acknowledged (E-31), and every status look-up agrees.

    Seen to fail on a worker that does not look for what is decided (an empty `Known.events`), and on one that does not
    answer what it repeats (`Emitter`).
    """
    slot, key = fresh("e29"), str(uuid.uuid4())
    await alice.define(slot, 5)
    first = await alice.hold(slot, key)
    topic = running.settings.catalogue().commands("slot")
    (record,) = [each for each in await running.records(topic) if headers_of(each).get("ce_id") == key]
    copy = Record(topic, record.key, record.value, record.headers, record.partition)
    async with running.producer() as upstream:
        await upstream.send(copy, copy)
        placed = await caused_by(running, key, count=2)
        await upstream.send(upstream.record(Hold(resource_id=slot), command_id=f"{key}-after"))
        await caused_by(running, f"{key}-after")
    assert len({(headers_of(event)["ce_id"], event.value) for event in placed}) == 1
    async with running.client(url=second_url) as elsewhere:
        polls = [await poll(client, first.body["links"]["request"].rpartition("/")[2]) for client in (alice, elsewhere)]
    assert [each.body["result"] for each in polls] == [first.body] * 2
    assert await units_out(alice, slot) == 2
    async with running.database() as database:
        assert await database.fetchval("select count(*) from requests where claim_id = $1", key) == 1


async def test_e29_both_records_undecided(alice: Client, running: Installation) -> None:
    """Copies wait in the log before any is decided, behind a crowd so that they share a batch: one effect, one answer.

    Seen to fail (no answer in time) on `decide_batch` not keeping what it has decided, in `_Batch.keep`.
    """
    slot, key = fresh("e29b"), str(uuid.uuid4())
    await alice.define(slot, 5)
    async with running.producer() as upstream, sleeping(running.processes[0]):
        await upstream.send(*(upstream.record(Hold(resource_id=slot, quantity=9)) for _ in range(CROWD)))
        hold = upstream.record(
            Hold(resource_id=slot), source="gateway/alice", command_id=key, signing_key=upstream.gateway_key
        )
        await upstream.send(hold, hold)
        waiting = asyncio.create_task(alice.hold(slot, key))
        await eventually(lambda: records_of(running, key, 3), what="the gateway's own record, the third")
    reply = await waiting
    assert (reply.status, is_replay(reply), await units_out(alice, slot)) == (201, False, 1)
    request_id = reply.body["links"]["request"].rpartition("/")[2]
    assert (await poll(alice, request_id)).body["result"] == reply.body


async def records_of(running: Installation, key: str, count: int) -> bool:
    """Tell whether the command topic holds so many commands of a key, in records of their own or of several."""
    records = await running.records(running.settings.catalogue().commands("slot"))
    alone = sum(headers_of(record).get("ce_id") == key for record in records)
    together = sum((record.value or b"").count(f'"id":"{key}"'.encode()) for record in records)
    return alone + together >= count


async def test_r8_a_lost_201(alice: Client, second_url: str, running: Installation) -> None:
    """The client goes away before its answer; the retry through another gateway has a token that works for anybody.

    Seen to fail on a token that is made from anything else than the request's id.
    """
    slot, key = fresh("r8"), str(uuid.uuid4())
    await alice.define(slot, 5)
    lost = asyncio.create_task(alice.hold(slot, key))
    await eventually(lambda: records_of(running, key, 1), what="the command is in the log")
    lost.cancel()
    async with running.client(url=second_url) as elsewhere, running.client(BOB_KEY) as bob:
        retried = await elsewhere.hold(slot, key)
        assert retried.status == 201
        headers = {"Hold-Token": retried.body["hold_token"], "Prefer": "wait=30"}
        confirmed = await bob.call("POST", f"/holds/{retried.body['id']}/confirm", headers=headers)
    assert (confirmed.status, confirmed.body["status"]) == (200, "confirmed")
    assert await units_out(alice, slot) == 0


async def test_retry_joins_the_undecided_original(alice: Client, second_url: str, running: Installation) -> None:
    """Retries before the decision, through any gateway, have one request id and are all answered by the one outcome.

    Fails if the request id has anything of the record or the gateway in it, or if a waiter is handed over to the retry.
    """
    slot, key = fresh("join"), str(uuid.uuid4())
    await alice.define(slot, 5)
    async with running.client(url=second_url) as elsewhere:
        async with sleeping(running.processes[0]):
            waiting = [asyncio.create_task(client.hold(slot, key)) for client in (alice, elsewhere, alice)]
            queued = [await client.hold(slot, key, wait=0) for client in (alice, elsewhere)]
            await eventually(lambda: records_of(running, key, 5), what="five commands of one key")
        replies = await asyncio.gather(*waiting)
    assert [reply.status for reply in queued] == [202, 202]
    locations = {reply.response.headers["Location"] for reply in queued}
    assert locations == {reply.body["links"]["request"] for reply in replies}
    assert len(locations) == 1
    assert [reply.status for reply in replies] == [201] * 3
    assert all(reply.body == replies[0].body for reply in replies)
    assert await units_out(alice, slot) == 1


async def test_r5_one_key_on_two_slots_at_once(alice: Client, second_url: str, running: Installation) -> None:
    """Of two slots under one key at once, one is held and the other gets its own 422; both can be polled.

    Seen to fail on claims that nobody owns (`owns_claim` false, `key_is_reused` not asked), and on waiters who take any
    request's answer for theirs.
    """
    slots = [fresh("r5-a"), fresh("r5-b")]
    assert [(await alice.define(slot, 100)).status for slot in slots] == [201, 201]
    async with running.client(url=second_url) as elsewhere:
        races = await asyncio.gather(*(race(slots, (alice, elsewhere), number) for number in range(RACES)))
    held = [await units_out(alice, slot) for slot in slots]
    assert held == [races.count(slot) for slot in slots]
    assert sum(held) == RACES


async def race(slots: list[str], clients: tuple[Client, Client], number: int) -> str:
    """Hold both slots under one key at once and return which was held."""
    key = str(uuid.uuid4())
    order = list(zip(slots, clients, strict=True))[:: 1 if number % 2 else -1]
    replies = await asyncio.gather(*(client.hold(slot, key) for slot, client in order))
    by_slot = dict(zip((slot for slot, _ in order), replies, strict=True))
    assert sorted(reply.status for reply in replies) == [201, 422]
    winner = next(slot for slot, reply in by_slot.items() if reply.status == 201)
    loser = next(slot for slot in slots if slot != winner)
    hold, refusal = by_slot[winner].body, by_slot[loser].body
    assert hold["slot_id"] == winner
    problem(by_slot[loser], 422, "idempotency_key_reused")
    assert f"~{loser}~" in refusal["request_id"]
    polls = [
        await poll(clients[0], name) for name in (hold["links"]["request"].rpartition("/")[2], refusal["request_id"])
    ]
    assert [each.body["status"] for each in polls] == ["succeeded", "refused"]
    assert (polls[0].body["result"], polls[1].body["error"]) == (hold, refusal)
    check_members(polls[1].body["error"], 422, "idempotency_key_reused")
    return winner
