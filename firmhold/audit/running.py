"""Run an audit beside everything else that runs. The order of the steps is what spares it false alarms.

First it is noted how far the workers are, then where the topics end: what is committed has left its trace before that end.
Topics are read before rows: what was told is stored already. At the end the workers are given time to come past what was
decided meanwhile, and the event topics are read a little further: only then is anything called missing.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import ConsumerRecord

from firmhold.audit.commands import Commands
from firmhold.audit.counters import check_counters, counters_check
from firmhold.audit.events import Events
from firmhold.audit.findings import Check
from firmhold.audit.holds import Holds
from firmhold.audit.marks import Marks
from firmhold.audit.orders import Orders
from firmhold.audit.payments import Payments
from firmhold.audit.states import (
    States,
    name_of_hold,
    name_of_order,
    name_of_payment,
    name_of_settings,
    order_alone,
    payment_alone,
)
from firmhold.audit.topic_reading import Span, Spans, TopicReader, topic_reader
from firmhold.audit.versions import Versions
from firmhold.settings import Settings
from schema.audits import Audits
from schema.connections import Timeouts, lazy_pool
from schema.money import order_view, payment_view
from topics.catalogue import KINDS
from topics.resources import HoldStatus
from workers.core.state import view
from workers.reading import Reader

_RECORDS_MAX = 500
_LOOK_AGAIN_SECONDS = 0.5
_TRANSACTION_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: one resource id or all, all that is there or the last hours; how long workers are waited for."""

    resource_id: str | None = None
    since: timedelta | None = None
    wait_seconds: float = 30.0
    statement_seconds: float = 60.0


async def audit(settings: Settings, scope: Scope) -> list[Check]:
    """Compare everything once and return what was found; it locks nothing, writes nothing and joins no group."""
    timeouts = Timeouts(
        statement_ms=int(scope.statement_seconds * 1000),
        transaction_ms=_TRANSACTION_MS,
        command_seconds=scope.statement_seconds + 1,
    )
    pool = lazy_pool(settings.postgres.get_secret_value(), connections_max=1, timeouts=timeouts, role="audit")
    async with pool, topic_reader(settings.kafka) as topics:
        audits = Audits(pool, scope.resource_id)
        now = await audits.clock()
        marks = Marks(
            now,
            timedelta(days=settings.request_retention_days),
            None if scope.since is None else now - scope.since,
            scope.resource_id,
        )
        return await _Audit(settings, scope, audits, topics, marks).run()


