"""Put records on topics so that none is lost: an idempotent producer that is replaced whenever a send fails.

An idempotent producer does not recover from a batch that may not have arrived (its sequence numbers are used up, every
later send to the partition fails with OutOfOrderSequenceNumber): after any failure a new producer, with a new producer
id, sends again what was not acknowledged. So a record may be written twice, never lost; consumers deduplicate.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from topics.direct_producer import DirectProducer, Landed, UnsendableError
from topics.log_records import Acknowledgement, Record

_log = structlog.get_logger(__name__)
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to pause between two attempts, in seconds."""

    pause_seconds: float = 0.2
    request_timeout_ms: int = 20_000


class ResilientProducer:
    """Sends until the broker acknowledged (`acks=all`), however long that takes; callers bound their own wait.

    Records of one `send_all` keep their order. Concurrent calls are not ordered among each other.
    """

    def __init__(self, bootstrap_servers: str, *, client_id: str, retry: Retry | None = None) -> None:
        """Prepare; the first send connects, so that a process starts while Kafka is away."""
        self._retry = retry or Retry()
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._producer: DirectProducer | None = None
        self._lock = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.replaced = 0

    async def send_all(self, records: Sequence[Record]) -> Sequence[Acknowledgement]:
        """Return when every record is acknowledged. A record that is too large raises: waiting would not mend it."""
        acknowledged: dict[int, Acknowledgement] = {}
        while missing := [number for number in range(len(records)) if number not in acknowledged]:
            producer = await self._current()
            landed = await self._send(producer, [records[number] for number in missing])
            acknowledged |= {
                number: one for number, one in zip(missing, landed, strict=True) if isinstance(one, Acknowledgement)
            }
            if len(acknowledged) < len(records):
                if producer.is_broken:
                    await self._replace(producer)
                await asyncio.sleep(self._retry.pause_seconds)
        return [acknowledged[number] for number in range(len(records))]

    async def _send(self, producer: DirectProducer, records: Sequence[Record]) -> Sequence[Landed | None]:
        """Send all; return what became of each. Of one partition nothing behind what failed is acknowledged."""
        try:
            landed = await producer.send(records)
        except (KafkaError, OSError, TimeoutError) as fault:
            _log.warning("kafka send failed, a new producer takes over", fault=repr(fault))
            await self._replace(producer)
            return [None] * len(records)
        faults = [one for one in landed if isinstance(one, KafkaError)]
        for one in faults:
            if isinstance(one, MessageSizeTooLargeError | UnsendableError):
                if producer.is_broken:
                    await self._replace(producer)
                raise one
        if faults:
            _log.warning("kafka did not acknowledge, it is sent again", fault=repr(faults[0]))
        return landed

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        return await (await self._current()).partition_count(topic)

    async def connect(self) -> None:
        """Return when there is a broker to send to."""
        await self._current()

    async def _current(self) -> DirectProducer:
        async with self._lock:
            while self._producer is None:
                self._producer = await self._try_start()
                if self._producer is None:
                    await asyncio.sleep(self._retry.pause_seconds)
            return self._producer

    async def _try_start(self) -> DirectProducer | None:
        producer = DirectProducer(
            self._bootstrap_servers, client_id=self._client_id, request_timeout_ms=self._retry.request_timeout_ms
        )
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

    async def _replace(self, bad: DirectProducer) -> None:
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


async def _close(producer: DirectProducer) -> None:
    """Close a producer, within a bound; its own stop() lets what is under way land, and flushes, while the broker may be away."""
    stopping = asyncio.create_task(producer.stop())
    for _ in range(2):
        await asyncio.wait((stopping,), timeout=_CLOSE_SECONDS)
        if stopping.done():
            break
        stopping.cancel()
    fault = stopping.exception() if stopping.done() and not stopping.cancelled() else None
    if fault is not None or not stopping.done():
        _log.warning("a kafka producer did not close", fault=repr(fault))


SendAll = Callable[[Sequence[Record]], Awaitable[Sequence[Acknowledgement]]]
