"""The way of a record through a worker: inbox, batcher, emitter, acknowledgement. Nothing is skipped, order is kept.

Two steps run beside each other, so that the next batch commits while the last one's events are on their way: the batcher
decides and stores, the emitter sends and acknowledges. What a commit changed is invalidated at once, however long the
events of earlier batches take: polls read Postgres, not events. The emitter waits for it before it sends. The same goes for
the mirror of held pools. Where somebody waits at a gateway, it is told the outcome then and there (docs/decisions/0009): the
events of a batch of which all are told so wait a moment for those of the next ones, as each sending costs much.

What fails for a passing reason is tried again in place, however long that takes; what is not understood is raised, and
the worker stops.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from schema.faults import is_transient
from topics.commands import DefineResource
from topics.producer import SendAll
from workers.applying import Applied, Applier
from workers.backoff import backoff
from workers.core.batch import Arrived
from workers.counting import Counts, now
from workers.crash_points import CrashPoint, Reached
from workers.emitting import Emitter
from workers.inbox import Delivery, Inbox, Read, items_of
from workers.invalidation import Invalidator
from workers.mirror_changes import changes_of
from workers.mirroring import Mirror
from workers.progress import Progress
from workers.prompt_outcomes import Prompt, prompt_of
from workers.reading import FORBIDDEN, Item, Ordered, Reader, Rejected
from workers.stages import Stage
from workers.waiting import is_set_within

_log = structlog.get_logger(__name__)
_HOUR_SECONDS = 3600.0
_KEY_CHARACTERS_MAX = 64
_EVENTS_APART_SECONDS = 0.015
_PROMPT_SECONDS = 0.002  # Redis answers in a quarter of that; else the next batch keeps the loop from hearing it


class TooManyCulpritsError(Exception):
    """Too many commands failed by a fault of ours: stopping does less harm than putting more of them aside."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The named bounds of a pipeline."""

    inbox_events_max: int
    inbox_bytes_max: int
    batch_commands_max: int
    batches_in_flight_max: int
    culprits_max: int
    retry_first_seconds: float
    retry_longest_seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Deliveries, what was read of them, what that came to, and how cache and mirror are being told.

    `telling_redis` ends with whether nobody waits for the events.
    """

    deliveries: Sequence[Delivery]
    items: Sequence[Item]
    applied: Applied
    telling_redis: asyncio.Task[bool]


class Pipeline:
    """Decides what comes in, in order; see the module."""

    def __init__(
        self,
        *,
        reader: Reader,
        applier: Applier,
        invalidator: Invalidator,
        mirror: Mirror,
        emitter: Emitter,
        send_all: SendAll,
        limits: Limits,
        reached: Reached,
    ) -> None:
        """Connect the parts; nothing runs before `run`."""
        self._applier = applier
        self._invalidator = invalidator
        self._mirror = mirror
        self._emitter = emitter
        self._send_all = send_all
        self._limits = limits
        self.stages = applier.stages
        self._reached = reached
        self.inbox = Inbox(reader, events_max=limits.inbox_events_max, bytes_max=limits.inbox_bytes_max)
        self._decided: asyncio.Queue[Batch] = asyncio.Queue(limits.batches_in_flight_max)
        self._culprits_at: deque[float] = deque()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._unfinished = 0
        self.counts = Counts()
        self.progress = Progress()

    def last_progress(self) -> float:
        """Return when (by the event loop's clock) there last was nothing to do, or something got done."""
        return now() if not self.inbox and self._unfinished == 0 else self.counts.last_progress

    async def run(self) -> None:
        """Work until `drain`; raises what is not understood."""
        async with asyncio.TaskGroup() as tasks:
            emitter = tasks.create_task(self._emit_batches())
            await self._decide_batches()
            await self._decided.join()
            emitter.cancel()
        if self._has_too_many_culprits():
            message = (
                f"{len(self._culprits_at)} commands failed within an hour by a fault of ours; see the dead letters"
            )
            raise TooManyCulpritsError(message)

    def _has_too_many_culprits(self) -> bool:
        return len(self._culprits_at) > self._limits.culprits_max

    def stop(self) -> None:
        """Take no new batch; what has begun is finished by `run`, as long as its owner lets it."""
        self._stopping.set()
        self.inbox.wake()
        self._hurry.set()

    async def _decide_batches(self) -> None:
        while (reads := await self._next_reads()) is not None:
            self.counts.last_progress = now()
            self._unfinished += 1
            if not await self._decide_batch(reads):
                self._unfinished -= 1

    async def _next_reads(self) -> list[Read] | None:
        """Return what is waiting, without a timer: a lone command starts at once, under load a batch grows by itself."""
        while not self.inbox and not self._stopping.is_set():
            await self.inbox.wait()
        return None if self._stopping.is_set() else self.inbox.take(self._limits.batch_commands_max)

    async def _decide_batch(self, reads: list[Read]) -> bool:
        """Decide however often it takes; return whether it was handed to the emitter."""
        pauses = backoff(self._limits.retry_first_seconds, self._limits.retry_longest_seconds)
        while True:
            # An earlier assignment's records come again to whoever owns the partition now: they are not ours to decide.
            reads = [read for read in reads if read.delivery.is_ours()]
            if not reads:
                return False
            try:
                await self._decide(reads)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                self.counts.retries += 1
                pause = next(pauses)
                _log.warning("batch is tried again", pause_seconds=pause, fault=repr(fault), **_summary(reads))
                if await is_set_within(self._stopping, pause):
                    return False
            else:
                return True

    async def _decide(self, reads: Sequence[Read]) -> None:
        self._reached(CrashPoint.BEFORE_TRANSACTION)
        items = items_of(reads)
        commands = [item.arrived for item in items if isinstance(item, Ordered)]
        with self.inbox.reading_ahead(self._limits.batch_commands_max):
            applied = await self._applier.apply(commands) if commands else Applied((), {})
        for read in reads:
            incoming = read.delivery.incoming
            self.progress.note(incoming.topic, incoming.partition, incoming.offset)
        prompt = prompt_of(applied.outcomes)
        telling = asyncio.create_task(self._tell_redis(items, applied, prompt))
        if prompt.message:
            await asyncio.wait((telling,), timeout=_PROMPT_SECONDS)
        await self._decided.put(Batch([read.delivery for read in reads], items, applied, telling))
        if self._decided.full() or not (telling.done() and telling.result()):
            self._hurry.set()
        self._count(items, applied)

    async def _tell_redis(self, items: Sequence[Item], applied: Applied, prompt: Prompt) -> bool:
        """Mirror, invalidate, and tell outcomes; return whether nobody waits for the events then.

        Who is told his outcome may look at once, so that comes last. Of several batches the later may be told first: the
        larger version wins.
        """
        kinds = _kinds_defined(items)
        changes = changes_of(applied)
        if changes:
            await asyncio.gather(self._invalidator.invalidate(applied.versions, kinds), self._mirror.tell(changes))
            is_told = await self._invalidator.invalidate({}, (), prompt.message)
        else:
            is_told = await self._invalidator.invalidate(applied.versions, kinds, prompt.message)
        return is_told and prompt.is_whole and len(applied.outcomes) == len(items)

    async def _emit_batches(self) -> None:
        while True:
            batches = [await self._decided.get()]
            if await batches[0].telling_redis:
                await is_set_within(self._hurry, _EVENTS_APART_SECONDS)
                self._hurry.clear()
            while not self._decided.empty():
                batches.append(self._decided.get_nowait())
            await self._emit(batches)
            for _ in batches:
                self._unfinished -= 1
                self._decided.task_done()

    async def _emit(self, batches: Sequence[Batch]) -> None:
        # Made while redis is being told.
        records = [record for batch in batches for record in self._emitter.records(batch.items, batch.applied)]
        laps = self.stages.begin()
        for batch in batches:
            await batch.telling_redis
        laps.end(Stage.INVALIDATE)
        self._reached(CrashPoint.AFTER_INVALIDATION)
        await self._send_all(records)
        laps.end(Stage.EMIT)
        self._reached(CrashPoint.AFTER_EVENTS)
        self._reached(CrashPoint.BEFORE_ACK)
        for batch in batches:
            for delivery in batch.deliveries:
                if delivery.is_ours():
                    delivery.acknowledge()
        self.counts.last_progress = now()

    def _count(self, items: Sequence[Item], applied: Applied) -> None:
        self.counts.count(items, applied)
        for item in items:
            if isinstance(item, Rejected):
                _tell_rejected(item)
        for culprit in applied.culprits:
            _log.error("a command made the worker fail", fault=culprit.traceback, **_named(culprit.arrived))
            self._culprits_at.append(now())
        while self._culprits_at and self._culprits_at[0] < now() - _HOUR_SECONDS:
            self._culprits_at.popleft()
        if self._has_too_many_culprits():
            self.stop()  # what is decided is told first; then `run` raises


def _named(arrived: Arrived) -> dict[str, str]:
    """Return how logs name a command."""
    return {"request_id": arrived.request_id, "kind": arrived.key.kind, "resource": arrived.key.resource_id}


def _summary(reads: Sequence[Read]) -> dict[str, Any]:
    """Return how logs name a batch: its size, and its first command; a batch of one is named as a whole."""
    commands = [item.arrived for read in reads for item in read.items if isinstance(item, Ordered)]
    return {"commands": len(commands), **(_named(commands[0]) if commands else {})}


def _tell_rejected(item: Rejected) -> None:
    """Say where the record lies. Nothing of its value: a stranger's may have anything in it."""
    incoming = item.incoming
    _log.warning(
        "a record is not decided",
        reason=FORBIDDEN if item.reason is None else item.reason.value,
        kind=incoming.kind,
        resource=(incoming.key or b"").decode("utf-8", "replace")[:_KEY_CHARACTERS_MAX],
        topic=incoming.topic,
        partition=incoming.partition,
        offset=incoming.offset,
    )


def _kinds_defined(items: Sequence[Item]) -> set[str]:
    """Return the kinds that may have a new resource; commands that come again count too, as their worker may have died."""
    return {
        item.arrived.key.kind
        for item in items
        if isinstance(item, Ordered) and isinstance(item.arrived.command, DefineResource)
    }
