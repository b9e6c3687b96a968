"""What one screening's listeners are told, and what each of them needs next. Pure: it knows no clock, no server and no HTTP.

Every event of a resource has a version of its own, without gaps, but events come with duplicates, and a reader may have missed
some. A channel follows them from the version of a snapshot on. Whatever breaks the row, a version that is missing, a new plan,
another database, makes it forget all: it follows again from the next snapshot that was begun to be read after that, and each
listener gets this snapshot. So a listener sees a snapshot, then each later event of a seat once and in order, or another
snapshot, which holds all that he did not see.

A snapshot is what events have told up to its version, not what the clock says: a hold that is over is there until its
`seat.released` is told. Were its seats shown free, an extension that was in time and is decided later would be told of
nowhere, as it moves no seat, and they would stay free for whoever got that snapshot.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

from schema.reads import ToldReading
from topics import events
from topics.commands import UNREADABLE
from topics.seating import SEAT_PATTERN, Plan, house_of

_SEAT = re.compile(SEAT_PATTERN)
_EVENT_ID = re.compile(r"([0-9a-f]{12})-(0|[1-9][0-9]{0,17})")
OF_SEATS = frozenset((events.SEAT_HELD, events.SEAT_TAKEN, events.SEAT_RELEASED))
_PIECE_BYTES = 65_536  # what a listener is given at once, of events: a slow one has no more than this waiting for him


class Cause(Enum):
    """Why a listener gets a snapshot."""

    NEW = "new"  # he says of no event that he has seen it
    UNKNOWN = "unknown"  # the event that he has seen last is of another epoch, or no id of ours
    BEHIND = "behind"  # events that he has not seen are not kept any more
    AHEAD = "ahead"  # the event that he has seen last did not come to this gateway in time
    GAP = "gap"  # an event did not come
    PLAN = "plan"  # the house was defined anew, or a seat that is not in the plan any more was given back
    READER = "reader"  # events may have been missed: the reader began at the end of the log
    DATABASE = "database"  # it is another one, or was set back


class EventId(NamedTuple):
    """What a listener names as the last event that he has seen: `{epoch}-{version}`."""

    epoch: str
    version: int


def event_id_of(text: str) -> EventId | None:
    """Read an id; None for what is none of ours."""
    found = _EVENT_ID.fullmatch(text)
    return None if found is None else EventId(found[1], int(found[2]))


class Told(NamedTuple):
    """An event as it came: its version, its type, its data as JSON on one line."""

    version: int
    type: str
    data: bytes


class Piece(NamedTuple):
    """Bytes to send to a listener; `cause` says why, if it is a snapshot."""

    content: bytes
    cause: Cause | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The seats as of a version, as it is sent. `leaving` are those that are not free when they are given back."""

    epoch: str
    version: int
    content: bytes
    leaving: frozenset[str]


@dataclass(slots=True)
class Cursor:
    """How far a listener is: all up to `version` was sent to him, if the channel has not forgotten (`era`) since."""

    cause: Cause
    era: int = -1
    version: int = -1


class Mark(NamedTuple):
    """Where a channel was when a reading began."""

    era: int
    last: int


class _Block(NamedTuple):
    version: int
    content: bytes


class _Seat(msgspec.Struct):
    seat: str = ""


_seat_decoder = msgspec.json.Decoder(_Seat)


