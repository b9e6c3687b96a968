"""The inbox hands out in the order in which it takes in, all of it, however much of it was read ahead."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import GATEWAY, PARTITIONS, envelope_of, signed_record, structured
from topics.cloudevents import Envelope
from topics.commands import BATCH, Hold
from topics.signatures import KeyRing
from workers.inbox import Inbox, Read, ReadingError, items_of
from workers.reading import Incoming, Item, Ordered, Reader

READER = Reader(KeyRing([GATEWAY]), PARTITIONS)
COMMANDS_MAX = 12


@dataclass(frozen=True, eq=False)
class Delivery:
    """A record that nobody takes away."""

    incoming: Incoming

    def is_ours(self) -> bool:
        """Stay ours."""
        return True

    def acknowledge(self) -> None:
        """Forget it."""


@cache
def record_of(commands: int) -> Incoming:
    """Return a record that carries so many commands."""
    parts = [structured(envelope_of(Hold(resource_id="room-1"), claim=str(number))) for number in range(commands)]
    return signed_record(Envelope(type=BATCH, source="gateway/alice", id="batch", data=msgspec.json.encode(parts)))


SIZE = len(record_of(1).value or b"")


def claims(read: Read) -> list[str]:
    """Return the claims of what was read."""
    return [item.arrived.claim_id for item in read.items if isinstance(item, Ordered)]


steps = st.lists(
    st.one_of(
        st.integers(1, 30).map(lambda commands: ("put", commands)),
        st.integers(0, 6).map(lambda turns: ("read ahead", turns)),
        st.just(("take", 0)),
    ),
    max_size=20,
)


@given(steps)
def test_all_is_handed_out_in_its_order(course: list[tuple[str, int]]) -> None:
    """Whole records, none twice, at most so many commands at once but for a record that carries more.

    Seen to fail if a record that was begun is handed out as it is, and if what was read ahead comes behind what was not.
    """
    asyncio.run(_run(course))


async def _run(course: list[tuple[str, int]]) -> None:
    inbox = Inbox(READER, events_max=100, bytes_max=1_000_000)
    waiting: list[Delivery] = []
    for what, number in [*course, *[("take", 0)] * len(course)]:
        if what == "put":
            waiting.append(Delivery(record_of(number)))
            await inbox.put(waiting[-1])
        elif what == "read ahead":
            coming = [Delivery(record_of(1 + number)), Delivery(record_of(1))]
            waiting += coming
            await read_ahead(inbox, number, *coming)
        else:
            taken = inbox.take(COMMANDS_MAX)
            assert bool(taken) == bool(waiting)
            assert [read.delivery for read in taken] == waiting[: len(taken)]
            del waiting[: len(taken)]
            for read in taken:
                assert claims(read) == [str(place) for place in range(len(claims(read)))]
                assert read.delivery.incoming is record_of(len(claims(read)))
            assert len(items_of(taken[:-1])) < COMMANDS_MAX
        assert len(inbox) == len(waiting)
    assert not waiting


async def read_ahead(inbox: Inbox, turns: int, *coming: Delivery) -> None:
    """Let it read ahead for so many turns of the event loop, and so many more for each that comes."""
    with inbox.reading_ahead(COMMANDS_MAX):
        for delivery in (None, *coming):
            if delivery is not None:
                await inbox.put(delivery)
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_a_record_whose_reading_fails_stops_the_worker() -> None:
    """It must not be taken for one that was read. Seen to fail (its commands are lost) if nobody looks at the reading."""

    class Failing(Reader):
        def read(self, incoming: Incoming) -> Iterator[Item]:
            yield next(super().read(incoming))
            raise OSError("would be tried again")

    inbox = Inbox(Failing(KeyRing([GATEWAY]), PARTITIONS), events_max=100, bytes_max=1_000_000)
    await inbox.put(Delivery(record_of(2)))
    with pytest.raises(ReadingError):
        await read_ahead(inbox, 3)


@pytest.mark.parametrize(("events_max", "bytes_max"), [(2, 1_000_000), (100, 2 * SIZE)])
async def test_who_is_full_takes_nothing_in(events_max: int, bytes_max: int) -> None:
    """In bytes as in number, until something is taken out; what was read ahead counts. Seen to fail if it does not."""
    inbox = Inbox(READER, events_max=events_max, bytes_max=bytes_max)
    for _ in range(2):
        await inbox.put(Delivery(record_of(1)))
    more = [asyncio.create_task(inbox.put(Delivery(record_of(1)))) for _ in range(3)]
    await read_ahead(inbox, 5)
    assert (len(inbox), [one.done() for one in more]) == (2, [False] * 3)
    for left in (2, 1, 0):
        assert len(inbox.take(1)) == 1
        await asyncio.wait(more, timeout=0)
        await asyncio.sleep(0)
        assert (len(inbox), sum(not one.done() for one in more)) == (2, left)
