"""The map of a screening over HTTP: what it shows, its ETag, and the cache seen from outside by what reaches Postgres."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from tests.installation import Client, Installation, Reply, eventually
from tests.integration.expectations import fresh, problem, sleeping
from tests.postgres_door import Door
from tests.visitors import Visitor, row, visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROW = row("A", 4, blocked=[4])
FLOOR = [{"id": "floor", "capacity": 5}]
PLAIN = {"Accept-Encoding": "identity"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(running: Installation) -> AsyncIterator[Visitor]:
    """Give a visitor of the first gateway."""
    async with visitor(running) as somebody:
        yield somebody


@pytest.fixture(scope="module")
def watched(second: Client) -> Visitor:
    """Give a visitor of the gateway whose queries are counted."""
    return Visitor(second.session)


async def map_of(client: Client, screening: str, **headers: str) -> Reply:
    """Return the map of a screening."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return await client.call("GET", f"/screenings/{screening}/seats", headers=named)


async def test_the_map(ann: Visitor) -> None:
    """Each seat with its row, number, kind and status, from front to back; the areas with what is left of them."""
    screening = await ann.opens(ROW, row("12-", 1, kind="sofa"), areas=FLOOR, focal="A2", title="A film")
    hold = await ann.holds(screening, "A1", areas={"floor": 2})
    await ann.of_hold("POST", hold, "/confirm")
    await ann.holds(screening, "12-1", areas={"floor": 1})
    shown = (await map_of(ann, screening)).body
    expected = {"A1": "taken", "A2": "free", "A3": "free", "A4": "blocked"}
    seats = [
        {"id": seat, "row": "A", "number": number, "kind": "standard", "status": status}
        for number, (seat, status) in enumerate(expected.items(), start=1)
    ]
    seats.append({"id": "12-1", "row": "12-", "number": 1, "kind": "sofa", "status": "held"})
    areas = [{"id": "floor", "capacity": 5, "held": 1, "taken": 2, "remaining": 2}]
    assert shown == {
        "screening_id": screening,
        "version": 7,
        "title": "A film",
        "focal": "A2",
        "seats": seats,
        "areas": areas,
    }


async def test_a_seat_left_out_goes_when_it_is_free(ann: Visitor) -> None:
    """Until then the map shows it, without a kind: it has none any more. Nobody else can have it.

    Seen to fail on a map of the plan alone.
    """
    screening = await ann.opens(ROW)
    hold = await ann.holds(screening, "A2", "A3")
    await ann.puts(screening, row("A", 1))
    assert await ann.sees(screening) == {"A1": "free", "A2": "held", "A3": "held"}
    await ann.of_seat("DELETE", screening, "A2", Hold_Token=hold.body["hold_token"])
    assert await ann.sees(screening) == {"A1": "free", "A3": "held"}
    problem(await ann.holds(screening, "A2"), 404, "unknown_pool")
    await ann.of_hold("DELETE", hold)
    assert await ann.sees(screening) == {"A1": "free"}


async def test_a_map_that_is_still_so_is_not_sent_again(ann: Visitor, watched: Visitor, door: Door) -> None:
    """304 to the ETag that one has, whatever stands around it, and from the cache; a hold makes another map.

    Seen to fail on a tag that is not compared, and on `"*"` taken for `*`.
    """
    screening = await ann.opens(ROW)
    first = await map_of(watched, screening)
    tag = first.response.headers["ETag"]
    asked = door.queries
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await map_of(watched, screening, If_None_Match=known)
        assert (again.status, again.body, again.response.headers["ETag"]) == (304, {}, tag)
    for other in ('W/"other"', '"*"', 'W/"*"', '"other", "*"'):
        assert (await map_of(watched, screening, If_None_Match=other)).status == 200, other
    assert door.queries == asked
    await ann.holds(screening, "A1")
    changed = await map_of(watched, screening, If_None_Match=tag)
    assert (changed.status, changed.body["version"]) == (200, 3)


