"""How far the workers are in the log, read in the background while somebody polls, not once a poll.

It tells an unknown request from a queued one: what lay before the end of the partition when the poll began, and is
committed, has its outcome in Postgres.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

_log = structlog.get_logger(__name__)


class OffsetsUnavailableError(Exception):
    """Kafka does not say how far the workers are."""


@dataclass(frozen=True, slots=True)
class Reading:
    """End and committed offset of a partition, read at one time, end first."""

    end: int
    committed: int


@dataclass(slots=True)
class _Round:
    """One reading of all partitions of interest; whoever came before it began may use it."""

    readings: dict[TopicPartition, Reading] = field(default_factory=dict)
    fault: Exception | None = None


class OffsetWatch:
    """Reads offsets of the partitions that somebody asks for."""

    def __init__(self, bootstrap_servers: str, group: str, pause_seconds: float) -> None:
        """Prepare; `run` does the work."""
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._pause_seconds = pause_seconds
        self._interest: Counter[TopicPartition] = Counter()
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[_Round] | None = None
        self._reading: asyncio.Future[_Round] | None = None

    async def passed(self, topic: str, partition: int, ahead: list[int]) -> None:
        """Return when all that the partition holds now is committed by the workers.

        `ahead` is kept at how many records may be before the one in question, which lies before that point.
        Raises OffsetsUnavailableError.
        """
        place = TopicPartition(topic, partition)
        self._interest[place] += 1
        self._wanted.set()
        try:
            reading = await self._read(place)
            end = reading.end
            while reading.committed < end:
                ahead[:] = [end - reading.committed - 1]
                reading = await self._read(place)
            ahead[:] = [0]
        finally:
            self._interest[place] -= 1
            if not self._interest[place]:
                del self._interest[place]

    async def _read(self, place: TopicPartition) -> Reading:
        """Return the next reading that begins after now."""
        while True:
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            result = await asyncio.shield(self._next)
            if result.fault is not None:
                raise OffsetsUnavailableError from result.fault
            if place in result.readings:
                return result.readings[place]

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
                places = list(self._interest)
                if not places:
                    self._wanted.clear()
                    continue
                self._reading, self._next = self._next, None
                self._hand_out(await self._round(consumer, admin, places))
                await asyncio.sleep(self._pause_seconds)
        finally:
            await consumer.stop()
            await admin.close()

    async def _round(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, places: list[TopicPartition]
    ) -> _Round:
        ends = await consumer.end_offsets(places)
        committed = await admin.list_consumer_group_offsets(self._group, partitions=places)
        # Nothing is committed yet: -1. Then only an empty partition is passed.
        return _Round({place: Reading(ends[place], max(0, committed[place].offset)) for place in places})

    def _hand_out(self, result: _Round) -> None:
        """Give the round to whoever waited for it since before it began."""
        waiting, self._reading = self._reading, None
        if waiting is not None and not waiting.done():
            waiting.set_result(result)
