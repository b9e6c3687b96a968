"""The log on Kafka and on its twin: what workers and producers rely on, and what the simulation therefore imitates."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from tests.installation import eventually
from tests.servers import Urls
from tests.twins.memory_log import Assignment, LogRecord, MemoryConsumer, MemoryLog, MemoryProducer, Place
from topics.admin import create_topics
from topics.catalogue import LOG_APPEND_TIME, Catalogue
from topics.log_records import Record
from topics.partitions import partition_of
from topics.producer import ResilientProducer, SendAll

PARTITIONS = 3
SESSION_SECONDS = 6.0
KEYS = tuple(f"slot-{number}".encode() for number in range(12))


class Member(Protocol):
    """A member of the workers' group."""

    async def join(self) -> None:
        """Join the group."""

    async def fetch(self) -> Sequence[LogRecord]:
        """Return what comes next, maybe nothing yet."""

    async def commit(self, offsets: dict[Place, int]) -> None:
        """Commit as this member in its generation."""

    async def leave(self) -> None:
        """Leave the group."""

    def places(self) -> frozenset[Place]:
        """Return what is assigned to it, as far as it knows."""

    def miss_a_rebalance(self) -> None:
        """Go on as if the last generation were still the present one."""


class MemberOfTwin(MemoryConsumer):
    """The twin's, with a heartbeat beside it, as aiokafka has one."""

    async def join(self) -> None:
        """Join, and show signs of life."""
        await super().join()
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            await self.heartbeat()

    async def leave(self) -> None:
        """Be silent and leave."""
        self._beating.cancel()
        await super().leave()

    def places(self) -> frozenset[Place]:
        """See `Member`."""
        return self.assignment.places

    def miss_a_rebalance(self) -> None:
        """See `Member`."""
        self._beating.cancel()
        self.assignment = Assignment(self.assignment.generation - 1, self.assignment.places)


@dataclass
class MemberOfKafka:
    """Kafka's, by aiokafka."""

    consumer: AIOKafkaConsumer

    async def join(self) -> None:
        """See `Member`."""
        await self.consumer.start()

    async def fetch(self) -> Sequence[LogRecord]:
        """See `Member`."""
        found = await self.consumer.getmany(timeout_ms=200)
        return [
            LogRecord(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                value=record.value,
                headers=tuple(record.headers),
                timestamp_ms=record.timestamp,
                timestamp_type=record.timestamp_type,
            )
            for records in found.values()
            for record in records
        ]

    async def commit(self, offsets: dict[Place, int]) -> None:
        """See `Member`."""
        await self.consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})

    async def leave(self) -> None:
        """See `Member`."""
        await self.consumer.stop()

    def places(self) -> frozenset[Place]:
        """See `Member`."""
        return frozenset((place.topic, place.partition) for place in self.consumer.assignment())

    def miss_a_rebalance(self) -> None:
        """See `Member`: the generation is aiokafka's own affair, and only it can be wrong about it."""
        self.consumer._coordinator.generation -= 1


@dataclass
class Log:
    """One of the two, with a fresh set of topics."""

    catalogue: Catalogue
    send_all: SendAll
    member: Callable[[str], Member]
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def topic(self) -> str:
        """The command topic."""
        return self.catalogue.commands("slot")

    async def joined(self, name: str) -> Member:
        """Return a member that has joined and will leave."""
        member = self.member(name)
        await member.join()
        self.stack.push_async_callback(member.leave)
        return member


@pytest_asyncio.fixture(params=["memory", "kafka"])
async def log(request: pytest.FixtureRequest, topic_prefix: str) -> AsyncIterator[Log]:
    """Give empty topics on either."""
    catalogue = Catalogue(prefix=topic_prefix, partitions=PARTITIONS, replication=1)
    topic = catalogue.commands("slot")
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            memory = MemoryLog(catalogue, lambda: datetime.now(UTC), SESSION_SECONDS)
            yield Log(
                catalogue, MemoryProducer(memory).send_all, lambda name: MemberOfTwin(memory, name, [topic]), stack
            )
            return
        servers: Urls = request.getfixturevalue("servers")
        await create_topics(servers.kafka, catalogue)
        producer = ResilientProducer(servers.kafka, client_id="tests")
        stack.push_async_callback(producer.stop)

        def member(name: str) -> Member:
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=servers.kafka,
                client_id=name,
                group_id=f"{topic_prefix}group",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=int(SESSION_SECONDS * 1000),
                heartbeat_interval_ms=200,
            )
            return MemberOfKafka(consumer)

        yield Log(catalogue, producer.send_all, member, stack)


