"""Read all event partitions from the end, without a group, and answer the waiters of this gateway who were not told before.

A topic that nobody follows is left alone while Redis tells outcomes soon enough (`gateway.dozing`).
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from gateway.dozing import Doze
from gateway.waiters import Answer, Waiters
from topics.catalogue import KINDS, Catalogue
from topics.packed_fetches import pack_fetches
from topics.strangers_records import read_strangers_records

Place = tuple[str, int]

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS = 0.5
_SIGN_OF_LIFE_SECONDS = 2.0
_RECORDS_MAX = 2_000
_APART_SECONDS = 0.02
_LOOK_SECONDS = 0.1
_TYPE, _CORRELATION_ID, _COMMAND_RECORD = "ce_type", "ce_correlationid", "ce_commandrecord"
_PLACE = re.compile(r"([0-9]{1,10})/([0-9]{1,19})")  # more digits Kafka has not, and `int` fails over many


class Follower(Protocol):
    """Who is handed all events of one topic, as they come."""

    def see(self, records: Iterable[ConsumerRecord]) -> None:
        """Take records of one partition, in their order; the same ones may come again."""

    def lost(self) -> None:
        """Take note that some may have been missed until now."""


class EventReader:
    """Follows the event topics for as long as it runs; after a failure it goes on where it was."""

    def __init__(
        self,
        bootstrap_servers: str,
        catalogue: Catalogue,
        waiters: Waiters,
        decided: Callable[[Place, int], None],
        followers: Mapping[str, Follower],
        *,
        heard: Callable[[], int | None],
    ) -> None:
        """Prepare; `run` does the work. `decided` is told partition and offset of each command that an event answers.

        `followers` are by the topic that each of them follows; `heard` tells how many waits were ended otherwise, by Redis, and
        None while that cannot be.
        """
        read_strangers_records()
        pack_fetches()
        self._bootstrap_servers = bootstrap_servers
        self._partitions = [
            [TopicPartition(catalogue.events(kind), partition) for partition in range(catalogue.partitions)]
            for kind in KINDS
        ]
        self._waiters = waiters
        self._decided = decided
        self._followers = followers
        self._heard = heard
        self._commands_of = {catalogue.events(kind): catalogue.commands(kind) for kind in KINDS}
        self._positions: dict[TopicPartition, int] = {}
        self._alive_at = 0.0
        self.told = 0
        self.dozing: set[str] = set()
        self.reading = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._read()
            except OffsetOutOfRangeError:
                _log.warning("events were lost to retention before this gateway read them, it goes on at the end")
                self._positions.clear()
            except (KafkaError, OSError, TimeoutError) as fault:
                _log.warning("the event reader lost kafka", fault=repr(fault))
            except Exception:  # noqa: BLE001 - whatever it was, others wait for the next events
                # Without events this gateway only answers late; ended for good it would never be ready again.
                _log.exception("the event reader failed, it begins again where it was")
            finally:
                self.reading.clear()
            self._waiters.tell_of_gap()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self) -> None:
        """Read each topic by itself: broker and client take time for every partition that is asked for, with news or not."""
        async with AsyncExitStack() as stack:
            consumers = [await self._open(stack, partitions) for partitions in self._partitions]
            for consumer, partitions in zip(consumers, self._partitions, strict=True):
                await self._take_position(consumer, partitions)
            self._alive_at = time.monotonic()
            self.reading.set()
            self._waiters.tell_of_gap()
            running = [
                asyncio.create_task(self._follow(consumer, partitions))
                for consumer, partitions in zip(consumers, self._partitions, strict=True)
            ]
            running.append(asyncio.create_task(self._watch(consumers[0])))
            try:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
            for task in done:
                task.result()

    async def _open(self, stack: AsyncExitStack, partitions: Sequence[TopicPartition]) -> Any:  # noqa: ANN401
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            client_id="firmhold-gateway",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=500,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        stack.push_async_callback(consumer.stop)
        await consumer.start()
        consumer.assign(partitions)
        return consumer

    async def _follow(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:  # noqa: ANN401 - aiokafka is not typed
        doze: Doze[TopicPartition] = Doze()
        is_followed = partitions[0].topic in self._followers
        while True:
            if not is_followed and self._may(doze):
                await self._sleep(consumer, partitions, doze)
            batches = await consumer.getmany(timeout_ms=1_000, max_records=_RECORDS_MAX)
            was_awaited = False
            for partition, records in batches.items():
                was_awaited |= self._answer(records)
                if (follower := self._followers.get(partition.topic)) is not None:
                    hand_out(follower, records)
                self._positions[partition] = records[-1].offset + 1
            if was_awaited:
                doze.answered(time.monotonic(), self._heard())
            elif batches:
                # Whoever waited was told at once (`gateway.prompt_listener`): fewer, larger readings cost broker and us less.
                await asyncio.sleep(_APART_SECONDS)

    def _may(self, doze: Doze[TopicPartition]) -> bool:
        return doze.look(time.monotonic(), waiting_since=self._waiters.since(), heard=self._heard())

    async def _sleep(
        self,
        consumer: Any,  # noqa: ANN401 - aiokafka is not typed
        partitions: Sequence[TopicPartition],
        doze: Doze[TopicPartition],
    ) -> None:
        """Read nothing for as long as that may be, then go on behind what nobody here waits for."""
        topic = partitions[0].topic
        consumer.pause(*partitions)
        self.dozing.add(topic)
        try:
            await self._mark(consumer, partitions, doze)
        except (KafkaError, OSError, TimeoutError) as fault:
            _log.warning("where events end cannot be told, they are read", topic=topic, fault=repr(fault))
        finally:
            self.dozing.discard(topic)
        doze.wake(time.monotonic())
        for partition in partitions:
            consumer.seek(partition, self._positions[partition])
        consumer.resume(*partitions)

    async def _mark(
        self,
        consumer: Any,  # noqa: ANN401 - aiokafka is not typed
        partitions: Sequence[TopicPartition],
        doze: Doze[TopicPartition],
    ) -> None:
        """Mark where the log ends, and move on to old marks, until events are needed; raises what looking raises.

        Nobody waits for the look itself: it comes behind a fetch that the broker holds, and a broker may be silent.
        """
        looking: asyncio.Future[Mapping[TopicPartition, int]] | None = None
        try:
            while self._may(doze):
                if looking is None and doze.wants_mark(time.monotonic()):
                    looking = asyncio.ensure_future(consumer.end_offsets(partitions))
                if looking is not None and looking.done():
                    doze.mark(time.monotonic(), looking.result())
                    looking = None
                self._positions |= doze.passed(self._waiters.since())
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def _watch(self, consumer: Any) -> None:  # noqa: ANN401 - aiokafka is not typed
        """Ask the broker for a sign of life, again and again: fetching hides that it is away."""
        while True:
            try:
                async with asyncio.timeout(_SIGN_OF_LIFE_SECONDS):
                    await consumer.end_offsets(self._partitions[0][:1])
                self._alive_at = time.monotonic()
            except (KafkaError, OSError, TimeoutError):
                _log.warning("kafka gives no sign of life")
            await asyncio.sleep(_SIGN_OF_LIFE_SECONDS)

    def is_reading(self) -> bool:
        """Tell whether events are followed and the broker gave a sign of life of late."""
        return self.reading.is_set() and time.monotonic() - self._alive_at < 3 * _SIGN_OF_LIFE_SECONDS

    async def _take_position(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:  # noqa: ANN401
        """Go on where we were; begin at the end where we were not yet."""
        unread = [partition for partition in partitions if partition not in self._positions]
        if unread:
            self._positions |= await consumer.end_offsets(unread)
            for topic in {partition.topic for partition in unread} & self._followers.keys():
                self._followers[topic].lost()
        for partition in partitions:
            consumer.seek(partition, self._positions[partition])

    def _answer(self, records: Iterable[ConsumerRecord]) -> bool:
        """Tell what is decided, and answer who waits; return whether anybody did."""
        told, was_awaited = "", False
        for record in records:
            by_name = dict(record.headers)
            place, request_id = _text(by_name, _COMMAND_RECORD), _text(by_name, _CORRELATION_ID)
            if place != told:  # the commands of one record are answered one after the other
                told = place
                tell_decided(self._decided, self._commands_of[record.topic], told)
            if request_id and self._waiters.awaits(request_id):
                was_awaited = True
                self.told += 1
                self._waiters.answer(request_id, Answer(_text(by_name, _TYPE), record.value or b"", place))
        return was_awaited


def tell_decided(decided: Callable[[Place, int], None], topic: str, command_record: str) -> None:
    """Tell that a command of a topic was decided, by its record `{partition}/{offset}`. What is none tells nothing."""
    found = _PLACE.fullmatch(command_record)
    if found is not None:
        decided((topic, int(found[1])), int(found[2]))


def hand_out(follower: Follower, records: Sequence[ConsumerRecord]) -> None:
    """Let a follower see records. One that fails over them has lost them: read again they would only fail again."""
    try:
        follower.see(records)
    except Exception:  # noqa: BLE001 - whatever it was, others wait for the next events
        first = records[0]
        _log.exception("a follower failed", topic=first.topic, partition=first.partition, offset=first.offset)
        follower.lost()


def _text(headers: Mapping[str, bytes | None], name: str) -> str:
    return (headers.get(name) or b"").decode("utf-8", "replace")
