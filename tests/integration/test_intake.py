"""What reaches the pipeline's door, and how far Faust commits: the intake alone, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import faust
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from tests.installation import eventually
from tests.servers import Urls
from topics.admin import admin_client, create_topics
from topics.catalogue import Catalogue
from topics.log_records import Record
from topics.producer import ResilientProducer
from workers import delivering
from workers.delivering import UnknownVersionError
from workers.inbox import Delivery
from workers.intake import Group, make_app, take_in

QUEUE_EVENTS_MAX = 1024
BACKLOG = 8 * QUEUE_EVENTS_MAX
FOR_EVER_SECONDS = 60


@dataclass
class Door:
    """Where an intake puts its deliveries; closed, it lets nothing in."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: list[Delivery] = field(default_factory=list)

    async def put(self, delivery: Delivery) -> None:
        """Take a delivery in once the door is open."""
        await self.is_open.wait()
        self.arrived.append(delivery)

    def offsets(self) -> list[int]:
        """Return the offsets in the order of arrival."""
        return [delivery.incoming.offset for delivery in self.arrived]


@dataclass
class Site:
    """A log with one partition for each kind, and the group that reads it."""

    kafka: str
    catalogue: Catalogue

    @property
    def place(self) -> TopicPartition:
        """The partition of the slots' commands."""
        return TopicPartition(self.catalogue.commands("slot"), 0)

    async def send(self, count: int, value: bytes = b"a command") -> None:
        """Append records."""
        producer = ResilientProducer(self.kafka, client_id="tests")
        try:
            await producer.send_all([Record(self.place.topic, b"slot", value, [], 0)] * count)
        finally:
            await producer.stop()

    async def committed(self) -> int:
        """Return where the group stands."""
        async with admin_client(self.kafka) as admin:
            offsets = await admin.list_consumer_group_offsets(self.group, partitions=[self.place])
        return int(offsets[self.place].offset)

    @property
    def group(self) -> str:
        """The name of the group."""
        return f"{self.catalogue.prefix}workers"

    @asynccontextmanager
    async def intake(
        self, door: Door, on_revoked: Callable[..., Awaitable[None]] | None = None
    ) -> AsyncIterator[faust.App]:
        """Run an intake; `on_revoked` is told whenever partitions are taken away, before new ones are given."""
        app = make_app(Group(self.kafka, self.group, 6.0))
        if on_revoked is not None:
            app.on_partitions_revoked.connect(on_revoked, weak=False)
        take_in(app, self.catalogue, door.put)
        await app.start()
        try:
            yield app
        finally:
            await app.stop()


@pytest.fixture
async def site(servers: Urls, topic_prefix: str) -> Site:
    """Give an empty log."""
    catalogue = Catalogue(prefix=topic_prefix, partitions=1, replication=1)
    await create_topics(servers.kafka, catalogue)
    return Site(servers.kafka, catalogue)


async def test_a_door_that_stays_shut_bounds_what_waits(site: Site) -> None:
    """More records than fit wait in the log's order before the door, and only so many of them in an agent's queue.

    Seen to fail (all wait in the queue) if `_Handler.at_once` does not ask whether the queue is full.
    """
    count = 3 * QUEUE_EVENTS_MAX
    await site.send(count)
    door = Door()
    async with site.intake(door) as app:
        queues = [topic.queue for topic in app.topics]
        await eventually(lambda: any(queue.full() for queue in queues), what="a queue is full")
        for _ in range(1000):
            await asyncio.sleep(0)
        assert max(queue.qsize() for queue in queues) <= QUEUE_EVENTS_MAX
        door.is_open.set()
        await eventually(lambda: len(door.arrived) == count, what="all have arrived")
    assert door.offsets() == list(range(count))


