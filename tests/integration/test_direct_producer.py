"""The producer writes what it is given as the broker acknowledges it, in order, however much it is at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber

from tests.servers import Urls
from topics.admin import create_topics
from topics.catalogue import Catalogue
from topics.direct_producer import BATCH_BYTES_MAX, REQUESTS_MAX, DirectProducer
from topics.log_records import Acknowledgement, Record
from topics.producer import ResilientProducer

PARTITIONS = 3
FIRST = b"first"
TOO_LARGE = b"x" * 6 * 1024 * 1024


@pytest_asyncio.fixture
async def topic(servers: Urls, topic_prefix: str) -> str:
    """Give a topic with one record on each partition: each has its leader."""
    catalogue = Catalogue(prefix=topic_prefix, partitions=PARTITIONS, replication=1)
    await create_topics(servers.kafka, catalogue)
    topic = catalogue.commands("slot")
    resilient = ResilientProducer(servers.kafka, client_id="tests")
    for number in range(PARTITIONS):
        await resilient.send_all([Record(topic, None, FIRST, [], number)])
    await resilient.stop()
    return topic


@pytest_asyncio.fixture
async def producer(servers: Urls) -> AsyncIterator[DirectProducer]:
    """Give one that is connected."""
    one = DirectProducer(servers.kafka, client_id="tests", request_timeout_ms=20_000)
    await one.start()
    yield one
    await one.stop()


async def lying(servers: Urls, topic: str) -> dict[tuple[int, int], bytes]:
    """Return the values of all records by partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
        found: dict[tuple[int, int], bytes] = {}
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                found |= {(record.partition, record.offset): record.value for record in records}
        return found
    finally:
        await consumer.stop()


async def test_many_calls_at_once_lie_where_they_are_told_to(
    servers: Urls, topic: str, producer: DirectProducer
) -> None:
    """In the order of calls on each partition, without a gap, though only a few requests may be under way.

    Fails if sequence numbers are counted by batches, or what did not fit is put last.
    """
    calls = [
        [Record(topic, None, b"%d.%d" % (call, number), [], partition=number % PARTITIONS) for number in range(4)]
        for call in range(20 * REQUESTS_MAX)
    ]
    calls[7] = [Record(topic, None, b"%d" % number * (BATCH_BYTES_MAX // 3), [], partition=1) for number in range(7)]
    landed = await asyncio.gather(*map(producer.send, calls))
    found = await lying(servers, topic)
    assert len(found) == PARTITIONS + sum(map(len, calls))
    next_offset = [1] * PARTITIONS
    for records, told in zip(calls, landed, strict=True):
        for record, one in zip(records, told, strict=True):
            assert isinstance(one, Acknowledgement)
            assert found[one.partition, one.offset] == record.value
            assert (one.partition, one.offset) == (record.partition, next_offset[one.partition])
            next_offset[one.partition] += 1


async def test_what_is_written_is_on_its_way_within_the_call(topic: str, producer: DirectProducer) -> None:
    """Before the event loop's next turn: that is what it is for. Fails if the writing is left to a task."""
    await producer.send([Record(topic, b"key", b"connects", [])])
    sending = producer.send([Record(topic, b"key", b"value", [])])
    assert asyncio.isfuture(sending.send(None))  # it waits for the broker already
    assert written(producer) == 1
    sending.close()


def written(producer: DirectProducer) -> int:
    """Return how many requests are written that the broker did not answer yet."""
    return sum(len(connection._requests) for connection in producer.client._conns.values())


async def test_what_is_too_large_breaks_it_and_nothing_behind_it_lies_anywhere(
    servers: Urls, topic: str, producer: DirectProducer
) -> None:
    """Its sequence number is used up. The resilient one tells who sent it, and goes on for all others with a new one.

    Fails without the replacement.
    """
    large = Record(topic, None, TOO_LARGE, [], partition=0)
    small = Record(topic, None, b"small", [], partition=0)
    (refused,) = await producer.send([large])
    assert isinstance(refused, MessageSizeTooLargeError)
    (late,) = await producer.send([small])
    assert isinstance(late, KafkaError)
    assert not isinstance(late, OutOfOrderSequenceNumber), "it was sent, though it could not be taken"
    resilient = ResilientProducer(servers.kafka, client_id="tests")
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await resilient.send_all([large])
        (acknowledged,) = await resilient.send_all([small])
    finally:
        await resilient.stop()
    assert await lying(servers, topic) == {
        (0, 1): b"small",
        **{(number, 0): FIRST for number in range(PARTITIONS)},
    }
    assert acknowledged.offset == 1


async def test_an_unknown_topic_is_refused(producer: DirectProducer, topic_prefix: str) -> None:
    """Within the time of a request; others are sent."""
    producer._request_timeout_ms = 300
    with pytest.raises(TimeoutError):
        await producer.send([Record(f"{topic_prefix}nowhere", b"key", b"value", [])])


async def test_stopping_tells_everybody(topic: str, producer: DirectProducer) -> None:
    """What is under way lands, what comes later fails: nobody waits for ever. Fails without the breaking at the end."""
    await producer.partition_count(topic)
    calls: Sequence[asyncio.Task[object]] = [
        asyncio.create_task(producer.send([Record(topic, b"key", b"%d" % number, [])])) for number in range(50)
    ]
    await asyncio.sleep(0)
    await producer.stop()
    landed = await asyncio.wait_for(asyncio.gather(*calls), 10)
    assert all(isinstance(one, list) and isinstance(one[0], Acknowledgement) for one in landed)
    (late,) = await producer.send([Record(topic, b"key", b"late", [])])
    assert isinstance(late, KafkaError)


async def test_a_partition_that_does_not_know_us_gets_one_batch_at_a_time(topic: str, producer: DirectProducer) -> None:
    """It takes any first sequence number, so a second batch could overtake a first that is refused. Seen to fail without."""
    await producer.partition_count(topic)
    calls = [asyncio.create_task(producer.send([Record(topic, b"key", b"%d" % number, [])])) for number in range(2)]
    await asyncio.sleep(0)
    assert len(producer._under_way) == 1
    (first,), (second,) = await asyncio.gather(*calls)
    assert isinstance(first, Acknowledgement)
    assert isinstance(second, Acknowledgement)
    assert second.offset == first.offset + 1
    calls = [asyncio.create_task(producer.send([Record(topic, b"key", b"%d" % number, [])])) for number in range(2)]
    await asyncio.sleep(0)
    assert len(producer._under_way) == 2
    await asyncio.gather(*calls)


async def test_topics_stay_known(servers: Urls, topic: str, producer: DirectProducer) -> None:
    """Also one that was known before anything was sent to it. Seen to fail if only those that are not are asked for again.

    Until somebody asks for a topic the client asks for all, and from then on for those that it was told of.
    """
    await producer.client.force_metadata_update()
    await producer.send([Record(topic, None, b"known already", [], 0)])
    later = Catalogue(prefix=f"{topic}-later.", partitions=1, replication=1)
    await create_topics(servers.kafka, later)
    assert await producer.partition_count(later.commands("slot")) == 1
    await producer.client.force_metadata_update()
    (landed,) = await producer.send([Record(topic, None, b"known still", [], 0)])
    assert isinstance(landed, Acknowledgement)
