"""A worker of the simulation: the real reader, applier, store, emitter, pipeline and sweeper; only the servers are twins.

In the place of Faust stands a member of the twin's group that takes records in un-acknowledged, commits what is
acknowledged four times a second, and learns of a new assignment with its heartbeat.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from aiokafka.errors import CommitFailedError, KafkaError

from schema.rows import ResourceKey
from schema.store import Transaction
from schema.writing import RacedError
from tests.simulation.caching import TombstonesOfWorker
from tests.simulation.site import PARKING, PARTITIONS, SESSION_SECONDS, WORKER, Site
from tests.simulation.world import Process
from tests.twins.memory_log import LogRecord, MemoryConsumer, MemoryProducer, Place
from tests.twins.memory_mirror import MemoryMirror
from tests.twins.memory_store import MemoryPool, store_on
from topics.log_records import Acknowledgement, Record
from topics.partitions import partition_of
from topics.producer import SendAll
from topics.redis_patience import Rest
from workers.applying import Applier, OpenTransaction
from workers.core.batch import Arrived
from workers.crash_points import CrashPoint
from workers.emitting import Emitter
from workers.invalidation import Invalidator
from workers.keeping import Keeper, Noted
from workers.mirroring import Mirror
from workers.pipeline import Limits, Pipeline
from workers.reading import Incoming, Reader
from workers.sweeping import Sweep, Sweeper

_COMMIT_SECONDS = 0.25
_PASSING = (KafkaError, OSError, TimeoutError)


@dataclass(frozen=True)
class Delivery:
    """A record as it was handed to the pipeline; see `workers.pipeline.Delivery`."""

    worker: "Worker"
    incoming: Incoming
    generation: int

    @property
    def place(self) -> Place:
        """Where its partition is."""
        return self.incoming.topic, self.incoming.partition

    def is_ours(self) -> bool:
        """Tell whether we still believe in the assignment under which it was fetched."""
        assignment = self.worker.consumer.assignment
        return self.generation == assignment.generation and self.place in assignment.places

    def acknowledge(self) -> None:
        """Let the next commit cover it, and all before it: a gap is not forgiven, and nobody asks whose it is."""
        self.worker.acknowledged[self.place] = self.incoming.offset + 1


class _CountingKeeper(Keeper):
    """Says how often a batch is decided on what an earlier one left."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.world.time)
        self._counts = site.counts

    def take(self, commands: Sequence[Arrived]) -> Noted | None:
        """Take it, and count."""
        noted = super().take(commands)
        self._counts["decided without reading"] += noted is not None
        return noted

    def rest(self) -> None:
        """Rest, and count."""
        super().rest()
        self._counts["kept what was so no more"] += 1


