"""How far the workers are in the log, read in the background while somebody polls, not once a poll.

It tells an unknown request from a queued one: what lay before the end of the partition when the poll began, and is
committed, has its outcome in Postgres.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

_log = structlog.get_logger(__name__)
_HEARD_SECONDS = 5.0  # offsets are read twice a second for the backlog: Kafka spoke of late
_PATIENCE_SECONDS = 2.0  # for whoever does not want to wait, where it did not


class OffsetsUnavailableError(Exception):
    """Kafka does not say how far the workers are."""


Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """End and committed offset of a partition, read at one time, end first."""

    end: int
    committed: int


@dataclass(slots=True)
class _Round:
    """One reading of all partitions of interest; whoever came before it began may use it."""

    readings: dict[Place, Reading] = field(default_factory=dict)
    fault: Exception | None = None


class OffsetWatch:
    """Reads offsets of the partitions that somebody asks for."""

    def __init__(self, bootstrap_servers: str, group: str, pause_seconds: float) -> None:
        """Prepare; `run` does the work."""
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._pause_seconds = pause_seconds
        self._interest: Counter[Place] = Counter()
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[_Round] | None = None
        self._reading: asyncio.Future[_Round] | None = None
        self._heard_at = -math.inf

    async def heard(self, topic: str, partition: int) -> None:
        """Return at once if Kafka told offsets of late, else as soon as it does, within two seconds.

        Raises OffsetsUnavailableError.
        """
        if time.monotonic() - self._heard_at < _HEARD_SECONDS:
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self.readings(((topic, partition),))
        except TimeoutError as fault:
            raise OffsetsUnavailableError from fault

    async def passed(self, topic: str, partition: int, tell_ahead: Callable[[int], None]) -> None:
        """Return when all that the partition holds now is committed by the workers.

        `tell_ahead` is told after each reading how many records may be before the one in question, which lies before that
        point. Raises OffsetsUnavailableError.
        """
        place = (topic, partition)
        reading = (await self.readings((place,)))[place]
        end = reading.end
        while reading.committed < end:
            tell_ahead(end - reading.committed - 1)
            reading = (await self.readings((place,)))[place]
        tell_ahead(0)

    async def readings(self, places: Collection[Place]) -> Mapping[Place, Reading]:
        """Return the next readings of these partitions that begin after now. Raises OffsetsUnavailableError."""
        self._interest.update(places)
        self._wanted.set()
        try:
            while True:
                if self._next is None:
                    self._next = asyncio.get_running_loop().create_future()
                result = await asyncio.shield(self._next)
                if result.fault is not None:
                    raise OffsetsUnavailableError from result.fault
                if all(place in result.readings for place in places):
                    return {place: result.readings[place] for place in places}
        finally:
            self._interest.subtract(places)
            self._interest += Counter()  # drops those that nobody is interested in

    async def run(self) -> None:
        """Read until cancelled; idle while nobody asks."""
        while True:
            try:
                await self._read_while_wanted()
            except Exception as fault:  # noqa: BLE001 - whatever it is, those who poll are told, and the next ones served
                _log.warning("kafka does not tell the offsets", fault=repr(fault))
                self._hand_out(_Round(fault=fault))
                self._reading, self._next = self._next, None
                self._hand_out(_Round(fault=fault))
                await asyncio.sleep(self._pause_seconds)

    async def _read_while_wanted(self) -> None:
        await self._wanted.wait()
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap_servers, client_id="firmhold-gateway-offsets")
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap_servers, client_id="firmhold-gateway-offsets")
        try:
            await consumer.start()
            await admin.start()
            while True:
                await self._wanted.wait()
                places = [TopicPartition(*place) for place in self._interest]
                if not places:
                    self._wanted.clear()
                    continue
                self._reading, self._next = self._next, None
                result = await self._round(consumer, admin, places)
                self._heard_at = time.monotonic()
                self._hand_out(result)
                await asyncio.sleep(self._pause_seconds)
        finally:
            await consumer.stop()
            await admin.close()

    async def _round(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, places: list[TopicPartition]
    ) -> _Round:
        ends = await consumer.end_offsets(places)
        committed = await admin.list_consumer_group_offsets(self._group, partitions=places)
        # What retention deleted lies behind the workers, committed (-1: nothing is yet) or not.
        behind = [place for place in places if committed[place].offset < ends[place]]
        beginnings = await consumer.beginning_offsets(behind) if behind else {}
        return _Round(
            {place: Reading(ends[place], max(committed[place].offset, beginnings.get(place, 0))) for place in places}
        )

    def _hand_out(self, result: _Round) -> None:
        """Give the round to whoever waited for it since before it began."""
        waiting, self._reading = self._reading, None
        if waiting is not None and not waiting.done():
            waiting.set_result(result)
