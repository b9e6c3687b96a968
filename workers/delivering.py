"""Faust's way of a record from the fetch to the agent, without a task for each: `deliver_directly`, `DirectStream`.

Faust makes four tasks and a wait for every message, takes a lock, gives the event loop a turn and asks its sensors. All
that is for a message that cannot go on at once. Here what can go on at once does; what cannot (the agent's queue is full,
there is a gap in the offsets, a rebalance is on) is left to Faust's own code. Membership, assignment, offsets and commits
are Faust's as ever. It was measured at 100 to 150 µs of processor time a record, and is 15 to 25 µs this way.

Some of the names used here are private, so an app is refused any other versions than those this was written for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableSet, Sequence
from importlib.metadata import version
from time import monotonic
from typing import Any, Final, cast

import faust
from aiokafka import TopicPartition
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT
from faust.types.transports import ConsumerCallback
from faust.types.tuples import Message
from mode.utils.futures import maybe_async

from workers.waiting import is_set_within

WRITTEN_FOR: Final = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
_RECORDS_PER_TURN = 20  # so many go on before everyone else has a turn
# aiokafka's own 0.1 s are too short: it then asks the broker for the other partitions only, and as long as that waits for
# news of those, up to 1.5 s, for none of the busy one. What others have meanwhile would wait in our inbox as well.
_UNTAKEN_SECONDS_MAX = 2.0
_ALL_FULL_SECONDS = 1.0


class UnknownVersionError(Exception):
    """A library is not of the version that we adapt; the message names it."""


def deliver_directly(app: faust.App) -> None:
    """Let an app, not started yet, take this way. Raises UnknownVersionError if the libraries are not those we know."""
    for library, known in WRITTEN_FOR.items():
        if version(library) != known:
            message = f"{library} is {version(library)}, but workers/delivering.py was written for {known}"
            raise UnknownVersionError(message)
    app.transport = _Transport(app.conf.broker_consumer, app)


class DirectStream(faust.Stream[Any]):
    """Faust's stream, with a way of iterating that leaves every acknowledgement to whoever takes the events."""

    async def unacknowledged(self) -> AsyncIterator[EventT[Any]]:
        """Yield the events of the current assignment. Those of an earlier one are dropped: they come again to their owner."""
        self._finalized = True
        started_here = await self.maybe_start()
        app, queue = self.app, cast("Any", self.channel).queue
        last_inbound = app.monitor.stream_inbound_time  # Faust would warn that the stream stands still
        records = 0
        try:
            while not self.should_stop:
                if records >= _RECORDS_PER_TURN:
                    records = 0
                    await asyncio.sleep(0)
                event = await queue.get() if queue.empty() else queue.get_nowait()
                records += 1
                message = event.message
                if app.flow_control.is_active() and message.generation_id == app.consumer_generation_id:
                    last_inbound[message.tp] = monotonic()
                    yield event
        except StopAsyncIteration:  # how Faust ends an agent; a generator must not let it out
            return
        finally:
            self._channel_stop_iteration(self.channel)
            if started_here:
                await self.stop()
                self.service_reset()


class _Handler:
    """Hands the messages of one partition to its agent."""

    def __init__(self, app: Any, tp: TP, topics: MutableSet[Any], as_faust_does: ConsumerCallback) -> None:  # noqa: ANN401
        self._app = app
        self._tp = tp
        self._topics = topics
        self._as_faust_does = as_faust_does

    async def __call__(self, message: Message) -> None:
        """Wait until the flow is active and the agent's queue has room."""
        await self._as_faust_does(message)

    def at_once(self, message: Message) -> bool:
        """Return False, and do nothing, if that would have to wait."""
        if len(self._topics) != 1 or not self._app.flow_control.is_active():
            return False
        (topic,) = self._topics
        if topic.queue.full():
            return False
        message.incref()
        # Key and value are raw bytes, and nobody reads an event's headers: they are a dictionary, which loses repeated ones.
        event = faust.Event(self._app, message.key, message.value, None, message)
        topic.queue.put_nowait_enhanced(
            event, on_pressure_high=self._pause_fetching, on_pressure_drop=self._resume_fetching
        )
        return True

    def _pause_fetching(self) -> None:
        self._app.consumer.on_buffer_full(self._tp)

    def _resume_fetching(self) -> None:
        self._app.consumer.on_buffer_drop(self._tp)


class _Conductor(Conductor):
    def _build_handler(self, tp: TP, channels: MutableSet[Any]) -> ConsumerCallback:
        return _Handler(self.app, tp, channels, super()._build_handler(tp, channels))

    def at_once(self, message: Message) -> bool:
        """Hand a message to its agent; False, and nothing is done, if that would have to wait."""
        handler: Any = self._tp_to_callback.get(message.tp)
        return handler is not None and not self._tp_to_callback_lock.locked() and handler.at_once(message)


