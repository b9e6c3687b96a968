"""What is kept between batches: whatever is decided on it is what reading would have come to, and most holds need no reading."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from schema.rows import ResourceKey
from schema.snapshots import Snapshot, Wanted
from schema.store import Connection, Transaction
from tests.twins.memory_store import MemoryPool, MemoryPostgres, store_on
from tests.unit.builders import START, arrived
from tests.unit.histories import asks, command_of, definitions, numbers, plain, tokens, verbs
from tests.unit.reference_model import Ask, Asked, Definition, Name, OfHold, Sweep
from topics.commands import Cancel, Command, Confirm, DefineResource, Hold
from topics.seating import Row
from workers.applying import Applied, Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks
from workers.keeping import KEPT_SECONDS, REST_SECONDS, Keeper
from workers.steps import step_of

ROOM = ResourceKey("slot", "room")
ALICE = "gateway/alice"


class Clock:
    """Postgres's clock, and ours, which began elsewhere."""

    def __init__(self) -> None:
        self.milliseconds = 0

    def now(self) -> datetime:
        """Return what Postgres says."""
        return START + timedelta(milliseconds=self.milliseconds)

    def monotonic(self) -> float:
        """Return what we say."""
        return 77 + self.milliseconds / 1000

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.milliseconds += round(seconds * 1000)


class Reading(Transaction):
    """Counts how often it reads."""

    def __init__(self, connection: Connection, readings: list[Wanted], *, is_locking: bool) -> None:
        super().__init__(connection, is_locking=is_locking)
        self._readings = readings

    async def read(self, wanted: Wanted) -> Snapshot:
        """Read."""
        self._readings.append(wanted)
        return await super().read(wanted)


class Site:
    """An applier on a twin of Postgres, and what its last batch read."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.server = MemoryPostgres(self.clock.now)
        self.readings: list[Wanted] = []
        self._pool = MemoryPool(self.server)
        self._claims = count()
        self.applier = self.another(self.clock.monotonic)

    def another(self, monotonic: Callable[[], float]) -> Applier:
        """Return an applier on the same server."""
        return Applier(
            self._transaction,
            request_retention=timedelta(days=14),
            expiries_max=1_000,
            reached=Hooks().reached,
            keeper=Keeper(monotonic),
        )

    @asynccontextmanager
    async def _transaction(self, *, is_locking: bool = True) -> AsyncIterator[Transaction]:
        async with store_on(self._pool).transaction(is_locking=is_locking) as transaction:
            yield Reading(transaction._connection, self.readings, is_locking=is_locking)

    async def apply(self, *asked: Command, by: Applier | None = None, late: float = 0, kind: str = "slot") -> Applied:
        """Decide commands under new claims, which arrived so many seconds ago."""
        appended_at = self.clock.now() - timedelta(seconds=late)
        batch = [arrived(one, claim=f"claim-{next(self._claims)}", appended_at=appended_at, kind=kind) for one in asked]
        return await self.send(batch, by=by)

    async def send(self, batch: Sequence[Arrived], *, by: Applier | None = None) -> Applied:
        """Decide commands."""
        self.readings.clear()
        return await (by or self.applier).apply(batch)

    def pool(self) -> dict[str, Any]:
        """Return the room's units."""
        return self.server.tables.pools["slot", "room", "units"]


async def room(capacity: int = 5, **settings_: Any) -> Site:  # noqa: ANN401 - fields of DefineResource
    """Return a site with a room, of which a hold was placed."""
    site = Site()
    await site.apply(DefineResource(resource_id="room", capacity=capacity, **settings_))
    await site.apply(Hold(resource_id="room"))
    return site


def reasons(applied: Applied) -> list[str | None]:
    """Return why commands were refused."""
    return [outcome.reason for outcome in applied.outcomes]


async def test_holds_of_a_hot_resource_are_decided_without_reading() -> None:
    """Until nothing is left, which needs no reading either."""
    site = await room(capacity=5)
    for _ in range(3):
        site.clock.wait(0.1)
        assert reasons(await site.apply(Hold(resource_id="room"))) == [None]
        assert not site.readings
    assert reasons(await site.apply(Hold(resource_id="room"), Hold(resource_id="room"))) == [None, "sold_out"]
    assert not site.readings
    assert site.pool()["held"] == 5