class Worker:
    """One life of a worker."""

    def __init__(self, site: Site, name: str, random: Random, *, sweeps: bool) -> None:
        """Prepare; `start` lets it work."""
        self.site = site
        self.name = name
        self.process: Process = site.world.process(name)
        self.consumer = MemoryConsumer(site.log, name, [site.catalogue.commands(site.kind)], site.line("kafka"))
        self.acknowledged: dict[Place, int] = {}
        self.dies_at: tuple[CrashPoint, int] | None = None
        self.fault: BaseException | None = None
        self.is_stopping = False
        self._random = random
        self._pool = MemoryPool(site.postgres, site.line("postgres"))
        self._producer = MemoryProducer(site.log, site.line("kafka"))
        self._expires = 0
        self._sweeps = sweeps
        self._visits: dict[CrashPoint, int] = {}
        self.process.on_death = self._died

    def start(self) -> None:
        """Begin to work."""
        self.process.start(self._live())

    async def _live(self) -> None:
        try:
            await self._work()
        except Exception as fault:  # noqa: BLE001 - whatever ends a worker ends the run
            self.fault = fault
            self.site.world.note(f"ends: {fault!r}")
        finally:
            self.process.is_alive = False
            self._pool.hang_up()

    async def _work(self) -> None:
        self.pipeline = self._pipeline()
        sweeper = self._sweeper()
        await self._joined()
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(work) for work in (self._heartbeats(), self._commits(), sweeper.run())]
            intake = tasks.create_task(self._intake())
            await self.pipeline.run()
            for task in (intake, *beside):
                task.cancel()
        await self._commit()
        with suppress(*_PASSING):  # the group will notice
            await self.consumer.leave()

    def stop(self) -> None:
        """Ask it to end in order, as SIGTERM does."""
        self.is_stopping = True
        self.pipeline.stop()

    def _died(self) -> None:
        """Leave what a dead process leaves: sessions that the server notices later; a commit that was just on its way."""
        decided = self.site.postgres.tables.requests
        if any(row["step_of"] is not None and row["step_of"] not in decided for row in decided.values()):
            self.site.counts["died with a command between its steps"] += 1
        if self._random.random() < 0.5:
            generation = self.consumer.assignment.generation
            with suppress(CommitFailedError):
                self.site.log.group.commit(self.name, generation, self.acknowledged)
        asyncio.get_running_loop().call_later(
            self._random.uniform(0, 2), self._pool.hang_up, context=self.site.world.context_of("postgres")
        )

    async def _joined(self) -> None:
        while True:
            try:
                await self.consumer.join()
            except _PASSING:
                await asyncio.sleep(0.3)
            else:
                return

    async def _intake(self) -> None:
        while True:
            generation = self.consumer.assignment.generation
            try:
                records = await self.consumer.fetch(self._random.choice((1, 5, 50)))
            except _PASSING:
                await asyncio.sleep(0.1)
                continue
            for record in records:
                await self.pipeline.inbox.put(Delivery(self, _incoming(record, self.site.kind), generation))

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(SESSION_SECONDS / 4)
            before = self.consumer.assignment
            try:
                await self.consumer.heartbeat()
            except _PASSING:
                continue
            if self.consumer.assignment.generation != before.generation:
                self.acknowledged.clear()
                self.site.counts["rebalance seen by a worker"] += 1
                self.site.world.note(f"has {_shown(self.consumer.assignment.places)}")

    async def _commits(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        offsets, self.acknowledged = self.acknowledged, {}
        if not offsets:
            return
        try:
            await self.consumer.commit(offsets)
        except CommitFailedError:
            self.site.counts["commit of a generation that was over"] += 1
        except _PASSING:
            self.acknowledged = offsets | self.acknowledged

    def is_zombie(self) -> bool:
        """Tell whether the group has gone on without it while it believes in what it has."""
        assignment = self.consumer.assignment
        return assignment.generation != self.site.log.group.generation and bool(assignment.places)

    def _reached(self, point: CrashPoint) -> None:
        site = self.site
        self._visits[point] = self._visits.get(point, 0) + 1
        if point is CrashPoint.IN_TRANSACTION and self.is_zombie():
            site.counts["zombie about to commit"] += 1
        if self.dies_at == (point, self._visits[point]):
            site.counts[f"died {point.value}"] += 1
            site.world.note(f"dies {point.value}")
            self.process.die()

    def die_at(self, point: CrashPoint, times: int) -> None:
        """Die when the point is reached so many times from now."""
        self.dies_at = point, self._visits.get(point, 0) + times

    async def _send_halves(self, records: Sequence[Record]) -> Sequence[Acknowledgement]:
        half = len(records) // 2
        first = await self._send(records[:half])
        if half:
            self._reached(CrashPoint.AFTER_HALF_OF_EVENTS)
        return [*first, *await self._send(records[half:])]

    async def _send(self, records: Sequence[Record]) -> Sequence[Acknowledgement]:
        return await self._producer.send_all(records)

    def _pipeline(self) -> Pipeline:
        site = self.site
        send_all: SendAll = self._send_halves
        return Pipeline(
            reader=Reader(site.keys, PARTITIONS),
            applier=Applier(
                _counting_races(store_on(self._pool).transaction, self._raced),
                request_retention=timedelta(days=14),
                parking=PARKING,
                expiries_max=self._random.choice(site.expiries),
                reached=self._reached,
                keeper=_CountingKeeper(site),
            ),
            invalidator=Invalidator(TombstonesOfWorker(site.cache, site.line("redis"), site.news), Rest(0.0)),
            mirror=Mirror(MemoryMirror(lambda: 0), Rest(0.0)),  # slots have nothing that is mirrored
            emitter=Emitter(site.catalogue),
            send_all=send_all,
            limits=Limits(
                inbox_events_max=self._random.choice((3, 20, 200)),
                inbox_bytes_max=1_000_000,
                batch_commands_max=self._random.choice((1, 4, 20)),
                batches_in_flight_max=2,
                culprits_max=0,
                retry_first_seconds=0.05,
                retry_longest_seconds=2.0,
            ),
            reached=self._reached,
        )

    def _raced(self) -> None:
        self.site.counts["raced by another worker"] += 1

    def _sweeper(self) -> Sweeper:
        def is_ours(key: ResourceKey) -> bool:
            topic = self.site.catalogue.commands(key.kind)
            place = topic, partition_of(key.resource_id.encode(), PARTITIONS)
            return place in self.consumer.assignment.places

        return Sweeper(
            due_resources=store_on(self._pool).due_resources,
            is_ours=is_ours,
            progress=self.pipeline.progress,
            send_all=self._producer.send_all,
            catalogue=self.site.catalogue,
            signing_key=WORKER,
            sweep=Sweep(1.0 if self._sweeps else 0.0, 1.0, 1_000),
            new_id=self._expire_id,
        )

    def _expire_id(self) -> str:
        self._expires += 1
        self.site.counts["Expire of a sweeper"] += 1
        return f"{self.name}-{self._expires}"


def _counting_races(transaction: OpenTransaction, raced: Callable[[], None]) -> OpenTransaction:
    @asynccontextmanager
    async def counted(*, is_locking: bool = True) -> AsyncIterator[Transaction]:
        try:
            async with transaction(is_locking=is_locking) as one:
                yield one
        except RacedError:
            raced()
            raise

    return counted


def _incoming(record: LogRecord, kind: str) -> Incoming:
    return Incoming(
        topic=record.topic,
        kind=kind,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        appended_at=record.appended_at,
        timestamp_type=record.timestamp_type,
    )


def _shown(places: frozenset[Place]) -> str:
    return f"partitions {sorted(partition for _, partition in places)}"
