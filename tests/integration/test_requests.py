"""The status of a request: decided, queued or unknown; and what is said when a server behind the gateway is silent."""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import redis.asyncio

from tests.installation import BOB_KEY, Client, Installation, Reply, eventually
from tests.integration.expectations import (
    caused_by,
    check_members,
    events_of,
    fresh,
    headers_of,
    problem,
    silence,
    sleeping,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

MALFORMED = [
    "none",
    "req_slot",
    "req_slot~a",
    "req_slot~a~short",
    f"req_slot~a~{'a' * 33}",
    f"req_slot~a~{'A' * 32}",
    f"req_seat~a~{'a' * 32}",
    f"req_slot~..~{'a' * 32}",
    f"req_slot~{'a' * 65}~{'a' * 32}",
    f"hold_slot~a~{'a' * 32}",
    f"req_slot~a~{'a' * 32}~",
    f"REQ_slot~a~{'a' * 32}",
    f"req_sl%C3%B6t~a~{'a' * 32}",
    f"req_slot~a~{'a' * 31}%00",
    f"req_slot~a~{'a' * 32}%0a",
    "%ff",
    "x" * 4_000,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slot(alice: Client) -> str:
    """Give a slot with room."""
    name = fresh("requests")
    assert (await alice.define(name, 10_000)).status == 201
    return name


@pytest_asyncio.fixture(loop_scope="module")
async def no_redis(running: Installation) -> AsyncIterator[None]:
    """Empty the cache before the test."""
    async with redis.asyncio.Redis.from_url(running.urls.redis) as client:
        keys = [key async for key in client.scan_iter(f"{running.prefix}*")]
        if keys:
            await client.delete(*keys)
    yield


def unknown_id(slot: str) -> str:
    """Return an id that nobody's request has."""
    digest = re.sub("[^a-z2-7]", "a", uuid.uuid4().hex)
    return f"req_slot~{slot}~{digest}"


async def poll(client: Client, request_id: str, seconds: int = 30) -> Reply:
    """Return the status of a request within some seconds."""
    return await client.call("GET", f"/requests/{request_id}?wait={seconds}")


async def test_e79_unknown_is_404(alice: Client, slot: str) -> None:
    """An id of nobody's is 404 as soon as the workers are past what lay in the log, not after the wait."""
    await alice.hold(slot)
    for name in (slot, fresh("nowhere"), fresh("nowhere"), fresh("nowhere")):
        started = time.monotonic()
        problem(await poll(alice, unknown_id(name)), 404, "unknown_request")
        assert time.monotonic() - started < 10


async def test_e79_unknown_under_steady_traffic(alice: Client, slot: str) -> None:
    """An unknown id is told from a queued one in a log that never rests; fails if its end is read afresh each time."""
    done = asyncio.Event()

    async def traffic() -> None:
        while not done.is_set():
            await alice.hold(slot, wait=0)

    drivers = [asyncio.create_task(traffic()) for _ in range(4)]
    try:
        problem(await poll(alice, unknown_id(slot)), 404, "unknown_request")
    finally:
        done.set()
        await asyncio.gather(*drivers)


@pytest.mark.usefixtures("no_redis")
async def test_e79_just_accepted_is_never_404(alice: Client, slot: str, running: Installation) -> None:
    """From the 202 on a request is queued or decided, however often it is asked for; with Redis empty too.

    Fails if "no row" is taken for unknown before the committed offset is past the request.
    """

    async def accept() -> str:
        return str((await alice.hold(slot, wait=0)).body["id"])

    async def hammer(request_id: str) -> int:
        polls = 0
        while True:
            reply = await poll(alice, request_id, seconds=polls % 2)
            polls += 1
            assert reply.status == 200, reply.body
            if reply.body["status"] == "succeeded":
                return polls

    async with sleeping(running.processes[0]):
        accepted = [await accept() for _ in range(10)]
        hammering = [asyncio.create_task(hammer(request_id)) for request_id in accepted]
        queued = await asyncio.gather(*(poll(alice, request_id, seconds=1) for request_id in accepted))
    assert {(reply.status, reply.body["status"]) for reply in queued} == {(200, "queued")}
    assert min(await asyncio.gather(*hammering)) > 1
    await asyncio.gather(*[hammer(await accept()) for _ in range(40)])


async def test_queued_while_no_worker_runs(alice: Client, slot: str, running: Installation) -> None:
    """While nobody decides, a poll says queued, how many are ahead and when to ask again; a long poll gets the outcome.

    Fails if the poll does not wait for the event, or if `ahead` is not counted from the committed offset.
    """
    assert (await poll(alice, unknown_id(slot))).status == 404  # so all that lay before is committed
    async with sleeping(running.processes[0]):
        accepted = [await alice.hold(slot, wait=0) for _ in range(5)]
        last = accepted[-1].body["id"]
        queued = await poll(alice, last, seconds=1)
        at_once = await poll(alice, last, seconds=0)
        waiting = asyncio.create_task(poll(alice, last))
    assert (queued.status, queued.body["status"], queued.body["decided_at"]) == (200, "queued", None)
    assert queued.body["ahead"] in {4, 5}  # it counts to the end of the partition, itself included
    assert int(queued.response.headers["Retry-After"]) >= 1
    assert queued.response.headers["Cache-Control"] == "no-store"
    assert (at_once.status, at_once.body["status"]) == (200, "queued")
    outcome = await waiting
    assert (outcome.status, outcome.body["status"], outcome.body["ahead"]) == (200, "succeeded", 0)
    assert outcome.body["submitted_at"] <= outcome.body["decided_at"]
    assert "Retry-After" not in outcome.response.headers


async def test_polled_refusal_is_the_direct_problem(alice: Client) -> None:
    """A refusal polled is 200 with the problem that the direct answer carried, and stays so."""
    slot = fresh("refused")
    await alice.define(slot, 0)
    direct = problem(await alice.hold(slot), 409, "sold_out")
    polls = [await poll(alice, direct["request_id"]) for _ in range(2)]
    for reply in polls:
        assert (reply.status, reply.body["status"], reply.body["error"]) == (200, "refused", direct)
        assert "result" not in reply.body
        assert reply.response.content_type == "application/json"
    check_members(polls[0].body["error"], 409, "sold_out")
    assert polls[0].body == polls[1].body


async def test_others_see_nothing(alice: Client, slot: str, running: Installation) -> None:
    """Another account's request is 404 with the words of an unknown one."""
    reply = await alice.hold(slot)
    request_id = reply.body["links"]["request"].rpartition("/")[2]
    unknown = unknown_id(slot)
    async with running.client(BOB_KEY) as bob:
        foreign = problem(await poll(bob, request_id), 404, "unknown_request")
        nobodys = problem(await poll(bob, unknown), 404, "unknown_request")
    assert {name: str(text).replace(request_id, unknown) for name, text in foreign.items()} == {
        name: str(text) for name, text in nobodys.items()
    }


async def test_ids_that_are_none(alice: Client) -> None:
    """What cannot be an id is 404 without a wait, and never a 500; a wait that is no number is 422."""
    for text in MALFORMED:
        problem(await alice.call("GET", f"/requests/{text}"), 404, "unknown_request")
        problem(await alice.call("GET", f"/holds/{text.replace('req_', 'hold_')}x"), 404, "hold_not_found")
    for wait in ("-1", "1.5", "x", "", "9" * 10, "%D9%A3"):
        problem(await alice.call("GET", f"/requests/{unknown_id('a')}?wait={wait}"), 422, "invalid_request")


async def test_e71_status_without_the_event(alice: Client, slot: str, running: Installation) -> None:
    """A gateway that never saw the event tells the outcome from Postgres.

    Seen to fail on a gateway that knows only what it was told by events (`Submitter.stored` without Postgres).
    """
    reply = await alice.hold(slot)
    url = await running.start_gateway()
    async with running.client(url=url) as elsewhere:
        polled = await poll(elsewhere, reply.body["links"]["request"].rpartition("/")[2])
        assert (polled.body["status"], polled.body["result"]) == ("succeeded", reply.body)


async def test_e80_client_disconnects(alice: Client, running: Installation) -> None:
    """A client that goes away while it waits changes nothing: its command is decided once, its key still answers.

    Seen to fail on a gateway that, told of it, cancels the hold, and on one that gives the command again under another key.
    """
    slot, key = fresh("e80"), str(uuid.uuid4())
    await alice.define(slot, 5)
    before = await running.end_offsets(running.settings.catalogue().commands("slot"))
    async with sleeping(running.processes[0]), running.client() as impatient:
        task = asyncio.create_task(impatient.hold(slot, key))
        await eventually(lambda: has_grown(running, before), what="the command lies in the log")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (event,) = await caused_by(running, key)
    assert headers_of(event)["ce_type"] == "hold.placed"
    again = await alice.hold(slot, key)
    assert (again.status, again.response.headers.get("Idempotent-Replayed")) == (201, "true")
    assert (await alice.call("GET", f"/slots/{slot}")).body["held"] == 1
    placed = [each for each in await events_of(running, slot) if headers_of(each)["ce_type"] == "hold.placed"]
    assert len({headers_of(each)["ce_id"] for each in placed}) == 1


async def has_grown(running: Installation, before: list[int]) -> bool:
    """Tell whether the command topic has records that it had not."""
    return await running.end_offsets(running.settings.catalogue().commands("slot")) != before


async def test_silent_postgres_is_503(alice: Client, slot: str, running: Installation) -> None:
    """Reads end in 503 within their bound, never in a hang; a write whose event comes is answered all the same, else 202."""
    async with silence() as silent:
        url = await running.start_gateway(
            until="healthz",
            FIRMHOLD_POSTGRES=f"postgresql://nobody@{silent.address}/none",
            FIRMHOLD_POSTGRES_READ_TIMEOUT_SECONDS="0.5",
        )
        async with running.client(url=url) as client:
            await eventually(lambda: follows_events(client), what="the gateway follows the events")
            held = await client.hold(slot)
            assert held.status == 201
            paths = (f"/slots/{slot}", f"/requests/{unknown_id(slot)}", f"/holds/{held.body['id']}", "/readyz")
            started = time.monotonic()
            replies = await asyncio.gather(*(client.call("GET", path) for path in paths))
            assert time.monotonic() - started < 5
            for reply in replies[:-1]:
                assert problem(reply, 503, "unavailable")["retry"] == "same_key"
            assert (replies[-1].status, replies[-1].body["postgres"]) == (503, False)
            async with sleeping(running.processes[0]):
                lost = await client.hold(slot, wait=1)
            assert (lost.status, lost.body["status"]) == (202, "queued")
    assert (await poll(alice, lost.body["id"])).body["status"] == "succeeded"


async def follows_events(client: Client) -> bool:
    """Tell whether the gateway reads events."""
    return bool((await client.call("GET", "/readyz")).body["events"])


async def test_silent_kafka_is_503(alice: Client, slot: str, running: Installation) -> None:
    """A write is 503 "unknown", with the request id and the key to retry with; a poll of the undecided 503 as well.

    What is decided is told from Postgres. Fails if publishing, or reading offsets, waits without a bound; seen to fail with
    a poll that does not wait (`wait=0`) and was told `queued` whatever it asked for.
    """
    decided = await alice.hold(slot)
    async with silence() as silent:
        url = await running.start_gateway(
            until="healthz", FIRMHOLD_KAFKA=silent.address, FIRMHOLD_PUBLISH_TIMEOUT_SECONDS="0.5"
        )
        async with running.client(url=url) as client:
            key = str(uuid.uuid4())
            body = problem(await client.hold(slot, key), 503, "outcome_unknown")
            assert body["retry"] == "same_key"
            assert problem(await poll(client, body["request_id"], 1), 503, "unavailable")["retry"] == "same_key"
            started = time.monotonic()
            problem(await poll(client, body["request_id"], 0), 503, "unavailable")
            assert time.monotonic() - started < 10
            polled = await poll(client, decided.body["links"]["request"].rpartition("/")[2])
            assert polled.body["result"] == decided.body
            assert (await client.call("GET", "/readyz")).status == 503
    retried = await alice.hold(slot, key)
    assert retried.status == 201
    assert retried.body["links"]["request"] == f"/requests/{body['request_id']}"


async def test_r7_a_hold_is_its_owners(alice: Client, running: Installation, slot: str) -> None:
    """Its owner sees a hold, and who has its token; anyone else the same 404 as for an unknown one."""
    hold = (await alice.hold(slot, quantity=3, client_reference="mine")).body
    path, stranger = f"/holds/{hold['id']}", f"/holds/hold_slot~{slot}~{'a' * 32}"
    async with running.client(BOB_KEY) as bob:
        with_token = await bob.call("GET", path, headers={"Hold-Token": hold["hold_token"]})
        told = {name: value for name, value in hold.items() if name != "hold_token"}
        assert (with_token.status, with_token.body) == (200, told)
        tokens = [
            {},
            {"Hold-Token": ""},
            {"Hold-Token": hold["hold_token"][:-1]},
            {"Hold-Token": hold["hold_token"] + "0"},
        ]
        answers = [problem(await bob.call("GET", path, headers=headers), 404, "hold_not_found") for headers in tokens]
        nobodys = problem(
            await bob.call("GET", stranger, headers={"Hold-Token": hold["hold_token"]}), 404, "hold_not_found"
        )
    own = await alice.call("GET", path, headers={"Hold-Token": "wrong"})
    assert (own.status, own.body, own.response.headers["Cache-Control"]) == (200, hold, "no-store")
    shown = {str({k: str(v).replace(hold["id"], "") for k, v in body.items()}) for body in answers}
    assert shown == {str({k: str(v).replace(stranger.rpartition("/")[2], "") for k, v in nobodys.items()})}
