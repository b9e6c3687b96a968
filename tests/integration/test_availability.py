"""What is free, over HTTP: the list, pages, names, the cache seen from outside by the queries that reach Postgres.

Two gateways read through one cache; the second one's queries go through a door that counts them.
"""

import asyncio
import random
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from yarl import URL

from tests.installation import Client, Installation, Reply
from tests.integration.expectations import fresh, problem
from tests.postgres_door import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLOTS_OF_PAGES = 7


async def free_of(client: Client, *slots: str, **headers: str) -> list[dict[str, Any]]:
    """Return what is free of these slots."""
    reply = await client.call("GET", "/slots/availability", params={"ids": ",".join(slots)}, headers=headers)
    assert reply.status == 200, reply.body
    body: list[dict[str, Any]] = reply.body
    return body


async def remaining(client: Client, slot: str, **headers: str) -> int:
    """Return how many units of a slot are free."""
    return int((await free_of(client, slot, **headers))[0]["remaining"])


async def pages(client: Client, **query: str) -> list[Reply]:
    """Return all pages, from each to the next as its Link says."""
    reply = await client.call("GET", "/slots/availability", params=query)
    found = [reply]
    while "next" in reply.response.links:
        reply = await client.call("GET", URL(reply.response.links["next"]["url"]).relative().human_repr())
        found.append(reply)
    return found


async def test_the_list_has_each_slot(alice: Client) -> None:
    """With its counters and version, and nothing else; a slot that was just defined too."""
    slot = fresh()
    await alice.call("GET", "/slots/availability")
    await alice.define(slot, 5)
    await alice.hold(slot, quantity=2)
    listed = await alice.call("GET", "/slots/availability")
    assert (listed.status, listed.response.content_type) == (200, "application/json")
    mine = [one for one in listed.body if one["slot_id"] == slot]
    assert mine == [{"slot_id": slot, "capacity": 5, "remaining": 3, "held": 2, "version": 2}]


async def test_what_is_named_comes_in_that_order_and_the_unknown_is_left_out(alice: Client) -> None:
    """Each once, though it is named twice; a slot that comes to be is there at once."""
    one, two, absent = fresh(), fresh(), fresh("absent")
    for slot in (one, two):
        await alice.define(slot, 1)
    assert [free["slot_id"] for free in await free_of(alice, two, absent, one, two)] == [two, one]
    await alice.define(absent, 1)
    assert [free["slot_id"] for free in await free_of(alice, absent)] == [absent]


async def test_pages_have_every_slot_once(alice: Client) -> None:
    """However short they are; a slot that nobody knows may stand for a place too."""
    slots = {fresh("page") for _ in range(SLOTS_OF_PAGES)}
    for slot in slots:
        await alice.define(slot, 1)
    whole = [one["slot_id"] for one in (await alice.call("GET", "/slots/availability")).body]
    found = await pages(alice, limit="3")
    assert [one["slot_id"] for page in found for one in page.body] == whole
    assert [len(page.body) for page in found[:-1]] == [3] * (len(found) - 1)
    assert slots <= set(whole)
    behind = await alice.call("GET", "/slots/availability", params={"after": "page", "limit": "1000"})
    assert [one["slot_id"] for one in behind.body] == [slot for slot in whole if slot > "page"]


async def test_a_list_too_long_to_be_cached_is_read_page_by_page(running: Installation, alice: Client) -> None:
    """Seen to fail on a cut list."""
    for _ in range(3):
        await alice.define(fresh(), 1)
    url = await running.start_gateway(FIRMHOLD_CACHE_IDS_MAX="2", FIRMHOLD_REDIS_PREFIX=f"{uuid.uuid4()}:")
    async with running.client(url=url) as client:
        found = [one["slot_id"] for page in await pages(client, limit="2") for one in page.body]
    assert found == [one["slot_id"] for one in (await alice.call("GET", "/slots/availability")).body]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"ids": ""}, "ids"),
        ({"ids": "a,,b"}, "ids"),
        ({"ids": "a b"}, "a b"),
        ({"ids": ",".join(f"s{number}" for number in range(101))}, "at most 100"),
        ({"ids": "a", "limit": "1"}, "limit"),
        ({"limit": "0"}, "1 to 1000"),
        ({"limit": "1001"}, "1 to 1000"),
        ({"limit": "many"}, "1 to 1000"),
        ({"limit": "1²"}, "1 to 1000"),
        ({"after": "../x"}, "after"),
    ],
    ids=str,
)
async def test_a_query_that_cannot_be_meant_is_told_so(alice: Client, query: Mapping[str, str], named: str) -> None:
    """422, naming the parameter and what it takes."""
    reply = await alice.call("GET", "/slots/availability", params=query)
    assert named in problem(reply, 422, "invalid_request")["detail"]


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1" * 19, "٣"])
@pytest.mark.parametrize("path", ["/slots/availability", "/slots/any"])
async def test_a_min_version_that_is_none_is_told_so(alice: Client, path: str, text: str) -> None:
    """400 at both reads."""
    problem(await alice.call("GET", path, headers={"Min-Version": text}), 400, "malformed_header")


