"""A screening whose every version is known, and listeners who are told of it: what they know is compared with what was so."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from gateway.broadcast_channel import Cause, Channel, Cursor, EventId, Mark, Piece, Told, snapshot_of
from schema.reads import ToldReading
from tests.listening import STATUS_OF
from topics import events
from topics.resources import Settings
from topics.seating import Plan, Row

SCREENING = "hall"
SEATS_MAX = 4
States = dict[str, str]


@dataclass
class House:
    """The screening as Postgres has it, and all events of it in the order in which they lie in the log."""

    epoch: int = 1
    version: int = 1
    seats: int = SEATS_MAX
    blocked: frozenset[int] = frozenset()
    out: States = field(default_factory=dict)
    log: list[Told] = field(default_factory=list)
    states: dict[EventId, States] = field(default_factory=dict)
    of_seats: set[EventId] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note how it begins."""
        self._note()

    @property
    def now(self) -> EventId:
        """Return the epoch and version that are."""
        return EventId(f"{self.epoch:012x}", self.version)

    def reading(self) -> ToldReading:
        """Return what one statement reads now."""
        row = Row(row="A", seats=self.seats, blocked=tuple(sorted(self.blocked)))
        held, taken = (
            frozenset(seat for seat, status in self.out.items() if status == wanted) for wanted in ("held", "taken")
        )
        settings = Settings(hold_seconds=1, max_hold_seconds=1, plan=Plan(rows=(row,)))
        return ToldReading(self.now.epoch, self.version, settings, held, taken)

    def move(self, seats: Iterable[int], event: str) -> None:
        """Let a hold move those seats that may be moved so, one version each, and one for itself."""
        for number in seats:
            seat, status = f"A{number}", self.out.get(f"A{number}")
            is_free = status is None and number <= self.seats and number not in self.blocked
            if (event, status) in {
                (events.SEAT_TAKEN, "held"),
                (events.SEAT_RELEASED, "held"),
                (events.SEAT_RELEASED, "taken"),
            }:
                may = True
            else:
                may = event == events.SEAT_HELD and is_free
            if may:
                self.out[seat] = STATUS_OF[event]
                if event == events.SEAT_RELEASED:
                    del self.out[seat]
                self._tell(event, seat)
        self._tell(events.HOLD_CHANGED)

    def define(self, seats: int, blocked: frozenset[int]) -> None:
        """Define it anew."""
        self.seats, self.blocked = seats, frozenset(number for number in blocked if number <= seats)
        self._tell(events.RESOURCE_DEFINED)

    def set_back(self, versions: int) -> None:
        """Restore how it was so many versions ago, or when the epoch began: it is another epoch then."""
        known = [event_id.version for event_id in self.states if event_id.epoch == self.now.epoch]
        version = max(min(known), self.version - versions)
        self.out = {
            seat: it for seat, it in self.states[EventId(self.now.epoch, version)].items() if it in {"held", "taken"}
        }
        self.epoch, self.version = self.epoch + 1, version
        self.log.clear()
        self._note()

    def _tell(self, event: str, seat: str = "") -> None:
        self.version += 1
        self.log.append(Told(self.version, event, msgspec.json.encode({"version": self.version, "seat": seat})))
        if seat:
            self.of_seats.add(self.now)
        self._note()

    def _note(self) -> None:
        plan = {f"A{n}": "blocked" if n in self.blocked else "free" for n in range(1, self.seats + 1)}
        self.states[self.now] = plan | self.out


@dataclass
class Gateway:
    """A channel, how far its reader is in the log, and the reading of a snapshot that is on its way."""

    house: House
    channel: Channel
    position: int = 0
    reading: tuple[Mark, ToldReading] | None = None

    def deliver(self, count: int) -> None:
        """Let the reader see the next events."""
        for told in self.house.log[self.position : self.position + count]:
            self.channel.see(told)
        self.position = min(self.position + count, len(self.house.log))

    def begin_reading(self) -> None:
        """Begin to read a snapshot, unless one is being read."""
        if self.reading is None:
            self.reading = (self.channel.reading_begins(), self.house.reading())

    def end_reading(self) -> None:
        """Let the channel have the snapshot that was being read."""
        if self.reading is not None:
            mark, reading = self.reading
            self.reading = None
            self.channel.reading_ended(mark, snapshot_of(SCREENING, reading))

    def check(self) -> None:
        """Compare with Postgres."""
        self.channel.checked(self.channel.mark, *self.house.now)

    def deliver_again(self, count: int) -> None:
        """Let the reader see again what it has seen."""
        self.position = max(0, self.position - count)
        self.deliver(count)

    def deliver_in_another_order(self) -> None:
        """Let two events change places in the log, as workers on two partitions may do."""
        for told in reversed(self.house.log[self.position : self.position + 2]):
            self.channel.see(told)
        self.lose(2)

    def lose(self, count: int) -> None:
        """Let events be lost, for this gateway."""
        self.position = min(self.position + count, len(self.house.log))

    def begin_at_the_end(self) -> None:
        """Let the reader begin at the end of the log."""
        self.position = len(self.house.log)
        self.channel.forget(Cause.READER)

    def settle(self) -> None:
        """Let everything come that is on its way."""
        self.end_reading()
        self.deliver(len(self.house.log))


@dataclass
class Hearer:
    """A listener: what he knows, which has to be what was so at his version, and was told him without a gap."""

    gateway: Gateway
    cursor: Cursor
    seen: EventId | None = None
    states: States | None = None
    snapshots: list[Cause] = field(default_factory=list)

    def come_again(self, gateway: Gateway) -> None:
        """Go to a gateway with the last id that he has."""
        self.gateway = gateway
        self.cursor = gateway.channel.resume(None if self.seen is None else f"{self.seen.epoch}-{self.seen.version}")

    def serve(self) -> None:
        """Take all there is, with a snapshot where one is wanted."""
        channel = self.gateway.channel
        for _ in range(100):
            if not self.take():
                if not channel.wants_snapshot(self.cursor):
                    return
                self.gateway.begin_reading()
                self.gateway.end_reading()
        raise AssertionError("he is told again and again")

    def take(self) -> bool:
        """Take one piece, if there is one, and check each event of it."""
        piece = self.gateway.channel.take(self.cursor)
        if piece is not None:
            self._hear(piece)
        return piece is not None

    def _hear(self, piece: Piece) -> None:
        house = self.gateway.house
        if piece.cause is not None:
            self.snapshots.append(piece.cause)
        for block in piece.content.decode().split("\n\n")[:-1]:
            name, text_id, text = (line.partition(": ")[2] for line in block.split("\n"))
            epoch, _, version = text_id.partition("-")
            event_id, data = EventId(epoch, int(version)), msgspec.json.decode(text)
            assert data["version"] == event_id.version
            if name == "snapshot":
                assert piece.cause is not None
                self.states = {seat: status for status, seats in data["seats"].items() for seat in seats}
            elif self.states is not None:
                assert self.seen is not None
                between = range(self.seen.version + 1, event_id.version)
                assert epoch == self.seen.epoch
                assert event_id.version > self.seen.version
                assert not any(EventId(epoch, missed) in house.of_seats for missed in between)
                self.states[data["seat"]] = STATUS_OF[name]
            self.seen = event_id
            assert self.states is None or self.states == house.states[event_id], f"not as it was at {text_id}"