class Channel:
    """Follows the events of one screening; keeps the last ones for those who come again, and the newest snapshot."""

    def __init__(self, events_max: int) -> None:
        """Keep at most so many events."""
        self._events_max = events_max
        self._era = 0
        self._cause = Cause.NEW
        self._epoch = ""
        self._last: int | None = None  # all up to it has been seen; None: the next snapshot says
        self._floor = 0  # all above it is kept
        self._blocks: list[_Block] = []
        self._early: dict[int, Told] = {}  # seen since the reading began that is to say where to begin
        self._leaving: frozenset[str] = frozenset()
        self._expected = 0  # Postgres has it; as long as it is not seen, its event is still to come
        self._snapshot: Snapshot | None = None
        self._joined: tuple[int, bytes, int] | None = None  # from this version: these bytes, to that version

    @property
    def is_following(self) -> bool:
        """Tell whether it is known where the channel is."""
        return self._last is not None

    def see(self, told: Told) -> None:
        """Take an event as it comes: a duplicate is dropped, a gap makes the channel forget."""
        if self._last is None:
            if len(self._early) >= self._events_max:
                self._early.clear()  # a gap, then: another snapshot is read
            self._early[told.version] = told
        elif told.version > self._last + 1:
            self.forget(Cause.GAP)
        elif told.version == self._last + 1:
            self._last = told.version
            if told.type == events.RESOURCE_DEFINED or (self._leaving and self._is_leaving(told)):
                self.forget(Cause.PLAN)
            elif told.type in OF_SEATS:
                self._keep(told)

    def forget(self, cause: Cause) -> None:
        """Begin anew with the next snapshot whose reading begins after this."""
        self._era += 1
        self._cause = cause
        self._last = None
        self._blocks = []
        self._early = {}
        self._snapshot = None
        self._joined = None

    @property
    def mark(self) -> Mark:
        """Return where the channel is, for what is asked of Postgres now."""
        return Mark(self._era, self._last or 0)

    def reading_begins(self) -> Mark:
        """Return where the channel is, for `reading_ended`; what came until now is in that snapshot."""
        self._early = {}
        return self.mark

    def reading_ended(self, mark: Mark, snapshot: Snapshot) -> None:
        """Take a snapshot. Events are sent when their versions are committed, so one that was seen before is never below.

        One that was begun before the channel forgot proves nothing.
        """
        if mark.era != self._era:
            return
        if self._last is None:
            self._begin(snapshot)
        elif self._is_of_the_past(mark, snapshot.epoch, snapshot.version):
            self.forget(Cause.DATABASE)
        else:
            self._snapshot = snapshot

    def checked(self, mark: Mark, epoch: str, version: int) -> None:
        """Compare with what Postgres says now and then: an event that has not come by the next time is lost."""
        if mark.era != self._era or self._last is None:
            return
        if self._is_of_the_past(mark, epoch, version):
            self.forget(Cause.DATABASE)
        elif self._last < self._expected:
            self.forget(Cause.GAP)
        else:
            self._expected = version

    def drop_snapshot(self) -> None:
        """Let the next listener wait for a newer snapshot."""
        self._snapshot = None

    def resume(self, last_event_id: str | None) -> Cursor:
        """Return a cursor behind the event that a listener names as the last one that he has seen, if it is kept."""
        if not last_event_id:
            return Cursor(Cause.NEW)
        seen = event_id_of(last_event_id)
        if seen is None or seen.epoch != self._epoch:
            return Cursor(Cause.UNKNOWN)
        return Cursor(Cause.BEHIND) if self._last is None else Cursor(Cause.BEHIND, self._era, seen.version)

    def is_ahead(self, cursor: Cursor) -> bool:
        """Tell whether a listener has seen what this channel has not."""
        return cursor.era == self._era and self._last is not None and cursor.version > self._last

    def wants_snapshot(self, cursor: Cursor) -> bool:
        """Tell whether there is nothing to tell this listener before a snapshot is read."""
        return self._last is None or (self._is_off(cursor) and self._usable() is None)

    def take(self, cursor: Cursor) -> Piece | None:
        """Return what is to be sent to a listener next, if there is anything yet, and count it as sent."""
        if self._last is None:
            return None
        if self._is_off(cursor):
            return self._take_snapshot(cursor)
        if cursor.version >= self._last:
            return None
        content, version = self._behind(cursor.version)
        cursor.version = version
        return Piece(content, None) if content else None

    def _begin(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._epoch = snapshot.epoch
        self._last = self._floor = self._expected = snapshot.version
        self._leaving = snapshot.leaving
        early, self._early = self._early, {}
        for version in sorted(early):
            self.see(early[version])

    def _is_of_the_past(self, mark: Mark, epoch: str, version: int) -> bool:
        return epoch != self._epoch or version < mark.last

    def _is_off(self, cursor: Cursor) -> bool:
        return cursor.era != self._era or cursor.version < self._floor

    def _usable(self) -> Snapshot | None:
        snapshot = self._snapshot
        return snapshot if snapshot is not None and snapshot.version >= self._floor else None

    def _take_snapshot(self, cursor: Cursor) -> Piece | None:
        snapshot = self._usable()
        if snapshot is None:
            return None
        cause = self._cause if cursor.era not in (-1, self._era) else cursor.cause
        cursor.cause, cursor.era, cursor.version = Cause.BEHIND, self._era, snapshot.version
        return Piece(snapshot.content, cause)

    def _behind(self, version: int) -> tuple[bytes, int]:
        """Return the next events behind a version, not too much at once, and up to which version that is."""
        if self._joined is None or self._joined[0] != version:
            self._joined = (version, *self._join(version))
        return self._joined[1:]

    def _join(self, version: int) -> tuple[bytes, int]:
        first = end = bisect_right(self._blocks, version, key=lambda block: block.version)
        size = 0
        while end < len(self._blocks) and (size == 0 or size + len(self._blocks[end].content) <= _PIECE_BYTES):
            size += len(self._blocks[end].content)
            end += 1
        up_to = self._last or 0 if end == len(self._blocks) else self._blocks[end - 1].version
        return b"".join(block.content for block in self._blocks[first:end]), up_to

    def _keep(self, told: Told) -> None:
        block = block_of(EventId(self._epoch, told.version), told.type, told.data)
        self._blocks.append(_Block(told.version, block))
        self._joined = None
        if len(self._blocks) >= 2 * self._events_max:
            self._floor = self._blocks[-self._events_max - 1].version
            del self._blocks[: -self._events_max]

    def _is_leaving(self, told: Told) -> bool:
        if told.type != events.SEAT_RELEASED:
            return False
        try:
            return _seat_decoder.decode(told.data).seat in self._leaving
        except UNREADABLE:
            return True


def block_of(event_id: EventId, event: str, data: bytes) -> bytes:
    """Return an event as it is sent."""
    return b"event: %s\nid: %s-%d\ndata: %s\n\n" % (event.encode(), event_id.epoch.encode(), event_id.version, data)


def snapshot_of(screening_id: str, reading: ToldReading) -> Snapshot:
    """Return a snapshot: the ids of all seats by their status, in the plan's order, those that left it last."""
    plan = reading.settings.plan if isinstance(reading.settings.plan, Plan) else Plan()
    house = house_of(plan)
    out = reading.held | reading.taken
    leaving = frozenset(
        seat for seat in out if _SEAT.match(seat) and (seat not in house.seats or house.seats[seat].is_blocked)
    )
    by_status: Mapping[str, list[str]] = {"free": [], "held": [], "taken": [], "blocked": []}
    for seat_id in (*house.seats, *sorted(leaving - house.seats.keys())):
        if seat_id in reading.taken:
            status = "taken"
        elif seat_id in reading.held:
            status = "held"
        else:
            status = "blocked" if house.seats[seat_id].is_blocked else "free"
        by_status[status].append(seat_id)
    data = {"screening_id": screening_id, "version": reading.version, "seats": by_status}
    content = block_of(EventId(reading.epoch, reading.version), "snapshot", msgspec.json.encode(data))
    return Snapshot(reading.epoch, reading.version, content, leaving)
