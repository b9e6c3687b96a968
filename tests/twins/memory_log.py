"""A twin of Kafka as our code uses it: topics of partitions, acknowledged sends, one consumer group with its offsets.

Where Kafka may do one thing or another the twin does what is worse for us: a group's new assignment counts at once, so
that for up to a heartbeat two members both believe in a partition. `tests/contract/test_log.py` holds both to one suite.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiokafka.errors import CommitFailedError

from tests.twins.line import DirectLine, Line
from topics.catalogue import LOG_APPEND_TIME, Catalogue
from topics.log_records import Acknowledgement, Record
from topics.partitions import partition_of

CREATE_TIME = 0
_FETCH_SECONDS = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Place = tuple[str, int]


@dataclass(frozen=True)
class LogRecord:
    """A record as it lies on a partition."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int
    timestamp_type: int

    @property
    def appended_at(self) -> datetime:
        """Return the time of the record."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)


@dataclass
class MemoryLog:
    """The broker: partitions by topic, and one consumer group."""

    catalogue: Catalogue
    clock: Callable[[], datetime]
    session_seconds: float = 10.0
    on_append: Callable[[LogRecord], None] = lambda _: None
    partitions: dict[Place, list[LogRecord]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Create the topics of the catalogue."""
        self._by_append_time = {
            topic.name for topic in self.catalogue.topics() if topic.timestamp_type == "LogAppendTime"
        }
        for topic in self.catalogue.topics():
            self.partitions |= {(topic.name, number): [] for number in range(topic.partitions)}
        self.grown = asyncio.Event()
        self.group = MemoryGroup(self.session_seconds)

    def append(self, record: Record, partition: int) -> Acknowledgement:
        """Put a record at the end of a partition."""
        log = self.partitions[record.topic, partition]
        timestamp_ms = (self.clock() - _EPOCH) // timedelta(milliseconds=1)
        kind = LOG_APPEND_TIME if record.topic in self._by_append_time else CREATE_TIME
        log.append(
            LogRecord(
                topic=record.topic,
                partition=partition,
                offset=len(log),
                key=record.key,
                value=record.value,
                headers=tuple(record.headers),
                timestamp_ms=timestamp_ms,
                timestamp_type=kind,
            )
        )
        self.on_append(log[-1])
        self.grown.set()
        self.grown = asyncio.Event()
        return Acknowledgement(partition, log[-1].offset, timestamp_ms)

    def records(self, topic: str) -> list[LogRecord]:
        """Return all records of a topic, partition by partition."""
        return [record for (name, _), log in sorted(self.partitions.items()) if name == topic for record in log]

    def end_offset(self, place: Place) -> int:
        """Return where the next record of a partition will lie."""
        return len(self.partitions[place])


class MemoryProducer:
    """A producer: `send_all` is a `topics.producer.SendAll`.

    The records of a partition go together, in their order. What is not acknowledged is sent again with all that comes
    after it, as the resilient producer does: so records may be written twice, and none is lost.
    """

    def __init__(self, log: MemoryLog, line: Line | None = None, pause_seconds: float = 0.2) -> None:
        """Reach the broker over a line."""
        self._log = log
        self._line = line or DirectLine()
        self._pause_seconds = pause_seconds

    async def send_all(self, records: Sequence[Record]) -> Sequence[Acknowledgement]:
        """Return when every record is acknowledged."""
        acknowledged: list[Acknowledgement] = []
        while len(acknowledged) < len(records):
            acknowledged += await self._send_prefix(records[len(acknowledged) :])
            if len(acknowledged) < len(records):
                await asyncio.sleep(self._pause_seconds)
        return acknowledged

    async def _send_prefix(self, records: Sequence[Record]) -> list[Acknowledgement]:
        """Send all; return the acknowledgements of those from the front that have theirs."""
        places: dict[Place, list[int]] = {}
        for number, record in enumerate(records):
            places.setdefault((record.topic, self._partition(record)), []).append(number)
        found: dict[int, Acknowledgement] = {}

        async def send(place: Place, numbers: list[int]) -> None:
            async def work() -> list[Acknowledgement]:
                return [self._log.append(records[number], place[1]) for number in numbers]

            found.update(zip(numbers, await self._line.ask(work), strict=True))

        await asyncio.gather(*(send(place, numbers) for place, numbers in places.items()), return_exceptions=True)
        acknowledged: list[Acknowledgement] = []
        while len(acknowledged) in found:
            acknowledged.append(found[len(acknowledged)])
        return acknowledged

    def _partition(self, record: Record) -> int:
        if record.partition is not None:
            return record.partition
        return 0 if record.key is None else partition_of(record.key, self._log.catalogue.partitions)


@dataclass(frozen=True)
class Assignment:
    """What a member has in a generation of the group."""

    generation: int = 0
    places: frozenset[Place] = frozenset()


