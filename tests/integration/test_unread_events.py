"""Events that Redis makes needless stay unread; whoever is not told by it is answered by his event all the same."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord, TopicPartition

from gateway import dozing
from gateway.event_reader import EventReader, Place
from gateway.waiters import Answer, Waiters
from tests.installation import eventually
from tests.servers import Urls
from topics.admin import create_topics
from topics.catalogue import KINDS, Catalogue
from topics.log_records import Record
from topics.producer import ResilientProducer

PARTITIONS = 2


class Broadcast:
    """Follows a topic."""

    def see(self, records: Iterable[ConsumerRecord]) -> None:
        """Take them."""

    def lost(self) -> None:
        """Nothing is lost."""


class Site:
    """A reader on a real log, with what it told; `heard` is what Redis told, None while it is away."""

    def __init__(self, kafka: str, catalogue: Catalogue) -> None:
        """Prepare."""
        self.catalogue = catalogue
        self.waiters = Waiters(100)
        self.decided: list[tuple[Place, int]] = []
        self.heard: int | None = 0
        self.reader = EventReader(
            kafka,
            catalogue,
            self.waiters,
            lambda place, offset: self.decided.append((place, offset)),
            {catalogue.events("screening"): Broadcast()},
            heard=lambda: self.heard,
        )
        self._producer = ResilientProducer(kafka, client_id="tests")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Site"]:
        """Read."""
        reading = asyncio.create_task(self.reader.run())
        try:
            yield self
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._producer.stop()

    async def dozes(self) -> None:
        """Return when the reader leaves alone what nobody follows, and only that."""
        topics = {self.catalogue.events(kind) for kind in KINDS if kind != "screening"}
        await eventually(lambda: self.reader.dozing == topics)

    async def ask(self, *told: str) -> Answer:
        """Wait for the request `mine` while these are told; return what answers it."""
        with self.waiters.waiting_for("mine") as waiter:
            assert waiter is not None
            await self.tell(*told)
            await asyncio.wait_for(waiter.answered(), 20)
            assert waiter.answer is not None
            return waiter.answer

    async def tell(self, *requests: str) -> None:
        """Send the event that answers a request, for each; their commands lie at offsets 0, 1, 2 … of partition 1."""
        topic = self.catalogue.events("slot")
        records = [
            Record(topic, None, b"{}", _headers(request, f"1/{offset}"), 1) for offset, request in enumerate(requests)
        ]
        await self._producer.send_all(records)


def _headers(request: str, place: str) -> list[tuple[str, bytes]]:
    return [
        ("ce_type", b"hold.placed"),
        ("ce_correlationid", request.encode()),
        ("ce_commandrecord", place.encode()),
    ]


@pytest_asyncio.fixture
async def site(servers: Urls, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Give one that falls asleep soon, and marks at each look."""
    monkeypatch.setattr(dozing, "AWAKE_SECONDS", 0.2)
    monkeypatch.setattr(dozing, "MARKED_SECONDS", 0.0)
    catalogue = Catalogue(prefix=topic_prefix, partitions=PARTITIONS, replication=1)
    await create_topics(servers.kafka, catalogue)
    async with Site(servers.kafka, catalogue).running() as one:
        yield one


async def test_what_nobody_waits_for_is_never_read(site: Site) -> None:
    """Passed over, also after waking. Seen to fail where the reader begins again where it fell asleep."""
    await site.dozes()
    place = TopicPartition(site.catalogue.events("slot"), 1)
    began = site.reader._positions[place]
    await site.tell("somebody", "else")
    await eventually(lambda: site.reader._positions[place] == began + 2)
    site.heard = None
    await eventually(lambda: not site.reader.dozing)
    await site.ask("mine")
    assert site.decided == [((site.catalogue.commands("slot"), 1), 0)]


async def test_who_is_not_told_is_answered_by_his_event(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though many marks are taken while he waits. Seen to fail where marks of the time of his wait are taken."""
    monkeypatch.setattr(dozing, "UNTOLD_SECONDS", 1.0)
    await site.dozes()
    assert (await site.ask("somebody", "mine")).record == "1/1"
    assert site.reader.told == 1


async def test_without_redis_events_are_read_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to wait for long first. Fails if the reader sleeps on."""
    monkeypatch.setattr(dozing, "UNTOLD_SECONDS", 60.0)
    await site.dozes()
    site.heard = None
    await eventually(lambda: not site.reader.dozing)
    await site.ask("mine")
