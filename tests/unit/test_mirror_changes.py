"""What batches say of the mirror: decided by the real core on the twin of the store, told by their events."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from schema.rows import ResourceKey
from tests.twins.memory_store import MemoryPool, MemoryPostgres, store_on
from tests.unit.builders import START, arrived, define
from topics.commands import Cancel, Command, DefineResource, Hold
from topics.identifiers import hold_id_of
from topics.seating import Area, Row
from workers.applying import Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks
from workers.mirror_changes import MIRRORED_KINDS, changes_of
from workers.mirroring import Change

TOKEN = hashlib.sha256(b"the token").hexdigest()
HALL = ResourceKey("screening", "hall")


class Story:
    """Batches, one after the other, each a second later."""

    def __init__(self, expiries_max: int = 1_000) -> None:
        """Begin with nothing."""
        self.now = START
        store = store_on(MemoryPool(MemoryPostgres(self.clock)))
        self.applier = Applier(
            store.transaction,
            request_retention=timedelta(days=14),
            expiries_max=expiries_max,
            reached=Hooks().reached,
        )

    def clock(self) -> datetime:
        """Return Postgres's clock."""
        return self.now

    def batch(self, *commands: Command, kind: str = "screening") -> list[Arrived]:
        """Return commands as they arrive now."""
        self.now += timedelta(seconds=1)
        return [
            arrived(command, claim=f"{self.now}/{number}", appended_at=self.now, kind=kind)
            for number, command in enumerate(commands)
        ]

    async def told(self, batch: Sequence[Arrived]) -> list[Change]:
        """Decide a batch, and return what is told of it."""
        return changes_of(await self.applier.apply(batch))


def hold(*seats: str) -> Hold:
    """Return a hold of seats."""
    return Hold(resource_id="hall", seats=seats, token_hash=TOKEN)


def house(hold_seconds: int = 600) -> DefineResource:
    """Return a house of nine seats and an area."""
    areas = (Area(id="floor", capacity=5),)
    return DefineResource(resource_id="hall", rows=(Row(row="A", seats=9),), areas=areas, hold_seconds=hold_seconds)


async def test_what_is_held_and_free_at_the_end_of_a_batch() -> None:
    """With the versions from the first of its events to the last; areas have no key.

    Fails on what an earlier event of the batch says, and on a key for an area.
    """
    story = Story()
    batch = story.batch(house(), hold("A1", "A2"), Hold(resource_id="hall", areas={"floor": 2}, token_hash=TOKEN))
    (change,) = await story.told(batch)
    assert (change.first, change.last, {*change.held}, {*change.free}) == (1, 5, {"seat:A1", "seat:A2"}, set())
    assert {kept.lives_ms for kept in change.held.values()} == {600_000}
    first = hold_id_of(batch[1].request_id)
    again = story.batch(Cancel(resource_id="hall", hold_id=first, token_hash=TOKEN), hold("A2", "A3"), hold("A4", "A1"))
    (change,) = await story.told(again)
    assert (change.first, {*change.held}, {*change.free}) == (6, {"seat:A1", "seat:A2", "seat:A3", "seat:A4"}, set())
    assert len({kept.value for kept in change.held.values()}) == 2


async def test_what_comes_again_has_no_news_but_the_version() -> None:
    """What it did then may be undone since, and its holds have less time left. Fails on telling stored events as new."""
    story = Story()
    await story.told(story.batch(house()))
    batch = story.batch(hold("A1"))
    (change,) = await story.told(batch)
    assert (change.first, change.last) == (2, 3)
    assert await story.told(batch) == [Change(HALL, 4, 3, {}, [])]
    cancel = Cancel(resource_id="hall", hold_id=hold_id_of(batch[0].request_id), token_hash=TOKEN)
    await story.told(story.batch(cancel))
    (change,) = await story.told(batch)
    assert change == Change(HALL, 6, 5, {}, [])


async def test_steps_are_told_with_what_they_were_taken_for() -> None:
    """More is over than one transaction ends: the seats are free first, and one of them is held anew, without a gap."""
    story = Story(expiries_max=1)
    await story.told(story.batch(house(hold_seconds=60)))
    await story.told(story.batch(*(hold(f"A{number}") for number in range(1, 8))))
    story.now += timedelta(seconds=100)
    (change,) = await story.told(story.batch(hold("A3")))
    assert (change.first, change.last) == (16, 31)
    assert ({*change.held}, {*change.free}) == ({"seat:A3"}, {f"seat:A{number}" for number in (1, 2, 4, 5, 6, 7)})


async def test_kinds_without_names_are_not_mirrored() -> None:
    """Their batches cost nothing."""
    story = Story()
    assert await story.told(story.batch(define(), kind="slot")) == []
    assert MIRRORED_KINDS == ("screening",)
