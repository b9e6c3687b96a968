"""Put records on topics so that none is lost: an idempotent producer that is replaced whenever a send fails.

aiokafka's idempotent producer never recovers from a batch that expired unsent (sequence numbers are used up, every later
send to the partition fails with OutOfOrderSequenceNumber): after any failure a new producer, with a new producer id,
sends again what was not acknowledged. So a record may be written twice, never lost; consumers deduplicate.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from topics.cloudevents import Headers
from topics.partitions import partition_of

_log = structlog.get_logger(__name__)
_CLOSE_SECONDS = 5.0
_RECORDS_BATCH_BYTES_MAX = 512 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be put on a topic; `partition` None follows from the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Where a record lies; `timestamp_ms` is the broker's where the topic says LogAppendTime."""

    partition: int
    offset: int
    timestamp_ms: int

    @property
    def record(self) -> str:
        """Name the record as events do: `{partition}/{offset}`."""
        return f"{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is on its way together: the future of the first one's place, and the numbers of the records in their order."""

    future: Awaitable[Any]
    numbers: Sequence[int]


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to pause between two attempts, in seconds."""

    pause_seconds: float = 0.2
    request_timeout_ms: int = 20_000


class ResilientProducer:
    """Sends until the broker acknowledged (`acks=all`), however long that takes; callers bound their own wait.

    Records of one `send_all` keep their order. Concurrent calls are not ordered among each other.
    """

    def __init__(
        self, bootstrap_servers: str, *, client_id: str, linger_ms: int = 0, retry: Retry | None = None
    ) -> None:
        """Prepare; the first send connects, so that a process starts while Kafka is away."""
        self._retry = retry or Retry()
        self._options: dict[str, Any] = {
            "bootstrap_servers": bootstrap_servers,
            "client_id": client_id,
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": linger_ms,
            "request_timeout_ms": self._retry.request_timeout_ms,
            "max_request_size": 5 * 1024 * 1024,
            # aiokafka's default of 16 KiB would send the events of one batch of commands in several round trips.
            "max_batch_size": _RECORDS_BATCH_BYTES_MAX,
        }
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.replaced = 0

    async def send_all(self, records: Sequence[Record]) -> Sequence[Acknowledgement]:
        """Return when every record is acknowledged. A record that is too large raises: waiting would not mend it."""
        acknowledged: list[Acknowledgement] = []
        while len(acknowledged) < len(records):
            producer = await self._current()
            acknowledged += await self._send_prefix(producer, records[len(acknowledged) :])
            if len(acknowledged) < len(records):
                await self._replace(producer)
                await asyncio.sleep(self._retry.pause_seconds)
        return acknowledged

    async def _send_prefix(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Acknowledgement]:
        """Send all; return the acknowledgements of those from the front that have theirs."""
        sent: list[_Sent] = []
        try:
            if len(records) == 1 and not _is_empty(records[0]):
                await self._send_one(producer, records[0], sent)
            else:
                await self._send_together(producer, records, sent)
        except MessageSizeTooLargeError:
            await asyncio.gather(*(one.future for one in sent), return_exceptions=True)
            raise
        except (KafkaError, OSError, TimeoutError) as fault:
            _log.warning("kafka send failed, a new producer takes over", fault=repr(fault))
        found: dict[int, Acknowledgement] = {}
        for one, result in zip(
            sent, await asyncio.gather(*(one.future for one in sent), return_exceptions=True), strict=True
        ):
            if isinstance(result, MessageSizeTooLargeError):  # by the topic's limit, not by ours
                raise result
            if isinstance(result, BaseException):
                _log.warning("kafka did not acknowledge, a new producer takes over", fault=repr(result))
                continue
            for place, number in enumerate(one.numbers):
                found[number] = Acknowledgement(result.partition, result.offset + place, result.timestamp)
        return [found[number] for number in takewhile(found.__contains__, range(len(records)))]

    async def _send_one(self, producer: AIOKafkaProducer, record: Record, sent: "list[_Sent]") -> None:
        """Send a record; aiokafka puts it with those that others send at the same time."""
        partition = _partition(record, len(await producer.partitions_for(record.topic)))
        future = await producer.send(
            record.topic, record.value, key=record.key, partition=partition, headers=list(record.headers)
        )
        sent.append(_Sent(future, [0]))

    async def _send_together(self, producer: AIOKafkaProducer, records: Sequence[Record], sent: "list[_Sent]") -> None:
        """Send records as few batches of our own making: that costs a tenth of sending each by itself."""
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {record.topic for record in records}}
        batches: list[tuple[str, int, Any, list[int]]] = []
        newest: dict[tuple[str, int], tuple[Any, list[int]]] = {}
        for number, record in enumerate(records):
            partition = _partition(record, counts[record.topic])
            if partition is None:
                partition = number % counts[record.topic]
            place = (record.topic, partition)
            if place not in newest or not _append(newest[place][0], record):
                newest[place] = producer.create_batch(), []
                batches.append((*place, *newest[place]))
                _append(newest[place][0], record)
            newest[place][1].append(number)
        for topic, partition, batch, numbers in batches:
            batch.close()
            sent.append(_Sent(await producer.send_batch(batch, topic, partition=partition), numbers))

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        return len(await (await self._current()).partitions_for(topic))

    async def connect(self) -> None:
        """Return when there is a broker to send to."""
        await self._current()

    async def _current(self) -> AIOKafkaProducer:
        async with self._lock:
            while self._producer is None:
                self._producer = await self._try_start()
                if self._producer is None:
                    await asyncio.sleep(self._retry.pause_seconds)
            return self._producer

    async def _try_start(self) -> AIOKafkaProducer | None:
        producer = AIOKafkaProducer(**self._options)
        try:
            await producer.start()
        except (KafkaError, OSError, TimeoutError) as fault:
            _log.warning("kafka does not answer", fault=repr(fault))
            await _close(producer)
            return None
        except asyncio.CancelledError:
            await _close(producer)
            raise
        return producer

    async def _replace(self, bad: AIOKafkaProducer) -> None:
        async with self._lock:
            if self._producer is bad:
                self._producer = None
                self.replaced += 1
                task = asyncio.create_task(_close(bad))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def stop(self) -> None:
        """Send what is buffered if the broker takes it within seconds, and close."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS), self._lock:
                producer, self._producer = self._producer, None
        except TimeoutError:  # somebody still connects: there is nothing to flush
            producer = None
        if producer is not None:
            await _close(producer)
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS)


def _partition(record: Record, partition_count: int) -> int | None:
    if record.partition is not None or record.key is None:
        return record.partition
    return partition_of(record.key, partition_count)


def _append(batch: Any, record: Record) -> bool:  # noqa: ANN401 - aiokafka's builder
    """Add a record to a batch; False if it is full."""
    headers = list(record.headers)
    return batch.append(timestamp=None, key=record.key, value=record.value, headers=headers) is not None


async def _close(producer: AIOKafkaProducer) -> None:
    """Close a producer; its own stop() flushes, which can hang while the broker is away."""
    try:
        await asyncio.wait_for(producer.stop(), _CLOSE_SECONDS)
    except (KafkaError, OSError, TimeoutError) as fault:
        _log.warning("a kafka producer did not close", fault=repr(fault))


SendAll = Callable[[Sequence[Record]], Awaitable[Sequence[Acknowledgement]]]


def _is_empty(record: Record) -> bool:
    """Tell whether aiokafka's `send` would refuse it (an assertion): a stranger's null record is put aside as it is."""
    return record.key is None and record.value is None