async def test_no_slot_is_called_as_the_list_is(alice: Client) -> None:
    """It could never be read."""
    problem(await alice.define("availability", 1), 422, "invalid_request")


async def test_the_first_read_hits_postgres_and_the_next_do_not(alice: Client, second: Client, door: Door) -> None:
    """By name and by page; what one gateway read serves the other. Seen to fail on storing nothing."""
    slots = [fresh(), fresh()]
    for slot in slots:
        await alice.define(slot, 1)
    before = door.queries
    for _ in range(5):
        assert [one["remaining"] for one in await free_of(second, *slots)] == [1, 1]
    assert door.queries - before == 1
    await alice.call("GET", "/slots/availability")
    before = door.queries
    await second.call("GET", "/slots/availability")
    assert door.queries == before


async def test_e60_a_thousand_misses_at_once_make_one_query(alice: Client, second: Client, door: Door) -> None:
    """While the query is held in Postgres.

    Seen to fail (three queries) on a bound of Redis that has no turns of grace while the gateway itself is busy.
    """
    slot = fresh()
    await alice.define(slot, 1)
    before = door.queries
    door.shut()
    first = asyncio.create_task(remaining(second, slot))
    await door.held.wait()
    others = [asyncio.create_task(remaining(second, slot)) for _ in range(999)]
    door.reopen()
    assert set(await asyncio.gather(first, *others)) == {1}
    assert door.queries - before == 1


async def test_e57_a_reading_that_a_write_overtakes_is_not_kept(
    running: Installation, alice: Client, second: Client, door: Door
) -> None:
    """Its answer is held back until the write is answered, invalidation and all.

    Seen to fail on a Lua store that does not look at the tombstone.
    """
    slot = fresh()
    await alice.define(slot, 3)
    door.shut()
    early = asyncio.create_task(remaining(second, slot))
    await door.held.wait()
    assert (await alice.hold(slot)).status == 201
    late = asyncio.create_task(remaining(second, slot))
    door.reopen()
    assert (await early, await late) == (3, 2)
    assert await remaining(alice, slot) == 2


async def test_e62_an_expiry_that_nobody_wrote_is_seen(running: Installation, alice: Client) -> None:
    """A cached value ends with the next hold, long before its own time. Seen to fail on caching for the lifetime alone."""
    slot = fresh()
    await alice.define(slot, 1, hold_seconds=1)
    hold = (await alice.hold(slot)).body
    assert await remaining(alice, slot) == 0
    async with running.database() as database:
        await database.execute("select pg_sleep_until($1::text::timestamptz)", hold["expires_at"])
    assert await remaining(alice, slot) == 1


async def test_min_version_reads_postgres_where_the_cache_is_behind(running: Installation, alice: Client) -> None:
    """As after a lost invalidation, which a change behind everybody's back is. Seen to fail on ignoring the header."""
    slot = fresh()
    await alice.define(slot, 4)
    assert await remaining(alice, slot) == 4
    async with running.database() as database:
        await database.execute("update resources set version = 2, remaining = 3 where resource_id = $1", slot)
    assert await remaining(alice, slot) == 4
    assert await remaining(alice, slot, **{"Min-Version": "2"}) == 3
    assert await remaining(alice, slot) == 3


async def test_each_write_is_visible_in_the_next_read_after_its_answer(
    running: Installation, alice: Client, second: Client
) -> None:
    """Through either gateway, while others read all the time; versions never go back for a reader.

    Seen to fail on an invalidation 10 ms after the events.
    """
    slot, dice, done = fresh(), random.Random(4), asyncio.Event()
    await alice.define(slot, 1_000)
    clients = [alice, second]

    async def read_all_the_time(client: Client) -> int:
        last = reads = 0
        while not done.is_set():
            version = (await free_of(client, slot))[0]["version"]
            assert version >= last
            last, reads = version, reads + 1
        return reads

    readers = [asyncio.create_task(read_all_the_time(client)) for client in clients for _ in range(2)]
    expected, holds = 1_000, [(await alice.hold(slot)).body["id"]]
    for _ in range(60):
        wait = {"Prefer": "wait=30"}
        match dice.choice(["hold", "confirm", "cancel", "define"]):
            case "hold":
                holds.append((await dice.choice(clients).hold(slot)).body["id"])
            case "confirm":
                assert (
                    await dice.choice(clients).call("POST", f"/holds/{holds[-1]}/confirm", headers=wait)
                ).status < 410
            case "cancel" if len(holds) > 1:
                assert (await dice.choice(clients).call("DELETE", f"/holds/{holds.pop()}", headers=wait)).status == 200
            case _:
                expected = dice.randrange(500, 2_000)
                await dice.choice(clients).define(slot, expected)
        assert [await remaining(client, slot) for client in clients] == [expected - len(holds)] * 2
    done.set()
    assert min(await asyncio.gather(*readers)) > 10
