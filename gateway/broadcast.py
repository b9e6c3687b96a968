"""Who listens to which screening at this gateway: hands them what its events tell, and reads the snapshots that they need.

What a listener is told is decided in `gateway.broadcast_channel`. Here is when: one reading for all who wait for a snapshot, a
pause between two, and a pause between two rounds of sending, so that a rush is sent in few large pieces.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import msgspec
import structlog
from aiokafka import ConsumerRecord

from gateway.broadcast_channel import OF_SEATS, Cause, Channel, Cursor, Piece, Told, snapshot_of
from gateway.patience import within
from gateway.problems import ProblemError
from schema.reads import ToldReading
from schema.rows import ResourceKey
from topics.commands import UNREADABLE
from topics.events import CHANGE_NOTHING

_log = structlog.get_logger(__name__)
_AGAIN_SECONDS = 1.0
_VERSION_DIGITS_MAX = 20
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")  # in JSON they are only between values


@dataclass(frozen=True, slots=True)
class BroadcastBounds:
    """The named bounds of broadcasts."""

    listeners_max: int
    idle_max: int
    events_max: int
    snapshot_seconds: float
    pause_seconds: float
    ahead_seconds: float
    check_seconds: float
    read_seconds: float


class Readings(Protocol):
    """What is read of Postgres: `schema.reads.Reads`."""

    async def as_told(self, key: ResourceKey) -> ToldReading | None:
        """Return what events have told of a resource."""

    async def versions(self, kind: str, resource_ids: Collection[str]) -> dict[str, tuple[str, int]]:
        """Return epoch and version of each of these resources."""


class Listener:
    """Somebody who is told of a screening; `news` is set when there may be something for him, or when all is over."""

    def __init__(self, audience: "Audience", number: int) -> None:
        """Listen; `number` tells listeners apart."""
        self.number = number
        self.news = asyncio.Event()
        self.cursor = Cursor(Cause.NEW)
        self._audience = audience

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will come."""
        return self._audience.is_over

    async def settle(self, last_event_id: str | None) -> bool:
        """Return when there is something to tell him or all was told; False if there is no such screening, or all is over."""
        audience = self._audience
        while not audience.channel.is_following and not audience.is_over:
            await self._snapshot()
        self.cursor = audience.channel.resume(last_event_id)
        while audience.channel.wants_snapshot(self.cursor) and not audience.is_over:
            await self._snapshot()
        if audience.channel.is_ahead(self.cursor):
            asyncio.get_running_loop().call_later(audience.bounds.ahead_seconds, self._lose_patience)
        return not audience.is_over

    def take(self) -> Piece | None:
        """Return what he is to be sent now; None: wait for `news`."""
        piece = self._audience.channel.take(self.cursor)
        if piece is None and self._audience.channel.wants_snapshot(self.cursor):
            self._audience.read()
        return piece

    async def _snapshot(self) -> None:
        self.news.clear()
        self._audience.read()
        await self.news.wait()

    def _lose_patience(self) -> None:
        if self._audience.channel.is_ahead(self.cursor):
            self.cursor = Cursor(Cause.AHEAD)
            self.news.set()


class Audience:
    """All who listen to one screening, or did of late."""

    def __init__(self, key: ResourceKey, reads: Readings, bounds: BroadcastBounds) -> None:
        """Begin with nobody."""
        self.bounds = bounds
        self.channel = Channel(bounds.events_max)
        self.listeners: set[Listener] = set()
        self.is_over = False
        self._key = key
        self._reads = reads
        self._reading: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._woken_at = 0.0
        self._waking: asyncio.TimerHandle | None = None

    @property
    def is_served(self) -> bool:
        """Tell whether somebody listens, and knows where he is."""
        return bool(self.listeners) and self.channel.is_following

    def read(self) -> None:
        """Have a snapshot read, with the next reading that begins."""
        self._is_wanted = True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_while_wanted())

    def tell(self) -> None:
        """Let all listeners look what there is for them: now, or a pause after the last time."""
        loop = asyncio.get_running_loop()
        if self._waking is None:
            due = self._woken_at + self.bounds.pause_seconds
            if due <= loop.time():
                self._wake()
            else:
                self._waking = loop.call_at(due, self._wake)

    def end(self) -> None:
        """End all streams."""
        self.is_over = True
        self._wake()

    async def close(self) -> None:
        """End what runs."""
        if self._waking is not None:
            self._waking.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _wake(self) -> None:
        self._waking = None
        self._woken_at = asyncio.get_running_loop().time()
        for listener in self.listeners:
            listener.news.set()

    async def _read_while_wanted(self) -> None:
        while self._is_wanted and self.listeners and not self.is_over:
            self._is_wanted = False
            if await self._read():
                await asyncio.sleep(self.bounds.snapshot_seconds)
                self.channel.drop_snapshot()
            else:
                self._is_wanted = True
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(self) -> bool:
        mark = self.channel.reading_begins()
        try:
            reading = await within(self.bounds.read_seconds, self._reads.as_told(self._key), "the seats")
        except ProblemError:
            return False
        except Exception:  # noqa: BLE001 - listeners wait for the next one
            _log.exception("a snapshot of seats cannot be read", resource=self._key.resource_id)
            return False
        if reading is None:
            self.end()
        else:
            self.channel.reading_ended(mark, snapshot_of(self._key.resource_id, reading))
            self._wake()
        return True


