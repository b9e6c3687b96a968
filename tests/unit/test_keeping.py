"""What is kept between batches: what needs no reading, and what does."""

from datetime import timedelta

import pytest

from tests.unit.builders import arrived
from tests.unit.keeping_site import Site, reasons, room
from topics.commands import Cancel, Confirm, DefineResource, Hold
from topics.seating import Row
from workers.keeping import KEPT_SECONDS, REST_SECONDS
from workers.steps import step_of


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
    site.purge(asked)
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
    site.purge(asked)
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
