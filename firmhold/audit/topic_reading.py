"""Read topics from where they begin to an end that was noted: what comes later is another audit's."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from topics.admin import admin_client
from topics.strangers_records import read_strangers_records

_POLL_MS = 500
_SILENCE_SECONDS_MAX = 30.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 200_000_000_000_000  # in the year 8307


class SilentTopicError(Exception):
    """The broker said that there are records and gave none for long; the message names the topic."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where to read each partition: from its first offset to before its end. `is_cut` if there was something before."""

    first: int
    end: int

    @property
    def is_cut(self) -> bool:
        """Tell whether earlier records are gone or left out, so that what they said is not known."""
        return self.first > 0

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to read."""
        return self.first >= self.end


Spans = dict[int, Span]


class TopicReader:
    """Reads topics with one consumer, without a group: nobody notices."""

    def __init__(self, consumer: AIOKafkaConsumer, bootstrap_servers: str) -> None:
        """Use a started consumer."""
        self._consumer = consumer
        self._bootstrap_servers = bootstrap_servers

    async def spans(self, topic: str, partitions: int, since: datetime | None = None) -> Spans:
        """Note where the partitions of a topic begin (or what came after `since` does) and end just now."""
        places = [TopicPartition(topic, number) for number in range(partitions)]
        firsts = await self._consumer.beginning_offsets(places)
        ends = await self._consumer.end_offsets(places)
        if since is not None:
            milliseconds = int(since.timestamp() * 1000)
            found = await self._consumer.offsets_for_times(dict.fromkeys(places, milliseconds))
            for place in places:
                firsts[place] = ends[place] if found[place] is None else min(found[place].offset, ends[place])
        return {place.partition: Span(firsts[place], ends[place]) for place in places}

    async def committed(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """Return up to where a group is done with each partition of a topic; 0 where it committed nothing."""
        places = [TopicPartition(topic, number) for number in range(partitions)]
        async with admin_client(self._bootstrap_servers) as admin:
            offsets = await admin.list_consumer_group_offsets(group, partitions=places)
        return {place.partition: max(0, offsets[place].offset) if place in offsets else 0 for place in places}

    async def records(self, topic: str, spans: Mapping[int, Span]) -> AsyncIterator[ConsumerRecord]:
        """Yield the records within the spans; those of one partition in their order."""
        left = {TopicPartition(topic, number): span for number, span in spans.items() if not span.is_empty}
        if left:
            self._consumer.assign(list(left))
        for place, span in left.items():
            self._consumer.seek(place, span.first)
        silent_ms = 0
        while left:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            silent_ms = 0 if fetched else silent_ms + _POLL_MS
            if silent_ms >= _SILENCE_SECONDS_MAX * 1000:
                message = f"Kafka gave no record of topic {topic} for {_SILENCE_SECONDS_MAX:g} s: it may be down"
                raise SilentTopicError(message)
            for place, records in fetched.items():
                for record in records:
                    if place in left and record.offset < left[place].end:
                        yield record
            for place in list(left):
                if await self._consumer.position(place) >= left[place].end:
                    del left[place]
                    self._consumer.pause(place)


@asynccontextmanager
async def topic_reader(bootstrap_servers: str) -> AsyncIterator[TopicReader]:
    """Connect a reader for the length of the block."""
    read_strangers_records()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        client_id="firmhold-audit",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        yield TopicReader(consumer, bootstrap_servers)
    finally:
        await consumer.stop()


def instant(timestamp_ms: int) -> datetime:
    """Return the time of a record; a producer's own may be absurd, so it is kept within what a date can say."""
    return _EPOCH + timedelta(milliseconds=min(max(timestamp_ms, 0), _LATEST_MS))


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    """Return the headers of a record as texts."""
    return {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}