class _ClientHere(driver.AIOKafkaConsumerThread):
    """Faust's client of Kafka, on the worker's own event loop: it has no thread, whatever its base is called.

    The hand-over between threads took half a millisecond for a lone record: the client's thread keeps the interpreter until
    it has sent its next fetch. Heartbeats now tell that the loop is alive which does the work: if it stood still for longer
    than the session timeout, the partitions would go to others, as they do when a worker is stopped by SIGSTOP.
    """

    async def start(self) -> None:
        """Connect. Raises what the client raises."""
        self._thread_started.set()
        await self._default_start()
        self._ensure_consumer()._fetcher._prefetch_backoff = _UNTAKEN_SECONDS_MAX  # noqa: SLF001

    async def on_stop(self) -> None:
        """Leave the group and disconnect, in the order in which the thread would do it."""
        await self._shutdown_thread()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Call the client."""
        return await maybe_async(fun(*args, **kwargs))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Tell Faust."""
        self._stop_flow()
        await self.consumer.on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Tell Faust."""
        self._stop_flow()
        await self.consumer.on_partitions_assigned(assigned, generation_id)

    def _stop_flow(self) -> None:
        # Faust stops it only for who had partitions before. A spare worker that gets its first ones would hand records on
        # while Faust still seeks to the committed offsets; the recovery that follows each assignment lets all flow again.
        self.consumer.stop_flow()
        self.consumer.app.flow_control.suspend()


class _Consumer(driver.Consumer):
    _assigned: object = None
    _assigned_tps: frozenset[TP] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Faust's own
        super().__init__(*args, **kwargs)
        self._dropped = asyncio.Event()

    def _new_consumer_thread(self) -> _ClientHere:
        return _ClientHere(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    def assignment(self) -> Any:  # noqa: ANN401 - a set of TP; Faust makes a new one for each call
        """Return the partitions that are ours now."""
        assigned = self._thread._ensure_consumer().assignment()  # noqa: SLF001 - as Faust's own
        if assigned is not self._assigned:
            self._assigned_tps = frozenset(TP(tp.topic, tp.partition) for tp in assigned)
            self._assigned = assigned
        return self._assigned_tps

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - Faust's signature
        """Fetch; where all partitions wait for room, as soon as one has it: Faust sleeps for a second."""
        if self._buffered_partitions and not self._get_active_partitions():
            self._dropped.clear()
            await is_set_within(self._dropped, _ALL_FULL_SECONDS)
        return await super()._wait_next_records(timeout)

    def on_buffer_drop(self, tp: TP) -> None:
        """Fetch from a partition again, and at once.

        What the client has of it already it hands out only when something else comes, or its wait of a second is over.
        """
        super().on_buffer_drop(tp)
        self._dropped.set()
        fetcher = self._thread._ensure_consumer()._fetcher  # noqa: SLF001 - as Faust's own
        for waiter in fetcher._fetch_waiters:  # noqa: SLF001
            fetcher._notify(waiter)  # noqa: SLF001

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """Fetch, hand on what can go at once, and yield the rest for Faust to do it."""
        records, active = await self._wait_next_records(timeout)
        if records is None or active is None or self.should_stop:
            return
        if not self.flow_active:
            self._rewind(records)
            return
        generation = self.app.consumer_generation_id
        for place, (tp, record) in enumerate(self.scheduler.iterate(records), 1):
            if self._is_over(generation):
                return
            if tp in active or tp in self._buffered_partitions:
                message = self._to_message(tp, record)
                if not self._at_once(tp, message):
                    yield tp, message
            if place % _RECORDS_PER_TURN == 0:
                await asyncio.sleep(0)

    def _is_over(self, generation: int) -> bool:
        return not self.flow_active or self.should_stop or self.app.consumer_generation_id != generation

    def _rewind(self, records: Mapping[Any, Sequence[Any]]) -> None:
        """Let what was fetched in this very turn of the loop be fetched again: the reader's position is behind it already.

        Faust seeks to the committed offsets, which a partition without any passes over, and a failure would be forgotten.
        """
        client = self._thread._ensure_consumer()  # noqa: SLF001 - as Faust's own
        for tp, fetched in records.items():
            if fetched:
                client.seek(TopicPartition(tp.topic, tp.partition), fetched[0].offset)

    def _at_once(self, tp: TP, message: Message) -> bool:
        read = self._read_offset[tp]
        if read and not 0 <= message.offset - read <= 1:
            return False
        commit_is_due = self._commit_every is not None and self._n_acked >= self._commit_every
        if commit_is_due or not cast("_Conductor", self.app.topics).at_once(message):
            return False
        self._read_offset[tp] = message.offset
        return True


class _Transport(driver.Transport):
    Consumer = _Consumer
    Conductor = _Conductor
