"""What strange events do to a gateway that follows the log: they cost what they are about, never the reader."""

from collections.abc import Iterable

import pytest
from aiokafka import ConsumerRecord

from gateway.broadcast_channel import Channel, Snapshot, Told
from gateway.event_reader import EventReader, Place, hand_out
from gateway.waiters import Waiters
from topics import events
from topics.catalogue import Catalogue

TOPIC = Catalogue().events("screening")


def record(offset: int, **headers: bytes) -> ConsumerRecord:
    """Return an event as it lies in the log."""
    return ConsumerRecord(TOPIC, 0, offset, 0, 1, b"hall", b"{}", None, 0, 0, tuple(headers.items()))


class Fragile:
    """A follower that fails over one record."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seen: list[int] = []
        self.losses = 0

    def see(self, records: Iterable[ConsumerRecord]) -> None:
        """Fail over the second."""
        for one in records:
            if one.offset == 1:
                message = "a bug"
                raise KeyError(message)
            self.seen.append(one.offset)

    def lost(self) -> None:
        """Count."""
        self.losses += 1


def test_a_follower_that_fails_costs_itself() -> None:
    """It is told that it lost some, and goes on with what comes next. Seen to fail without the guard of `hand_out`."""
    follower = Fragile()
    hand_out(follower, [record(0), record(1), record(2)])
    assert (follower.seen, follower.losses) == ([0], 1)
    hand_out(follower, [record(3)])
    assert (follower.seen, follower.losses) == ([0, 3], 1)


@pytest.mark.parametrize(
    "data",
    [b'{"seat":"A\xff"}', b'{"row":' + b"[" * 100_000, b'{"seat":1}', b"", b"\xff"],
    ids=["text", "deep", "type", "none", "bytes"],
)
def test_a_seat_that_cannot_be_read_makes_a_channel_begin_anew(data: bytes) -> None:
    """It may be one that left the plan. Seen to fail (UnicodeDecodeError, RecursionError) with the errors of msgspec alone."""
    channel = Channel(10)
    channel.reading_ended(channel.reading_begins(), Snapshot("0" * 12, 1, b"", frozenset(("Z1",))))
    assert channel.is_following
    channel.see(Told(2, events.SEAT_RELEASED, data))
    assert not channel.is_following


def test_a_place_that_is_none_is_passed_over() -> None:
    """The next event is read. Seen to fail (ValueError) on more digits than Python makes a number of."""
    decided: list[tuple[Place, int]] = []
    catalogue = Catalogue()
    reader = EventReader(
        "", catalogue, Waiters(1), lambda place, offset: decided.append((place, offset)), {}, heard=lambda: None
    )
    strange = (b"0/" + b"9" * 5_000, b"9" * 5_000 + b"/0", b"/", b"0/x", b"", b"\xff/\xff", b"0/-1")
    reader._answer([*(record(offset, ce_commandrecord=place) for offset, place in enumerate(strange)), record(9)])
    reader._answer([record(10, ce_commandrecord=b"3/41")])
    assert decided == [((catalogue.commands("screening"), 3), 41)]
