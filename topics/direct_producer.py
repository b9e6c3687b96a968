"""Produce to Kafka without a queue between: what is to be sent is on its way before the event loop's next turn.

aiokafka's producer hands a record from task to task: four turns of the event loop until it is written, five until its
acknowledgement is told. In a process that serves many, a turn takes milliseconds. This one uses aiokafka's client, its
encoding and its requests, and writes at once, as an idempotent producer (KIP-98): a few requests may be under way, what
comes meanwhile goes together as soon as one of them has landed.

It never sends anything twice, nor another record with a sequence number that was sent: a broker that says no may have
written, and handed it on to the next leader, which would take the other one for a copy. What has no leader is not sent, and
fails alone. After any other failure it is broken, and every later sending fails: whoever owns it (`topics.producer`) takes
a new one.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from topics.log_records import Acknowledgement, Record
from topics.partitions import partition_of

REQUESTS_MAX: Final = 3  # under way at once to a broker; the broker takes those of one connection one after the other
BATCH_BYTES_MAX: Final = 512 * 1024
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
_ALL = -1
_MAGIC = 2
_TRANSACTION_MS = 60_000  # asked for in the request, of no meaning without a transaction
_MISSING_SECONDS = 0.1
_NOT_YET = (GroupLoadInProgressError, GroupCoordinatorNotAvailableError)  # a broker that has just begun
_NOT_YET_SECONDS = 0.05
_PASSED_OVER_MAX = 1_000  # of what waits, to look for what can go: there may be very much of one partition
_SEQUENCE_MAX = 2**31 - 1  # behind it comes 0 again


class UnsendableError(KafkaError):  # type: ignore[misc] # aiokafka is not typed
    """A record that cannot be encoded; sending it again would not mend it."""


Landed: TypeAlias = Acknowledgement | KafkaError


@dataclass(slots=True, eq=False)
class _Call:
    """The records of one call, and what became of each."""

    landed: list[Landed | None]
    open: int
    future: asyncio.Future[list[Landed]]

    def land(self, number: int, landed: Landed) -> None:
        self.landed[number] = landed
        self.open -= 1
        if self.open == 0 and not self.future.done():
            self.future.set_result([one for one in self.landed if one is not None])


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: Record
    place: TopicPartition
    call: _Call
    number: int


@dataclass(slots=True, eq=False)
class _Partition:
    """The next sequence number of a partition, how many batches are on their way to it, and whether it knows us.

    A partition that does not yet takes any number for the first one: so only one batch at a time goes there.
    """

    sequence: int = 0
    under_way: int = 0
    knows_us: bool = False

    def begin(self, records: int) -> None:
        """Note that a batch is on its way."""
        self.under_way += 1
        self.sequence = (self.sequence + records) & _SEQUENCE_MAX


@dataclass(slots=True, eq=False)
class _Batch:
    """What goes to one partition in one request."""

    builder: Any
    records: list[_Waiting] = field(default_factory=list)

    def append(self, waiting: _Waiting) -> bool:
        """Return False, and take nothing, if it is full."""
        record = waiting.record
        taken = self.builder.append(
            len(self.records), None, key=record.key, value=record.value, headers=list(record.headers)
        )
        if taken is None:
            return False
        self.records.append(waiting)
        return True


class DirectProducer:
    """Sends in the order of calls; acknowledged by all replicas in sync (`acks=all`)."""

    def __init__(self, bootstrap_servers: str, *, client_id: str, request_timeout_ms: int) -> None:
        """Prepare; `start` connects."""
        self._request_timeout_ms = request_timeout_ms
        self.client = AIOKafkaClient(
            bootstrap_servers=bootstrap_servers, client_id=client_id, request_timeout_ms=request_timeout_ms
        )
        self._producer_id = self._epoch = -1
        self._partitions: defaultdict[TopicPartition, _Partition] = defaultdict(_Partition)
        self._counts: dict[str, int] = {}
        self._waiting: deque[_Waiting] = deque()
        self._under_way: dict[asyncio.Task[None], int] = {}
        self._connecting: Counter[int] = Counter()
        self._fault: KafkaError | None = None

    @property
    def is_broken(self) -> bool:
        """Tell whether nothing is sent any more."""
        return self._fault is not None

    async def start(self) -> None:
        """Connect and take a producer id. Raises KafkaError, OSError or TimeoutError."""
        await self.client.bootstrap()
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=_TRANSACTION_MS)
        async with asyncio.timeout(self._request_timeout_ms / 1000):
            while True:
                response = await self.client.send(self.client.get_random_node(), request)
                if not response.error_code:
                    break
                error = for_code(response.error_code)
                if error not in _NOT_YET:
                    raise error("kafka gave no producer id")
                await asyncio.sleep(_NOT_YET_SECONDS)
        self._producer_id, self._epoch = response.producer_id, response.producer_epoch

    async def stop(self) -> None:
        """Wait for what is under way, and close."""
        try:
            while self._under_way:
                await asyncio.wait(self._under_way)
        finally:
            self._break(KafkaConnectionError("the producer was stopped"))
            await self.client.close()

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has. Raises KafkaError if the broker does not know it for long."""
        if topic not in self._counts:
            async with asyncio.timeout(self._request_timeout_ms / 1000):
                self._counts[topic] = await self._count(topic)
        elif known := self.client.cluster.partitions_for_topic(topic):
            self._counts[topic] = len(known)  # it may grow; one that is gone for a moment keeps nobody waiting
        return self._counts[topic]

    async def _count(self, topic: str) -> int:
        await self.client.add_topic(topic)  # also if it is known already: only then it is asked for again and again
        while not (partitions := self.client.cluster.partitions_for_topic(topic)):
            await asyncio.sleep(_MISSING_SECONDS)  # between two questions to the broker
            await self.client.force_metadata_update()
        return len(partitions)

    async def send(self, records: Sequence[Record]) -> list[Landed]:
        """Return what became of each record, in their order: where it lies, or why it may not lie anywhere.

        Raises KafkaError or TimeoutError if it does not know a topic; then nothing was sent.
        """
        if not records:
            return []
        counts = {topic: await self.partition_count(topic) for topic in {record.topic for record in records}}
        call = _Call([None] * len(records), len(records), asyncio.get_running_loop().create_future())
        for number, record in enumerate(records):
            place = TopicPartition(record.topic, _partition(record, counts[record.topic], number))
            self._waiting.append(_Waiting(record, place, call, number))
        self._send_on()
        return await call.future

    def _send_on(self) -> None:
        """Put on its way what waits, if not too much is already."""
        while self._waiting:
            if self._fault is not None:
                self._break(self._fault)
                return
            by_leader = self._next_batches()
            if not by_leader:
                return
            for node, batches in by_leader.items():
                for place, batch in batches.items():
                    self._partitions[place].begin(len(batch.records))
                task = asyncio.create_task(self._land(batches, self._write(node, batches)))
                self._under_way[task] = node
                task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._send_on()

    def _next_batches(self) -> dict[int, dict[TopicPartition, _Batch]]:
        """Take from the front as much as one request to each broker may have, one batch for each partition."""
        batches: defaultdict[int, dict[TopicPartition, _Batch]] = defaultdict(dict)
        left: deque[_Waiting] = deque()
        full: set[TopicPartition] = set()  # what comes after a record that is left must stay behind it
        size = 0
        while self._waiting and size < REQUEST_BYTES_MAX and len(left) < _PASSED_OVER_MAX:
            waiting = self._waiting.popleft()
            place = waiting.place
            if waiting.call.future.done():
                continue  # nobody waits for it any more
            leader = self.client.cluster.leader_for_partition(place)
            if leader is None or leader == -1:
                self.client.force_metadata_update()
                waiting.call.land(waiting.number, LeaderNotAvailableError(f"{place.topic}/{place.partition}"))
            elif place in full or not self._append(batches[leader], waiting, leader):
                full.add(place)
                left.append(waiting)
            else:
                size += len(waiting.record.value or b"")
        self._waiting.extendleft(reversed(left))
        return {leader: of_leader for leader, of_leader in batches.items() if of_leader}

    def _append(self, batches: dict[TopicPartition, _Batch], waiting: _Waiting, leader: int) -> bool:
        """Add a record to its partition's batch; False if it has to wait."""
        batch = batches.get(waiting.place)
        if batch is None:
            partition = self._partitions[waiting.place]
            if self._is_busy(leader) or (partition.under_way and not partition.knows_us):
                return False
            batch = _Batch(
                DefaultRecordBatchBuilder(
                    _MAGIC, 0, 0, self._producer_id, self._epoch, partition.sequence, BATCH_BYTES_MAX
                )
            )
        try:
            has_room = batch.append(waiting)
        except Exception as fault:  # noqa: BLE001 - it is one record's, and nobody else's must wait for ever
            waiting.call.land(waiting.number, UnsendableError(repr(fault)))
            return True
        if batch.records:
            batches[waiting.place] = batch
        return has_room

    def _is_busy(self, node: int) -> bool:
        return sum(busy == node for busy in self._under_way.values()) >= REQUESTS_MAX

    def _write(self, node: int, batches: dict[TopicPartition, _Batch]) -> Awaitable[Any]:
        """Write a request at once if there is a connection; else it is written when there is one."""
        by_topic: dict[str, list[tuple[int, bytes]]] = {}
        for place, batch in batches.items():
            by_topic.setdefault(place.topic, []).append((place.partition, bytes(batch.builder.build())))
        request = ProduceRequest(
            transactional_id=None,
            required_acks=_ALL,
            timeout=self._request_timeout_ms,
            topics=list(by_topic.items()),
        )
        connection = self.client._conns.get((node, ConnectionGroup.DEFAULT))  # noqa: SLF001 - its `send` is a coroutine
        if connection is None or not connection.connected() or self._connecting[node]:
            return self._connect_and_write(node, request)  # and what comes meanwhile must not overtake it
        try:
            response: Awaitable[Any] = connection.send(request)
        except Exception as fault:  # noqa: BLE001 - whatever it is, whoever waits is told
            return _failed(fault if isinstance(fault, KafkaError) else KafkaConnectionError(repr(fault)))
        return response

    async def _connect_and_write(self, node: int, request: ProduceRequest) -> Any:  # noqa: ANN401 - aiokafka's
        self._connecting[node] += 1
        try:
            return await self.client.send(node, request)
        finally:
            self._connecting[node] -= 1

    async def _land(self, batches: dict[TopicPartition, _Batch], response: Awaitable[Any]) -> None:
        """Tell what became of a request."""
        fault: KafkaError = KafkaConnectionError("the producer was stopped")
        try:
            self._take_in(batches, await response)
            fault = UnknownTopicOrPartitionError("kafka did not answer for a partition")
        except TimeoutError:
            fault = RequestTimedOutError("kafka did not acknowledge in time")
        except KafkaError as refusal:
            fault = refusal
        except OSError as broken:
            fault = KafkaConnectionError(str(broken))
        finally:
            for place, batch in batches.items():
                self._partitions[place].under_way -= 1
                self._fail(batch, fault)

    def _take_in(self, batches: dict[TopicPartition, _Batch], answer: Any) -> None:  # noqa: ANN401 - aiokafka's
        """Take in what the broker says of each batch; those it says nothing of are left."""
        for topic, partitions in answer.topics:
            for partition, code, offset, timestamp_ms, *_ in partitions:
                place = TopicPartition(topic, partition)
                batch = batches.pop(place)
                self._partitions[place].under_way -= 1
                if code:
                    self._fail(batch, for_code(code)(f"{topic}/{partition}"))
                    continue
                self._partitions[place].knows_us = True
                for number, waiting in enumerate(batch.records):
                    waiting.call.land(waiting.number, Acknowledgement(partition, offset + number, timestamp_ms))

    def _fail(self, batch: _Batch, fault: KafkaError) -> None:
        """Tell that a batch may not lie anywhere; nothing is sent after that."""
        self._fault = self._fault or KafkaConnectionError(f"the producer is broken after {fault!r}")
        for waiting in batch.records:
            waiting.call.land(waiting.number, fault)

    def _break(self, fault: KafkaError) -> None:
        """Send nothing more, and tell so whoever waits."""
        self._fault = fault
        while self._waiting:
            waiting = self._waiting.popleft()
            waiting.call.land(waiting.number, fault)


def _partition(record: Record, count: int, number: int) -> int:
    """Return where a record goes: where it says, where its key says, or in turn."""
    if record.partition is not None:
        return record.partition
    return number % count if record.key is None else partition_of(record.key, count)


async def _failed(fault: KafkaError) -> Any:  # noqa: ANN401 - it never returns
    raise fault
