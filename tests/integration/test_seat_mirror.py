"""Held seats and their mirror, on real Kafka, Postgres and Redis: each change of a hold is in Redis before it is told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.box_office import TOKEN, BoxOffice
from tests.installation import eventually, installation
from tests.mirrored import Mirrored, mirrored
from tests.servers import Urls
from topics import events
from topics.commands import Cancel, ChangeHold, Confirm, DefineResource, Extend, Hold
from topics.producer import ResilientProducer
from topics.redis_keys import RedisKeys
from topics.seating import Area, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROW = Row(row="A", seats=9)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[BoxOffice]:
    """Give a box office of an installation with a worker."""
    async with installation(servers, module_postgres_url, logs) as site:
        await site.start_worker()
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        yield BoxOffice(site, producer)
        await producer.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def mirror(office: BoxOffice) -> AsyncIterator[Mirrored]:
    """Give its mirror."""
    async with mirrored(office.site) as one:
        yield one


async def rows_of(office: BoxOffice, screening: str) -> dict[str, tuple[str | None, bool]]:
    """Return of each seat that was held how that ended, and whether it is live."""
    async with office.site.database() as database:
        rows = await database.fetch(
            "select s.seat_id, s.reason, l.seat_id is not null as is_live from seat_holds s "
            "left join live_seat_holds l using (seat_hold_id) where s.screening_id = $1 order by s.seat_hold_id",
            screening,
        )
    return {row["seat_id"]: (row["reason"], row["is_live"]) for row in rows}


async def released(office: BoxOffice, screening: str) -> list[str]:
    """Return the seats that were told as released."""
    return [data["seat"] for name, data in await office.told(screening) if name == events.SEAT_RELEASED]


async def test_holding_writes_the_key_and_the_row(office: BoxOffice, mirror: Mirrored) -> None:
    """A key for each seat, none for an area, that lives as long as the hold by default; and the rows of the audit.

    Fails on a lifetime that is not what is left of the hold, and on a value with more in it than hold, end and version.
    """
    screening = await office.define(ROW, areas=[Area(id="floor", capacity=5)])
    hold_id = await office.hold(screening, "A1", "A2")
    for seat in ("A1", "A2"):
        assert 590 < await mirror.ttl_seconds(screening, seat) <= 600
        value = await mirror.value(screening, seat)
        assert value is not None
        assert ({*value}, value["hold_id"]) == ({"hold_id", "version", "expires_at"}, hold_id)
    assert await mirror.holds(screening) == {"A1": hold_id, "A2": hold_id}
    assert await rows_of(office, screening) == {"A1": (None, True), "A2": (None, True)}
    await mirror.becomes_whole(screening)
    async with office.site.database() as database:
        expires_at = await database.fetchval("select expires_at from holds where hold_id = $1", hold_id)
    assert await mirror.from_mirror(screening, "A1") == expires_at
    assert await mirror.from_mirror(screening, "A3") is None


async def test_a_marker_goes_on_with_all_that_happens_to_a_screening(office: BoxOffice, mirror: Mirrored) -> None:
    """Without a look at it, also where no seat moves: an area, new settings, a refusal. Fails on a marker that stays behind."""
    screening = await office.define(ROW, areas=[Area(id="floor", capacity=5)])
    await mirror.becomes_whole(screening)
    await office.ask(Hold(resource_id=screening, areas={"floor": 2}, token_hash=TOKEN))
    assert await mirror.is_whole(screening)
    await office.ask(DefineResource(resource_id=screening, rows=(ROW,)))
    await office.hold(screening, "A1")
    await office.hold(screening, "A1", "A2")
    assert await mirror.is_whole(screening)


async def test_release_and_confirmation_remove_the_key(office: BoxOffice, mirror: Mirrored) -> None:
    """And end the row with its reason, and are told; a seat that was given back is held anew under a newer version.

    Fails if `seat.taken` or `seat.released` leaves the key.
    """
    screening = await office.define(ROW)
    first = await office.hold(screening, "A1", "A2", "A3")
    second = await office.hold(screening, "A4", "A5")
    await office.ask(
        Cancel(resource_id=screening, hold_id=first, token_hash=TOKEN, seats=("A1",)),
        Confirm(resource_id=screening, hold_id=first, token_hash=TOKEN),
        Cancel(resource_id=screening, hold_id=first, token_hash=TOKEN, seats=("A2",)),
        Cancel(resource_id=screening, hold_id=second, token_hash=TOKEN),
    )
    assert await mirror.holds(screening) == {}
    assert await rows_of(office, screening) == {
        "A1": ("changed", False),
        "A2": ("confirmed", False),
        "A3": ("confirmed", False),
        "A4": ("cancelled", False),
        "A5": ("cancelled", False),
    }
    assert await released(office, screening) == ["A1", "A2", "A4", "A5"]
    third = await office.hold(screening, "A1")
    assert await mirror.holds(screening) == {"A1": third}
    await mirror.becomes_whole(screening)


async def test_an_extension_renews_the_key_and_a_change_moves_it(office: BoxOffice, mirror: Mirrored) -> None:
    """All in one batch, too: what is so at its end counts. Fails if only `hold.placed` writes keys."""
    screening = await office.define(ROW, hold_seconds=100)
    hold_id = await office.hold(screening, "A1", "A2")
    assert 90 < await mirror.ttl_seconds(screening, "A1") <= 100
    await office.ask(Extend(resource_id=screening, hold_id=hold_id, token_hash=TOKEN, seconds=900))
    for seat in ("A1", "A2"):
        assert 890 < await mirror.ttl_seconds(screening, seat) <= 900
    change = ChangeHold(resource_id=screening, hold_id=hold_id, token_hash=TOKEN, seats=("A2", "A3"))
    await office.ask(change)
    assert await mirror.holds(screening) == {"A2": hold_id, "A3": hold_id}
    assert 880 < await mirror.ttl_seconds(screening, "A3") <= 900
    await office.ask(
        Cancel(resource_id=screening, hold_id=hold_id, token_hash=TOKEN, seats=("A2",)),
        ChangeHold(resource_id=screening, hold_id=hold_id, token_hash=TOKEN, seats=("A4", "A3")),
        Extend(resource_id=screening, hold_id=hold_id, token_hash=TOKEN, seconds=950),
    )
    assert await mirror.holds(screening) == {"A3": hold_id, "A4": hold_id}
    assert 930 < await mirror.ttl_seconds(screening, "A3") <= 950


async def test_e76_an_idle_expiry_ends_key_and_row_and_is_told(office: BoxOffice, mirror: Mirrored) -> None:
    """The key ends with the hold, whoever notices it; the row and `seat.released` follow within two seconds.

    Fails if the key has no end of its own (the reader calls the seat held), or the sweeper is off.
    """
    screening = await office.define(ROW, hold_seconds=2)
    await office.hold(screening, "A1")
    assert 0 < await mirror.ttl_seconds(screening, "A1") <= 2

    async def is_free() -> bool:
        return await mirror.reader.held_until(screening, "A1") is None

    await eventually(is_free, what="the seat is free")
    assert await mirror.holds(screening) == {}

    async def is_told() -> list[str]:
        return await released(office, screening)

    assert await eventually(is_told, what="the release") == ["A1"]
    assert await rows_of(office, screening) == {"A1": ("expired", False)}
    async with office.site.database() as database:
        late = await database.fetchval(
            "select r.decided_at - s.ended_at from seat_holds s join requests r on r.resource_id = s.screening_id "
            "where s.screening_id = $1 and r.events::text like '%seat.released%'",
            screening,
        )
    assert timedelta(0) <= late < timedelta(seconds=2)


async def test_who_knows_of_a_newer_version_is_told_by_postgres(office: BoxOffice, mirror: Mirrored) -> None:
    """As where Redis was not told. Fails on believing a mirror that is older than what is asked for."""
    screening = await office.define(ROW)
    await mirror.becomes_whole(screening)
    async with office.site.database() as database:
        version = await database.fetchval("select version from resources where resource_id = $1", screening)
    await office.hold(screening, "A1")
    await mirror.redis.delete(mirror.key(screening, "A1"))
    assert await mirror.from_mirror(screening, "A1") is None
    assert await mirror.reader.held_until(screening, "A1", version + 3) is not None


async def test_what_is_no_value_of_ours_proves_nothing(office: BoxOffice, mirror: Mirrored) -> None:
    """Nonsense under a key or a marker, or another type: Postgres is asked. Fails on letting a DecodeError through."""
    screening = await office.define(ROW)
    await office.hold(screening, "A1")
    await mirror.becomes_whole(screening)
    marker = RedisKeys(office.site.prefix).marker(f"screening:{screening}")
    for key in (mirror.key(screening, "A1"), marker):
        await mirror.redis.set(key, b"\x00nonsense")
        assert await mirror.reader.held_until(screening, "A1") is not None
        await mirror.redis.delete(key)
        await mirror.redis.hset(key, "of", "another type")
        if key == marker:
            assert await mirror.reader.held_until(screening, "A1") is not None
        await mirror.redis.delete(key)
    assert await mirror.reader.held_until(screening, "A1") is not None


@pytest.mark.chaos
async def test_several_rebuild_at_once(office: BoxOffice, mirror: Mirrored) -> None:
    """Workers that look at the same time do not stand in each other's way; keys that are gone alone come back."""
    screenings = [await office.define(ROW) for _ in range(6)]
    hold_ids = [await office.hold(screening, "A1") for screening in screenings]
    workers = [
        await office.site.start_worker(FIRMHOLD_MIRROR_ANEW_SECONDS="0.1", FIRMHOLD_MIRROR_LOOK_SECONDS="0.1")
        for _ in range(2)
    ]
    await mirror.redis.delete(*(mirror.key(screening, "A1") for screening in screenings))
    for screening, hold_id in zip(screenings, hold_ids, strict=True):
        await mirror.becomes_whole(screening)
        assert await mirror.holds(screening) == {"A1": hold_id}
    await asyncio.gather(*(worker.stop() for worker in workers))