async def test_a_backlog_flows_on_as_soon_as_there_is_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client has, and what lies in the log behind it, comes without waiting for other, quiet partitions.

    Waits that last up to 1 s and 1.5 s last for ever here. Seen to fail if a queue that has room again wakes nobody, and if
    the client asks for other partitions while it has records that nobody took.
    """
    door = Door()
    async with site.intake(door) as app:
        consumer: Any = app.consumer
        await eventually(lambda: consumer.flow_active and consumer.assignment(), what="partitions are given")
        fetcher = consumer._thread._ensure_consumer()._fetcher
        monkeypatch.setattr(fetcher, "_fetch_max_wait_ms", FOR_EVER_SECONDS * 1000)
        wait_next = consumer._wait_next_records
        monkeypatch.setattr(consumer, "_wait_next_records", lambda _: wait_next(FOR_EVER_SECONDS))
        await asyncio.sleep(2)  # the waits that have begun already are over
        for _ in range(BACKLOG // QUEUE_EVENTS_MAX):
            await site.send(QUEUE_EVENTS_MAX, b"a command" * 60)
        await eventually(lambda: site.place in fetcher._records, what="the client has records that nobody took")
        await asyncio.sleep(0.5)  # longer than it would wait for us before it asked for others
        door.is_open.set()
        await eventually(lambda: len(door.arrived) == BACKLOG, what="all have arrived")
    assert door.offsets() == list(range(BACKLOG))


async def test_where_all_partitions_wait_for_room_the_first_that_has_it_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a worker that has one partition only. Seen to fail if Faust sleeps, for ever here."""
    door = Door()
    async with site.intake(door) as app:
        consumer: Any = app.consumer
        await eventually(lambda: consumer.flow_active and consumer.assignment(), what="partitions are given")
        await site.send(900)
        await eventually(lambda: consumer._buffered_partitions, what="the agent's queue is nearly full")
        monkeypatch.setattr(consumer, "sleep", lambda seconds: asyncio.sleep(seconds * FOR_EVER_SECONDS))
        monkeypatch.setattr(delivering, "_ALL_FULL_SECONDS", FOR_EVER_SECONDS)
        for place in consumer.assignment():
            consumer.on_buffer_full(place)
        await asyncio.sleep(1.5)  # the wait that has begun already is over
        await site.send(200)
        door.is_open.set()
        await eventually(lambda: len(door.arrived) == 1_100, what="all have arrived")
    assert door.offsets() == list(range(1_100))


async def test_commits_go_on_behind_a_gap_in_the_offsets(site: Site) -> None:
    """Records that are deleted before anyone read them leave a gap: Faust must know of it, or it never commits again.

    Seen to fail (the commit stays at 10) if `_Consumer._at_once` hands on what lies behind a gap.
    """
    await site.send(10)
    await _take_and_acknowledge(site, lambda offsets: len(offsets) == 10, committed=10)
    await site.send(20)
    async with admin_client(site.kafka) as admin:
        await admin.delete_records({site.place: RecordsToDelete(before_offset=25)})
    offsets = await _take_and_acknowledge(site, lambda offsets: 29 in offsets, committed=30)
    assert offsets == [25, 26, 27, 28, 29]


async def _take_and_acknowledge(site: Site, is_done: Callable[[list[int]], bool], *, committed: int) -> list[int]:
    door = Door()
    door.is_open.set()

    async def is_committed() -> bool:
        return await site.committed() == committed

    async with site.intake(door):
        await eventually(lambda: is_done(door.offsets()), what="what is awaited has arrived")
        for delivery in door.arrived:
            delivery.acknowledge()
        await eventually(is_committed, what=f"offset {committed} is committed")
    return door.offsets()


async def test_what_is_fetched_while_the_flow_stands_still_comes_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a partition of which nothing was ever committed, too, where Faust has no offset to seek to.

    Seen to fail (nothing arrives) if it is sought to the committed offset, as Faust does.
    """
    door, fetched = Door(), asyncio.Event()
    door.is_open.set()
    async with site.intake(door) as app:
        consumer: Any = app.consumer
        get_many = consumer._getmany  # the moment between the fetch and what is done with it

        async def get_many_as_the_flow_stops(*args: object, **more: object) -> Any:  # noqa: ANN401
            records = await get_many(*args, **more)
            if records and not fetched.is_set():
                consumer.stop_flow()
                fetched.set()
            return records

        monkeypatch.setattr(consumer, "_getmany", get_many_as_the_flow_stops)
        await site.send(3)
        await asyncio.wait_for(fetched.wait(), 30)
        assert door.offsets() == []
        consumer.resume_flow()
        await eventually(lambda: len(door.arrived) == 3, what="all have arrived")
    assert door.offsets() == [0, 1, 2]


async def test_nothing_flows_while_partitions_are_given_to_a_spare_worker(site: Site) -> None:
    """Seen to fail (it flows) if the flow is left to Faust, which stops it only for who had partitions before."""
    flowed: list[bool] = []

    async def note(app: Any, *_: object, **__: object) -> None:  # noqa: ANN401 - as Faust calls it
        flowed.append(app.consumer.flow_active or app.flow_control.is_active())

    async with site.intake(Door(), on_revoked=note):
        await eventually(lambda: bool(flowed), what="partitions are given")
    assert not any(flowed[:1])


def test_other_versions_than_those_known_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is adapted has private names: nobody may run it on versions that nobody has tried."""
    monkeypatch.setitem(delivering.WRITTEN_FOR, "aiokafka", "0.13.9")
    with pytest.raises(UnknownVersionError, match=r"aiokafka is 0\.14\.0, but .* written for 0\.13\.9"):
        make_app(Group("127.0.0.1:9", "workers", 6.0))
