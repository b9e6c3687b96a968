"""Servers go away while somebody listens to seats: his stream lives on, and in the end he knows what is."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from firmhold.local.servers import Servers
from tests.box_office import TOKEN, BoxOffice
from tests.faults.test_outages import alone
from tests.installation import Installation, eventually
from tests.integration.expectations import sleeping
from tests.listening import listening
from topics.admin import admin_client
from topics.commands import Cancel
from topics.producer import ResilientProducer
from topics.seating import Row

__all__ = ["alone"]
pytestmark = pytest.mark.chaos
ROW = Row(row="A", seats=3)


async def test_servers_are_killed_one_after_the_other(alone: Installation, own_servers: Servers) -> None:
    """Kafka: the reader goes on where it was, without a snapshot. Postgres: it may be another one, so there is one.

    Fails with epochs that do not tell when the server began. A reader that begins at the end after a fault is not noticed here:
    aiokafka finds its way back by itself.
    """
    assert own_servers.kafka is not None
    assert own_servers.postgres is not None
    producer = ResilientProducer(alone.urls.kafka, client_id="tests")
    office = BoxOffice(alone, producer)
    screening = await office.define(ROW)
    async with alone.client() as client, listening(client.session, screening) as one:
        hold_id = await office.hold(screening, "A1")
        await one.until("snapshot", "held A1")
        await asyncio.to_thread(own_servers.kafka.kill)
        await asyncio.to_thread(own_servers.kafka.start)
        await office.ask(Cancel(resource_id=screening, hold_id=hold_id, token_hash=TOKEN))
        await one.until("snapshot", "held A1", "released A1", seconds=60)
        await asyncio.to_thread(own_servers.postgres.kill)
        await asyncio.to_thread(own_servers.postgres.start)
        await office.hold(screening, "A2")
        await eventually(lambda: one.events.count("snapshot") == 2, seconds=60, what="a snapshot of the new epoch")
        await eventually(lambda: one.seats == {"A1": "free", "A2": "held", "A3": "free"}, what="he knows")
        assert len({told.epoch for told in one.told}) == 2
        assert not one.is_over
    await producer.stop()


async def test_events_are_gone_before_a_gateway_reads_them(site: Installation) -> None:
    """Retention took them while the gateway slept: it begins at the end, and all get a snapshot.

    Seen to fail without telling that events may be lost: he knows nothing until the next comparison with Postgres.
    """
    topic = site.settings.catalogue().events("screening")
    producer = ResilientProducer(site.urls.kafka, client_id="tests")
    office = BoxOffice(site, producer)
    await site.start_worker()
    await site.start_gateway(FIRMHOLD_BROADCAST_CHECK_SECONDS="3600")
    gateway = site.processes[-1]
    screening = await office.define(ROW)
    async with site.client() as client, listening(client.session, screening) as one:
        async with sleeping(gateway):
            await office.hold(screening, "A1")  # the broker answers a fetch with it that waits already
            await office.hold(screening, "A2")
            gone = {TopicPartition(topic, place): end for place, end in enumerate(await site.end_offsets(topic))}
            async with admin_client(site.urls.kafka) as admin:
                await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in gone.items()})
        await eventually(lambda: one.events.count("snapshot") == 2, what="a snapshot")
        assert one.seats == {"A1": "held", "A2": "held", "A3": "free"}
        await office.hold(screening, "A3")
        await one.until("snapshot", "held A3")
    await producer.stop()