def records(topic: str, count: int) -> list[Record]:
    """Return records of many keys, numbered."""
    return [Record(topic, KEYS[number % len(KEYS)], b"%d" % number, []) for number in range(count)]


async def fetched(member: Member, count: int) -> list[LogRecord]:
    """Fetch until there are so many records."""
    found: list[LogRecord] = []

    async def is_enough() -> bool:
        found.extend(await member.fetch())
        return len(found) >= count

    await eventually(is_enough, what=f"{count} records are fetched")
    return found


async def test_acknowledgements_say_where_the_records_lie(log: Log) -> None:
    """In the order in which they were sent; a partition is in that order too, without gaps, and stamped by the broker."""
    sent = records(log.topic, 40)
    acknowledged = await log.send_all(sent)
    found = await fetched(await log.joined("one"), len(sent))
    by_place = {(record.partition, record.offset): record for record in found}
    assert len(found) == len(by_place) == len(acknowledged) == len(sent)
    for record, acknowledgement in zip(sent, acknowledged, strict=True):
        lying = by_place[acknowledgement.partition, acknowledgement.offset]
        assert (lying.key, lying.value) == (record.key, record.value)
        assert lying.partition == partition_of(record.key or b"", PARTITIONS)
        assert lying.timestamp_ms == acknowledgement.timestamp_ms
        assert lying.timestamp_type == LOG_APPEND_TIME
        assert abs(datetime.now(UTC).timestamp() - lying.timestamp_ms / 1000) < 30
    for partition in range(PARTITIONS):
        of_partition = [record for record in found if record.partition == partition]
        assert [record.offset for record in of_partition] == list(range(len(of_partition)))
        assert of_partition == sorted(of_partition, key=lambda record: int(record.value or b""))


async def test_a_record_comes_as_it_went(log: Log) -> None:
    """Without key or value, with headers in their order and twice, on the partition that was asked for."""
    headers = [("b", b"1"), ("a", b""), ("b", b"\xff")]
    await log.send_all([Record(log.topic, None, b"1", headers, 2), Record(log.topic, KEYS[0], None, [], 2)])
    first, second = await fetched(await log.joined("one"), 2)
    assert (first.partition, first.offset, second.partition, second.offset) == (2, 0, 2, 1)
    assert (first.key, first.value, first.headers) == (None, b"1", tuple(headers))
    assert (second.key, second.value, second.headers) == (KEYS[0], None, ())


async def test_a_record_of_nothing_is_taken_alone(log: Log) -> None:
    """A stranger's record without key and value goes on as it is; seen to fail (an assertion) with aiokafka's own `send`."""
    await log.send_all([Record(log.topic, None, None, [("a", b"1")], 1)])
    (found,) = await fetched(await log.joined("one"), 1)
    assert (found.key, found.value, found.headers) == (None, None, (("a", b"1"),))


async def test_what_is_committed_does_not_come_again(log: Log) -> None:
    """A group begins at the start, and each later member where the commits say; what was fetched counts for nothing."""
    await log.send_all([Record(log.topic, None, b"%d" % number, [], partition=1) for number in range(6)])
    first = log.member("first")
    await first.join()
    assert [record.value for record in await fetched(first, 6)] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    await first.commit({(log.topic, 1): 5})
    await first.commit({(log.topic, 1): 4})  # the last one counts, not the highest
    await first.leave()
    second = await log.joined("second")
    assert [record.offset for record in await fetched(second, 2)] == [4, 5]


async def test_members_share_the_partitions(log: Log) -> None:
    """Each has some and no two have one, as soon as all have heard of it; who leaves leaves his to the others."""
    one = await log.joined("one")
    await eventually(lambda: len(one.places()) == PARTITIONS, what="one member has all")
    other = log.member("other")
    joining = asyncio.create_task(other.join())

    async def shared() -> bool:
        await asyncio.gather(one.fetch(), *([other.fetch()] if joining.done() else []))
        mine, others = one.places(), other.places()
        return bool(mine and others) and not mine & others and len(mine | others) == PARTITIONS

    await eventually(shared, what="the partitions are shared")
    await joining
    await other.leave()
    await eventually(lambda: len(one.places()) == PARTITIONS, what="one member has all")


async def test_e64_who_missed_a_rebalance_commits_nothing(log: Log) -> None:
    """A commit of another generation than the group's is refused."""
    await log.send_all([Record(log.topic, None, b"0", [], partition=0)])
    one = log.member("one")
    await one.join()
    await fetched(one, 1)
    one.miss_a_rebalance()
    with pytest.raises(CommitFailedError):
        await one.commit({(log.topic, 0): 1})
    await one.leave()
    (again,) = await fetched(await log.joined("other"), 1)
    assert again.offset == 0