class _Audit:
    def __init__(self, settings: Settings, scope: Scope, audits: Audits, topics: TopicReader, marks: Marks) -> None:
        self._settings = settings
        self._scope = scope
        self._audits = audits
        self._topics = topics
        self._marks = marks
        self._catalogue = settings.catalogue()
        self._group = f"{settings.topic_prefix}{settings.consumer_group}"
        self._versions = Versions(self._catalogue, marks)
        self._states = States()
        self._events = Events(self._catalogue, marks, audits, self._versions, self._states)
        self._holds = Holds(marks)
        self._orders = Orders(marks)
        self._payments = Payments(self._catalogue, marks, audits, self._events.seen)
        self._counters = counters_check()

    async def run(self) -> list[Check]:
        committed = await self._committed()
        command_spans = {kind: await self._spans(self._catalogue.commands(kind)) for kind in KINDS}
        event_spans = {kind: await self._spans(self._catalogue.events(kind)) for kind in KINDS}
        commands = Commands(
            self._catalogue,
            self._marks,
            self._audits,
            Reader(self._settings.key_ring(), self._catalogue.partitions),
            self._events.seen,
            command_spans,
            committed,
        )
        for kind in KINDS:
            await self._read_events(kind, event_spans[kind])
        for kind in KINDS:
            await self._read_commands(commands, kind, command_spans[kind])
        await self._read_rows(commands)
        await self._settle(commands, event_spans)
        return [
            self._counters,
            self._holds.check,
            self._orders.check,
            self._payments.check,
            self._events.check,
            self._versions.check,
            self._states.check,
            commands.check,
            commands.records_check,
        ]

    async def _read_commands(self, commands: Commands, kind: str, spans: Spans) -> None:
        topic = self._catalogue.dead_letters(kind)
        async for records in self._chunks(topic, await self._spans(topic)):
            commands.read_dead_letters(records)
        async for records in self._chunks(self._catalogue.commands(kind), spans):
            await commands.read(kind, records)

    async def _read_rows(self, commands: Commands) -> None:
        async for resource in self._audits.resources():
            check_counters(self._counters, resource)
            self._versions.judge(resource)
            if resource.settings is not None:
                name = name_of_settings(resource.key.kind, resource.key.resource_id)
                self._states.judge(name, resource.settings, resource.key.kind)
        self._versions.rows_were_read()
        until = await self._audits.clock()
        async for request in self._audits.requests(self._marks.since, until):
            self._events.judge(request)
            self._holds.judge_request(request)
            self._orders.judge_request(request)
            await self._payments.judge_request(request)
            commands.judge(request)
        await self._payments.requests_were_read()
        async for hold in self._audits.holds():
            self._holds.judge_hold(hold)
            if hold.hold.status is not HoldStatus.USED:  # the event of its order told of that
                self._states.judge(name_of_hold(hold.hold.hold_id), view(hold.hold), hold.key.kind)
        await self._read_sales()

    async def _read_sales(self) -> None:
        async for audited in self._audits.orders():
            self._orders.judge_order(audited)
            order = order_alone(order_view(audited.order, ()))
            self._states.judge(name_of_order(order.id), order, audited.key.kind)
        async for money in self._audits.payments():
            self._payments.judge_payment(money)
            payment = payment_alone(payment_view(money.payment))
            self._states.judge(name_of_payment(payment.provider, payment.payment_id), payment, money.key.kind)

    async def _settle(self, commands: Commands, event_spans: dict[str, Spans]) -> None:
        ends = {kind: await self._spans(self._catalogue.commands(kind)) for kind in KINDS}
        committed, reached = await self._until_reached(ends)
        for kind in KINDS:
            further = await self._spans(self._catalogue.events(kind))
            await self._read_events(
                kind,
                {partition: Span(event_spans[kind][partition].end, span.end) for partition, span in further.items()},
            )
        self._events.settle(committed)
        self._versions.settle(reached)
        self._states.settle(reached)
        self._payments.settle(reached)
        commands.settle()

    async def _until_reached(self, ends: dict[str, Spans]) -> tuple[dict[tuple[str, int], int], set[str]]:
        """Wait until the workers are past these ends, but not for ever; return how far they are and the kinds they are past."""
        deadline = time.monotonic() + self._scope.wait_seconds
        while True:
            committed = await self._committed()
            reached = {
                kind
                for kind, spans in ends.items()
                if all(span.is_empty or committed[kind, place] >= span.end for place, span in spans.items())
            }
            if len(reached) == len(ends) or time.monotonic() > deadline:
                return committed, reached
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _read_events(self, kind: str, spans: Spans) -> None:
        async for records in self._chunks(self._catalogue.events(kind), spans):
            await self._events.read(kind, records)

    async def _chunks(self, topic: str, spans: Spans) -> AsyncIterator[list[ConsumerRecord]]:
        """Yield the records within the spans that are of interest, so many at a time."""
        chunk: list[ConsumerRecord] = []
        async for record in self._topics.records(topic, spans):
            self._marks.note(record)
            if self._marks.concerns(record):
                chunk.append(record)
            if len(chunk) == _RECORDS_MAX:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _spans(self, topic: str) -> Spans:
        spans = await self._topics.spans(topic, self._catalogue.partitions, self._marks.since)
        self._marks.cut(topic, spans)
        return spans

    async def _committed(self) -> dict[tuple[str, int], int]:
        return {
            (kind, partition): offset
            for kind in KINDS
            for partition, offset in (
                await self._topics.committed(self._group, self._catalogue.commands(kind), self._catalogue.partitions)
            ).items()
        }
