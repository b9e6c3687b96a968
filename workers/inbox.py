"""The records that wait for the batcher, bounded in number and bytes, and what was read of them meanwhile.

Reading costs a third of the worker's time, and Postgres takes as long for a batch: so what comes while it writes is read
then, a few commands between two turns of the event loop, as the answer must not wait for long.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from workers.reading import Incoming, Item, Reader

_COMMANDS_PER_TURN = 8


class ReadingError(Exception):
    """Reading raised, which it never does: nothing that was read with it may be acknowledged."""


class Delivery(Protocol):
    """A record that was handed to us and waits for its acknowledgement."""

    @property
    def incoming(self) -> Incoming:
        """The record."""

    def is_ours(self) -> bool:
        """Tell whether its partition is still assigned to us since it was handed out; if not, it comes again."""

    def acknowledge(self) -> None:
        """Let its offset be committed. Called in the order of offsets."""


@dataclass(frozen=True, slots=True)
class Read:
    """A delivery, what was read of it so far (several items if it carries a batch of commands), and what is to be read yet."""

    delivery: Delivery
    rest: Iterator[Item]
    items: list[Item] = field(default_factory=list)


class Inbox:
    """Hands out in the order in which it takes in."""

    def __init__(self, reader: Reader, *, events_max: int, bytes_max: int) -> None:
        """Read with `reader`; take in no more while there is so much."""
        self._reader = reader
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._unread: deque[Delivery] = deque()
        self._bytes = 0
        self._ahead: deque[Read] = deque()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._has_news = asyncio.Event()

    def __len__(self) -> int:
        """Return how many deliveries wait."""
        return len(self._ahead) + len(self._unread)

    async def put(self, delivery: Delivery) -> None:
        """Take a delivery in; waits while the inbox is full, in number or in bytes: that pauses the fetching."""
        while not self._has_room.is_set():  # of several who wait the first may take the last room
            await self._has_room.wait()
        self._unread.append(delivery)
        self._weigh(delivery, +1)
        self._has_news.set()

    def _weigh(self, delivery: Delivery, step: int) -> None:
        self._bytes += step * len(delivery.incoming.value or b"")
        if len(self) < self._events_max and self._bytes < self._bytes_max:
            self._has_room.set()
        else:
            self._has_room.clear()

    async def wait(self) -> None:
        """Return when something came since the last time, or at `wake`."""
        self._has_news.clear()
        await self._has_news.wait()

    def wake(self) -> None:
        """Let the one that waits look again."""
        self._has_news.set()

    def take(self, commands_max: int) -> list[Read]:
        """Hand out at most so many commands, but for a single record that carries more; all of them are read.

        Records are read one behind the other: between those of Faust's doings each would take twice as long.
        """
        reads: list[Read] = []
        commands = 0
        while commands < commands_max and (self._ahead or self._unread):
            read = self._ahead.popleft() if self._ahead else self._begin()
            read.items.extend(read.rest)
            self._weigh(read.delivery, -1)
            reads.append(read)
            commands += len(read.items)
        return reads

    def _begin(self) -> Read:
        delivery = self._unread.popleft()
        return Read(delivery, self._reader.read(delivery.incoming))

    @contextmanager
    def reading_ahead(self, commands_max: int) -> Iterator[None]:
        """Read what comes while others are waited for, as much as a batch may have. Raises ReadingError."""
        reading = asyncio.create_task(self._read_ahead(commands_max))
        try:
            yield
        finally:
            fault = reading.exception() if reading.done() else None
            reading.cancel()
            if fault is not None:  # whatever it is: tried again, the record would pass for one that was read
                raise ReadingError("a record could not be read, by a fault of ours") from fault

    async def _read_ahead(self, commands_max: int) -> None:
        commands = sum(len(read.items) for read in self._ahead)
        while commands < commands_max:
            while not self._unread:
                await self.wait()
            read = self._begin()
            self._ahead.append(read)
            for item in read.rest:
                read.items.append(item)
                commands += 1
                if commands % _COMMANDS_PER_TURN == 0:
                    await asyncio.sleep(0)


def items_of(reads: Sequence[Read]) -> list[Item]:
    """Return what was read, in its order."""
    return [item for read in reads for item in read.items]
