"""The resilient producer outlives what wedges aiokafka's idempotent one for good."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from firmhold.local.kafka_server import KafkaServer
from firmhold.local.servers import Servers
from tests.installation import PARTITIONS
from topics.admin import create_topics
from topics.catalogue import Catalogue
from topics.log_records import Acknowledgement, Record
from topics.producer import ResilientProducer, Retry

PAUSE_SECONDS = 0.01
REQUEST_TIMEOUT_MS = 2_000
OUTAGE_SECONDS = 5.0
OUTAGES_MAX = 6


@pytest.mark.chaos
async def test_planned_stop_longer_than_the_request_timeout(own_servers: Servers) -> None:
    """Every record is acknowledged in the end, and the producer was replaced on the way.

    A stop wedges aiokafka only if its client learns, in the moment before the broker is gone, that the partition has no
    leader: so stops are tried until one does.
    Seen to fail (it never ends) with `_replace` emptied: the same producer then fails with OutOfOrderSequenceNumber.
    """
    kafka = own_servers.kafka
    assert kafka is not None
    await asyncio.to_thread(kafka.start)
    catalogue = Catalogue(prefix=f"t{uuid.uuid4().hex[:8]}.", partitions=PARTITIONS, replication=1)
    await create_topics(kafka.url, catalogue)
    producer = ResilientProducer(kafka.url, client_id="tests", retry=Retry(request_timeout_ms=REQUEST_TIMEOUT_MS))
    try:
        for _ in range(OUTAGES_MAX):
            await send_through_outage(producer, kafka, catalogue.events("slot"))
            if producer.replaced:
                break
    finally:
        await producer.stop()
    assert producer.replaced >= 1, "no outage wedged the first producer: this test proves nothing"


async def send_through_outage(producer: ResilientProducer, kafka: KafkaServer, topic: str) -> None:
    """Send before, through and after a planned stop; every record must be acknowledged in the end."""
    calls: list[asyncio.Task[Sequence[Acknowledgement]]] = []
    await producer.send_all([Record(topic, b"key", b"first", [])])
    sending = asyncio.create_task(send_steadily(producer, topic, calls))
    watching = asyncio.create_task(watch_metadata(producer))
    await asyncio.to_thread(kafka.stop)
    watching.cancel()
    await asyncio.sleep(OUTAGE_SECONDS)  # the length of the outage is what is tested
    await asyncio.to_thread(kafka.start)
    await asyncio.wait_for(producer.send_all([Record(topic, b"key", b"after", [])]), 30)
    sending.cancel()
    await asyncio.wait_for(asyncio.gather(*calls), 30)


async def send_steadily(
    producer: ResilientProducer, topic: str, calls: list[asyncio.Task[Sequence[Acknowledgement]]]
) -> None:
    """Send without end, as a gateway does: a call may last as long as the outage."""
    while True:
        calls.append(asyncio.create_task(producer.send_all([Record(topic, b"key", b"%d" % len(calls), [])])))
        await asyncio.sleep(PAUSE_SECONDS)  # the rate is part of the test


async def watch_metadata(producer: ResilientProducer) -> None:
    """Let the client notice that the stopping broker has given up its partitions: a matter of luck otherwise."""
    while True:
        inner = producer._producer
        if inner is not None:
            await inner.client.force_metadata_update()
        await asyncio.sleep(PAUSE_SECONDS)