class Broadcast:
    """The broadcasts of one kind: follows the events of those resources that somebody listens to, or did of late."""

    def __init__(self, kind: str, reads: Readings, bounds: BroadcastBounds) -> None:
        """Begin with nobody; `watch` is to run beside."""
        self.snapshots: Counter[Cause] = Counter()
        self.dropped = 0
        self._kind = kind
        self._reads = reads
        self._bounds = bounds
        self._audiences: dict[str, Audience] = {}
        self._idle: dict[str, None] = {}  # the oldest first
        self._count = 0
        self._numbers = count()
        self.is_closing = False

    def __len__(self) -> int:
        """Return how many listen."""
        return self._count

    @contextmanager
    def listening(self, resource_id: str) -> Iterator[Listener | None]:
        """Listen for the length of the block; None if too many do already, or the gateway is stopping."""
        if self.is_closing or self._count >= self._bounds.listeners_max:
            yield None
            return
        audience = self._audiences.get(resource_id)
        if audience is None:
            key = ResourceKey(self._kind, resource_id)
            audience = self._audiences[resource_id] = Audience(key, self._reads, self._bounds)
        self._idle.pop(resource_id, None)
        listener = Listener(audience, next(self._numbers))
        audience.listeners.add(listener)
        self._count += 1
        try:
            yield listener
        finally:
            self._count -= 1
            audience.listeners.remove(listener)
            if not audience.listeners:
                self._rest(resource_id, audience)

    def see(self, records: Iterable[ConsumerRecord]) -> None:
        """Take events of this kind as they lie in the log."""
        for record in records:
            resource_id = (record.key or b"").decode("utf-8", "replace")
            audience = self._audiences.get(resource_id)
            told = None if audience is None else told_of(record)
            if audience is not None and told is not None:
                audience.channel.see(told)
                self._tell(resource_id, audience)

    def lost(self) -> None:
        """Take note that events may have been missed until now."""
        for resource_id, audience in tuple(self._audiences.items()):
            audience.channel.forget(Cause.READER)
            self._tell(resource_id, audience)

    async def watch(self) -> None:
        """Compare with Postgres, again and again: what was lost on the way, and whether it is another database."""
        while True:
            await asyncio.sleep(self._bounds.check_seconds)
            try:
                await self._check()
            except ProblemError:
                pass
            except Exception:  # noqa: BLE001 - the next comparison may do better
                _log.exception("the versions of broadcasts cannot be compared")

    def close(self) -> None:
        """End all streams, and take no more listeners."""
        self.is_closing = True
        for audience in self._audiences.values():
            audience.end()

    async def stop(self) -> None:
        """End what still runs."""
        self.close()
        for audience in self._audiences.values():
            await audience.close()

    async def _check(self) -> None:
        marks = {name: one.channel.mark for name, one in self._audiences.items() if one.is_served}
        if not marks:
            return
        found = await within(self._bounds.read_seconds, self._reads.versions(self._kind, marks), "versions")
        for resource_id, (epoch, version) in found.items():
            audience = self._audiences.get(resource_id)
            if audience is not None:
                audience.channel.checked(marks[resource_id], epoch, version)
                if not audience.channel.is_following:
                    self._tell(resource_id, audience)

    def _tell(self, resource_id: str, audience: Audience) -> None:
        if audience.listeners:
            audience.tell()
        elif not audience.channel.is_following:
            self._forget(resource_id)

    def _rest(self, resource_id: str, audience: Audience) -> None:
        """Follow a screening on that nobody listens to any more, for those who come again; so many at most."""
        if audience.is_over or not audience.channel.is_following:
            self._forget(resource_id)
            return
        self._idle[resource_id] = None
        if len(self._idle) > self._bounds.idle_max:
            self._forget(next(iter(self._idle)))

    def _forget(self, resource_id: str) -> None:
        self._idle.pop(resource_id, None)
        del self._audiences[resource_id]


def told_of(record: ConsumerRecord) -> Told | None:
    """Read an event as it is told, one of a seat without the hold's id: that leads who has the account to the token.

    None if it has no version of its own, or cannot be read; the gap that it leaves is healed by a snapshot.
    """
    wanted = {name: content for name, content in record.headers if name in {"ce_type", "ce_sequence"} and content}
    kind, sequence = wanted.get("ce_type", b"").decode("utf-8", "replace"), wanted.get("ce_sequence", b"")
    if kind in CHANGE_NOTHING or not sequence.isdigit() or len(sequence) > _VERSION_DIGITS_MAX:
        return None
    data = record.value or b""
    if kind in OF_SEATS:
        try:
            members = _members.decode(data)
        except UNREADABLE:
            return None
        members.pop("hold_id", None)
        data = msgspec.json.encode(members)
    return Told(int(sequence), kind, data.translate(_ONE_LINE))