class MemoryGroup:
    """The coordinator of a group: members, who has which partition, committed offsets."""

    def __init__(self, session_seconds: float) -> None:
        """Begin without members."""
        self._session_seconds = session_seconds
        self._places: list[Place] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._assigned: dict[str, Assignment] = {}
        self.committed: dict[Place, int] = {}
        self.generation = 0

    def join(self, member: str, places: Sequence[Place]) -> Assignment:
        """Become a member; the partitions are dealt out anew."""
        self._places = sorted(set(places))
        self._keep(member)
        self._rebalance()
        return self._assigned[member]

    def leave(self, member: str) -> None:
        """Go, or be sent away for silence: the others take over."""
        timer = self._timers.pop(member, None)
        if timer is not None:
            timer.cancel()
            self._rebalance()

    def heartbeat(self, member: str) -> Assignment | None:
        """Show a sign of life and learn what is assigned now; None if the group thinks you dead: join again."""
        if member not in self._timers:
            return None
        self._keep(member)
        return self._assigned[member]

    def commit(self, member: str, generation: int, offsets: dict[Place, int]) -> None:
        """Set committed offsets; raises if the member is none of this generation."""
        if member not in self._timers or generation != self.generation:
            raise CommitFailedError("the group has rebalanced and assigned the partitions to another member")
        self.committed |= offsets

    def owners(self) -> dict[Place, str]:
        """Return who has which partition."""
        return {place: member for member, mine in self._assigned.items() for place in mine.places}

    def _keep(self, member: str) -> None:
        if member in self._timers:
            self._timers[member].cancel()
        loop = asyncio.get_running_loop()
        self._timers[member] = loop.call_later(self._session_seconds, self.leave, member)

    def _rebalance(self) -> None:
        self.generation += 1
        members = sorted(self._timers)
        shares: defaultdict[str, set[Place]] = defaultdict(set)
        for number, place in enumerate(self._places if members else ()):
            # Another deal each time: a partition that always went back to who had it would hide what a move breaks.
            shares[members[(number + self.generation) % len(members)]].add(place)
        self._assigned = {member: Assignment(self.generation, frozenset(shares[member])) for member in members}


class MemoryConsumer:
    """A member of the group, on the client's side; it believes what it was last told."""

    def __init__(self, log: MemoryLog, name: str, topics: Sequence[str], line: Line | None = None) -> None:
        """Be ready to join under a name that nobody else has."""
        self._log = log
        self._name = name
        self._line = line or DirectLine()
        self._places = [place for place in log.partitions if place[0] in topics]
        self._positions: dict[Place, int] = {}
        self.assignment = Assignment()

    async def join(self) -> None:
        """Join the group and start each partition at its committed offset."""

        async def work() -> tuple[Assignment, dict[Place, int]]:
            return self._log.group.join(self._name, self._places), dict(self._log.group.committed)

        self._take_over(*await self._line.ask(work))

    def _take_over(self, assignment: Assignment, committed: dict[Place, int]) -> None:
        self.assignment = assignment
        self._positions = {place: committed.get(place, 0) for place in sorted(assignment.places)}

    async def heartbeat(self) -> None:
        """Tell the group of us, and learn of a new assignment."""

        async def work() -> tuple[Assignment | None, dict[Place, int]]:
            return self._log.group.heartbeat(self._name), dict(self._log.group.committed)

        assignment, committed = await self._line.ask(work)
        if assignment is None:
            self._take_over(Assignment(), {})
            await self.join()
        elif assignment.generation != self.assignment.generation:
            self._take_over(assignment, committed)

    async def fetch(self, records_max: int = 100) -> list[LogRecord]:
        """Return what comes next, of each partition in its order; nothing, if nothing comes within half a second."""
        generation = self.assignment.generation

        async def work() -> list[LogRecord]:
            grown = self._log.grown
            found = self._waiting(records_max)
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(grown.wait(), _FETCH_SECONDS)
                found = self._waiting(records_max)
            return found

        found = await self._line.ask(work)
        if generation != self.assignment.generation:
            return []
        for record in found:
            self._positions[record.topic, record.partition] = record.offset + 1
        return found

    def _waiting(self, records_max: int) -> list[LogRecord]:
        return [
            record
            for place, position in self._positions.items()
            for record in self._log.partitions[place][position : position + records_max]
        ]

    async def commit(self, offsets: dict[Place, int]) -> None:
        """Commit as a member of the generation that we know; raises CommitFailedError if it is over."""
        generation = self.assignment.generation

        async def work() -> None:
            self._log.group.commit(self._name, generation, offsets)

        await self._line.ask(work)

    async def leave(self) -> None:
        """Leave the group."""

        async def work() -> None:
            self._log.group.leave(self._name)

        await self._line.ask(work)