async def test_e62_time_alone_makes_another_map(ann: Visitor, running: Installation) -> None:
    """A hold that nobody ended is free once its time is over, in the map too and whatever ETag one has; the version stays.

    Seen to fail on a tag that is the version, and on a map that is cached past the end of a hold.
    """
    screening = await ann.opens(ROW, hold_seconds=2)
    (worker,) = [process for process in running.processes if process.log.name.startswith("worker")]
    await ann.holds(screening, "A1")
    async with sleeping(worker):
        before = await map_of(ann, screening)
        assert before.body["seats"][0]["status"] == "held"

        async def it_is_another() -> Reply | None:
            reply = await map_of(ann, screening, If_None_Match=before.response.headers["ETag"])
            return None if reply.status == 304 else reply

        after = await eventually(it_is_another, seconds=8, what="another map")
        assert after.body["seats"][0]["status"] == "free"
        assert after.body["version"] == before.body["version"]


async def test_it_comes_compressed_to_who_takes_it(ann: Visitor) -> None:
    """The same map either way, under one weak tag; `Vary` says so. Seen to fail on `gzip;q=0` taken for gzip."""
    screening = await ann.opens(ROW)
    plain, other = await map_of(ann, screening, **PLAIN), await map_of(ann, screening, Accept_Encoding="br, gzip;q=0")
    packed = await map_of(ann, screening, Accept_Encoding="br;q=1, gzip;q=0.5")
    assert plain.body == packed.body == other.body
    encodings = [reply.response.headers.get("Content-Encoding") for reply in (plain, other, packed)]
    assert encodings == [None, None, "gzip"]
    assert {reply.response.headers["ETag"] for reply in (plain, packed)} == {plain.response.headers["ETag"]}
    assert plain.response.headers["ETag"].startswith('W/"')
    assert {reply.response.headers["Vary"] for reply in (plain, packed)} == {"Accept-Encoding"}


async def test_e57_each_write_is_in_the_next_map(ann: Visitor, watched: Visitor, door: Door) -> None:
    """Through the other gateway, and while that one's cache has an older map; what nobody changed is read once.

    Seen to fail on a map that has a tombstone of its own name, and on maps that are not cached.
    """
    screening = await ann.opens(ROW)
    for seat in ("A1", "A2", "A3"):
        hold = await ann.holds(screening, seat)
        assert (await watched.sees(screening))[seat] == "held"
        await ann.of_hold("DELETE", hold)
        assert (await watched.sees(screening))[seat] == "free"
    asked = door.queries
    maps = await asyncio.gather(*(watched.sees(screening) for _ in range(50)))
    assert maps == [maps[0]] * 50
    assert door.queries == asked


async def test_min_version_reads_postgres_where_the_cache_is_behind(ann: Visitor, running: Installation) -> None:
    """As after a lost invalidation, which a change behind everybody's back is. Seen to fail on ignoring the header."""
    screening = await ann.opens(ROW)
    assert (await ann.sees(screening))["A1"] == "free"
    async with running.database() as database:
        await database.execute("update resources set version = 2 where resource_id = $1", screening)
        await database.execute("update pools set taken = 1 where resource_id = $1 and pool = 'A1'", screening)
    assert (await ann.sees(screening))["A1"] == "free"
    assert (await ann.sees(screening, **{"Min-Version": "2"}))["A1"] == "taken"
    assert (await ann.sees(screening))["A1"] == "taken"
    problem(await map_of(ann, screening, Min_Version="two"), 400, "malformed_header")


async def test_r14_redis_is_flushed_at_any_point(ann: Visitor, running: Installation) -> None:
    """While seats are held: the map is read anew, and no seat is called free that is not.

    Seen to fail on a map that a gateway keeps for itself, and without tombstones.
    """
    screening = await ann.opens(ROW)
    async with Redis.from_url(running.urls.redis) as redis:
        await ann.holds(screening, "A1")
        assert (await ann.sees(screening))["A1"] == "held"
        # All that this installation has there; others have theirs beside it.
        keys = [key async for key in redis.scan_iter(f"{running.prefix}*")]
        assert any(screening in key.decode() for key in keys)
        await redis.delete(*keys)
        assert (await ann.sees(screening))["A1"] == "held"
        await ann.holds(screening, "A2")
        assert (await ann.sees(screening)) == {"A1": "held", "A2": "held", "A3": "free", "A4": "blocked"}


async def test_what_does_not_exist_has_no_map_until_it_does(ann: Visitor) -> None:
    """404, and the map as soon as it was defined."""
    screening = fresh("screening")
    problem(await map_of(ann, screening), 404, "not_found")
    await ann.puts(screening, ROW)
    assert (await map_of(ann, screening)).body["version"] == 1