async def test_the_time_of_a_decision_is_postgres_s_carried_on() -> None:
    """Fails if the clock of the last reading stood still, or if that of this process were taken for Postgres's."""
    site = await room()
    for _ in range(4):
        site.clock.wait(0.2)
        await site.apply(Hold(resource_id="room"))
        assert not site.readings
        assert max(row["decided_at"] for row in site.server.tables.requests.values()) == site.clock.now()


async def test_a_resource_is_read_each_second() -> None:
    """However many holds come meanwhile: what is repaired by hand is seen. Seen to fail with each batch starting it anew."""
    site = await room(capacity=99)
    for _ in range(9):
        site.clock.wait(KEPT_SECONDS / 10)
        await site.apply(Hold(resource_id="room"))
        assert not site.readings
    site.clock.wait(KEPT_SECONDS / 10)
    await site.apply(Hold(resource_id="room"))
    assert len(site.readings) == 1


async def test_what_is_over_before_a_hold_is_read() -> None:
    """A hold that ended gives its unit to the next one. Seen to fail without the first deadline of what was read."""
    site = await room(capacity=1, hold_seconds=2)
    site.clock.wait(1.5)
    assert reasons(await site.apply(Hold(resource_id="room"))) == ["sold_out"]
    site.clock.wait(0.4)
    assert reasons(await site.apply(Hold(resource_id="room"))) == ["sold_out"]
    assert not site.readings
    site.clock.wait(0.2)
    assert reasons(await site.apply(Hold(resource_id="room"), late=0.11)) == ["sold_out"]
    assert not site.readings, "it arrived before"
    assert reasons(await site.apply(Hold(resource_id="room"))) == [None]
    assert site.readings


async def test_what_another_worker_wrote_is_seen() -> None:
    """A zombie's, or a new owner's: the guess is wrong, the write finds it, and the batch reads. Seen to oversell unchecked."""
    site = await room(capacity=2)
    other = site.another(site.clock.monotonic)
    assert reasons(await site.apply(Hold(resource_id="room"), by=other)) == [None]
    assert reasons(await site.apply(Hold(resource_id="room"))) == ["sold_out"]
    assert site.readings
    assert site.pool()["held"] == 2


async def test_after_a_wrong_guess_all_is_read_for_a_moment() -> None:
    """Where another worker decides beside us each guess would be wrong, and cost a write."""
    site = await room(capacity=99)
    other = site.another(site.clock.monotonic)
    await site.apply(Hold(resource_id="room"), by=other)
    for _ in range(2):
        await site.apply(Hold(resource_id="room"))
        assert site.readings
    site.clock.wait(REST_SECONDS)
    await site.apply(Hold(resource_id="room"))
    await site.apply(Hold(resource_id="room"))
    assert not site.readings


async def test_e1_a_command_that_comes_again_has_its_outcome() -> None:
    """At once, and when nobody remembers that it was decided. Seen to fail with claims that are not unique."""
    site = await room(capacity=9)
    asked = arrived(Hold(resource_id="room"), claim="mine", appended_at=site.clock.now())
    (first,) = (await site.send([asked])).outcomes
    for by in (site.applier, site.another(site.clock.monotonic)):
        await site.apply(Hold(resource_id="room"), by=by)
        (again,) = (await site.send([asked], by=by)).outcomes
        assert again.repeated
        assert again.events == first.events
    assert site.pool()["held"] == 4


async def test_a_hold_whose_outcome_was_purged_stands_for_it() -> None:
    """Its row is there, so the guess that it is new is wrong. Seen to hold its units twice without looking for it."""
    site = await room(capacity=9)
    asked = arrived(Hold(resource_id="room"), claim="mine", appended_at=site.clock.now())
    await site.send([asked])
    site.server.tables.requests.pop(asked.request_id)
    site.server.tables.owners.pop(asked.claim)
    other = site.another(site.clock.monotonic)
    await site.apply(Hold(resource_id="room"), by=other)
    await site.send([asked], by=other)
    assert site.readings
    assert site.pool()["held"] == 3


async def test_a_purged_outcome_is_not_refused_either() -> None:
    """The hold that a command placed answers it, though nothing is left by now. Seen to fail if only new holds are looked for."""
    site = await room(capacity=2)
    asked = arrived(Hold(resource_id="room"), claim="mine", appended_at=site.clock.now())
    await site.send([asked])
    site.server.tables.requests.pop(asked.request_id)
    site.server.tables.owners.pop(asked.claim)
    other = site.another(site.clock.monotonic)
    assert reasons(await site.apply(Hold(resource_id="room"), by=other)) == ["sold_out"]
    assert reasons(await site.send([asked], by=other)) == [None]
    assert site.readings


async def test_steps_that_a_dead_worker_took_are_told() -> None:
    """By whoever decides their command, which reads them. Seen to fail (nothing of them is told) without looking for steps."""
    site = await room(capacity=9)
    asked = arrived(Hold(resource_id="room"), claim="mine", appended_at=site.clock.now())
    await site.send([step_of(asked, 1)])
    await site.apply(Hold(resource_id="room"), by=(other := site.another(site.clock.monotonic)))
    await site.send([asked], by=other)
    assert site.readings


@pytest.mark.parametrize("bound", ["opens_at", "closes_at"])
async def test_the_moment_in_which_a_resource_opens_or_closes_is_judged_by_postgres(bound: str) -> None:
    """A time that is carried on may be late, and a command never arrives after its decision.

    Seen to fail (refused as not open yet, granted though closed) without asking.
    """
    site = Site()
    moment = site.clock.now() + timedelta(milliseconds=500)
    lateness = 0.0
    late = site.another(lambda: site.clock.monotonic() - lateness)
    await site.apply(DefineResource(resource_id="room", capacity=9, **{bound: moment}), by=late)  # type: ignore[arg-type]
    lateness = 0.1
    site.clock.wait(0.45)
    before = reasons(await site.apply(Hold(resource_id="room"), by=late))
    assert before == (["not_open_yet"] if bound == "opens_at" else [None])
    assert not site.readings
    site.clock.wait(0.06)
    later = reasons(await site.apply(Hold(resource_id="room"), by=late))
    assert later == ([None] if bound == "opens_at" else ["closed"])


async def test_arrivals_ahead_of_the_clock_let_new_holds_end_at_once() -> None:
    """After a failover. Seen to fail (sold out) without the deadlines of the holds that the batch itself placed."""
    site = await room(capacity=1, hold_seconds=2)
    (hold_id,) = site.server.tables.holds
    await site.apply(Cancel(resource_id="room", hold_id=hold_id))
    site.clock.wait(-10)
    assert reasons(await site.apply(Hold(resource_id="room"))) == [None]
    assert reasons(await site.apply(Hold(resource_id="room"))) == [None]


@pytest.mark.parametrize("behind", [-0.001, 5.001])
async def test_a_clock_that_went_elsewhere_is_not_believed(behind: float) -> None:
    """Postgres checks the time of a decision: it is never ahead of its clock, and at most some seconds behind.

    Ours may stand still while the machine is paused, and its may step.
    """
    site = await room(capacity=9)
    applier = site.another(lambda: 1.0)
    await site.apply(Hold(resource_id="room"), by=applier)
    site.clock.wait(behind)
    await site.apply(Hold(resource_id="room"), by=applier)
    assert site.readings


async def test_holds_of_a_buyer_are_counted_where_they_are_limited() -> None:
    """By reading; where they are not, there is nothing to count."""
    site = await room(capacity=9)
    await site.apply(Hold(resource_id="room", buyer="ann"))
    assert not site.readings
    await site.apply(DefineResource(resource_id="room", capacity=9, holds_per_buyer=1))
    assert reasons(await site.apply(Hold(resource_id="room", buyer="ann"))) == ["holds_per_buyer_exceeded"]


async def test_a_command_that_comes_again_costs_the_next_hold_nothing() -> None:
    """Seen to fail with recent requests forgotten: their write is refused, and a second of reading follows."""
    site = await room(capacity=9)
    asked = arrived(Hold(resource_id="room"), claim="mine", appended_at=site.clock.now())
    await site.send([asked])
    await site.send([asked])
    assert site.readings
    await site.apply(Hold(resource_id="room"))
    assert not site.readings


async def test_seats_are_read_that_are_not_known_yet() -> None:
    """Of a house only what was asked for is kept, or all of it where somebody asked for the best there is."""
    site = Site()

    async def hold(*seats: str, best: int | None = None) -> list[str | None]:
        wanted = Hold(resource_id="hall", seats=seats or None, best_available=best, token_hash="ab" * 32)
        return reasons(await site.apply(wanted, kind="screening"))

    await site.apply(DefineResource(resource_id="hall", rows=(Row(row="A", seats=6),)), kind="screening")
    assert (await hold("A1"), len(site.readings)) == ([None], 0), "who defined it knows all of it"
    site.clock.wait(KEPT_SECONDS)
    assert (await hold("A2"), len(site.readings)) == ([None], 1)
    assert (await hold("A2"), len(site.readings)) == (["sold_out"], 0)
    assert (await hold("A1"), len(site.readings)) == (["sold_out"], 1)
    assert (await hold(best=2), len(site.readings)) == ([None], 1)
    assert (await hold("A6"), len(site.readings)) == ([None], 0)
    assert (await hold(best=2), len(site.readings)) == (["sold_out"], 0), "one is left, of which it was told"
    assert (await hold(best=1), len(site.readings)) == ([None], 0)


async def test_what_is_no_hold_is_read() -> None:
    """And leaves what the next hold is decided on."""
    site = await room(capacity=1)
    (hold_id,) = site.server.tables.holds
    await site.apply(Confirm(resource_id="room", hold_id=hold_id))
    assert site.readings
    assert reasons(await site.apply(Hold(resource_id="room"))) == ["sold_out"]
    assert not site.readings


class Log:
    """Commands as they arrive, drawn one after the other."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[Arrived] = []
        self.names = [Name(ALICE, "never sent", Asked("room"))]

    def send(self, ask: Ask, late: float = 0) -> Arrived:
        """Return a command under a new claim."""
        claim = f"claim-{len(self.sent)}"
        if isinstance(ask, Asked):
            self.names.append(Name(ALICE, claim, ask))
        appended_at = self.clock.now() - timedelta(seconds=late)
        one = arrived(command_of(ask), claim=claim, source=ALICE, appended_at=appended_at, offset=len(self.sent))
        self.sent.append(one)
        return one

    def again(self, place: int) -> Arrived:
        """Return an earlier command in a record of its own."""
        return structs.replace(self.sent[place % len(self.sent)], appended_at=self.clock.now())

    def draw(self, data: st.DataObject) -> Arrived:
        """Draw the next one: mostly holds."""
        match data.draw(st.integers(0, 19)):
            case 0 | 1:
                return self.again(data.draw(st.integers(0, 99)))
            case 2 | 3 | 4:
                name = data.draw(st.sampled_from(self.names))
                verb, number, token = data.draw(st.tuples(verbs, numbers, tokens))
                return self.send(OfHold(verb, name.asked.resource, name, number, token))
            case 5:
                return self.send(Sweep("room"))
            case 6:
                return self.send(data.draw(definitions))
            case _:
                return self.send(data.draw(asks), data.draw(st.sampled_from([0, 0, 0, 0.2, 3])))


def tables_of(site: Site) -> dict[str, Any]:
    """Return all that is stored, but which transaction wrote it."""
    tables = {table.name: getattr(site.server.tables, table.name) for table in fields(site.server.tables)}
    resources = {key: {**row, "written_by": None} for key, row in tables["resources"].items()}
    return {**tables, "resources": resources}


@settings(max_examples=150)
@given(st.data(), plain, plain)
def test_what_is_kept_comes_to_what_reading_comes_to(data: st.DataObject, one: Definition, two: Definition) -> None:
    """The same batches at the same times, with and without: the same outcomes, the same rows, to the last word.

    Seen to fail with deadlines passed over, and with a limit for each buyer.
    """
    asyncio.run(_compare(data, one, two))


async def _compare(data: st.DataObject, one: Definition, two: Definition) -> None:
    clock = Clock()
    keeping, reading = Site(clock), Site(clock)
    never = count(step=100)
    reading.applier = reading.another(lambda: next(never))
    log = Log(clock)
    batch = [log.send(replace(one, resource="room")), log.send(replace(two, resource="hall"))]
    for _ in range(data.draw(st.integers(1, 8))):
        applied = await keeping.send(batch)
        assert applied.outcomes == (await reading.send(batch)).outcomes
        assert tables_of(keeping) == tables_of(reading)
        clock.wait(data.draw(st.sampled_from([0, 0.001, 0.1, 0.1, 0.3, 0.9, 5, 60, 300])))
        batch = [log.draw(data) for _ in range(data.draw(st.integers(1, 4)))]
