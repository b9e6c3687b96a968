"""Events and rows against commands: each record that the workers are past left its trace, each request has its record."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from firmhold.audit.digests import Digests
from firmhold.audit.findings import Check
from firmhold.audit.marks import Marks
from firmhold.audit.topic_reading import Spans, headers_of, instant
from schema.audits import AuditedRequest, Audits
from topics.catalogue import Catalogue
from topics.commands import RecordPayment
from topics.partitions import partition_of
from workers.reading import FORWARDED_HEADER, Forwarded, Incoming, Item, Ordered, Reader
from workers.refused import INTERNAL_ERROR

_AGAIN = "Write the record again to its topic as it is: if it was decided after all, nothing is executed twice"


@dataclass(frozen=True, slots=True)
class _Forwarded:
    """A record that must have been copied to another partition."""

    kind: str
    partition: int
    offset: int


@dataclass(slots=True)
class Commands:
    """Everything that the command topics and the dead letters said.

    `told` is what the event topics said, by event id; `ends` and `committed` are by kind and partition.
    """

    catalogue: Catalogue
    marks: Marks
    audits: Audits
    reader: Reader
    told: Digests
    spans: dict[str, Spans]
    committed: dict[tuple[str, int], int]
    check: Check = field(
        default_factory=lambda: Check("commands", "records that the workers are past against what became of them")
    )
    records_check: Check = field(
        default_factory=lambda: Check("records", "stored requests against the records that they were decided from")
    )
    _lying: Digests = field(default_factory=Digests)
    _dead: Digests = field(default_factory=Digests)
    _copies: Digests = field(default_factory=Digests)
    _forwarded: list[_Forwarded] = field(default_factory=list)

    def read_dead_letters(self, records: Sequence[ConsumerRecord]) -> None:
        """Note which records are dead letters."""
        for record in records:
            headers = headers_of(record)
            self._dead.add(
                "/".join(headers.get(f"firmhold-dlq-{name}", "") for name in ("topic", "partition", "offset"))
            )

    async def read(self, kind: str, records: Sequence[ConsumerRecord]) -> None:
        """Look for the trace of each record that the workers are past: an outcome, a dead letter, a copy, a rejection."""
        read = [(record, item) for record in records for item in self.reader.read(_incoming(kind, record))]
        ordered = {item.arrived.request_id for _, item in read if isinstance(item, Ordered)}
        decided = await self.audits.decided(ordered)
        for record, item in read:
            self._note(kind, record, item)
            if record.offset >= self.committed.get((kind, record.partition), 0):
                self.check.open += 1
                continue
            self.check.looked_at += 1
            if isinstance(item, Forwarded):
                self._forwarded.append(_Forwarded(kind, record.partition, record.offset))
            elif not (isinstance(item, Ordered) and item.arrived.request_id in decided):
                self._judge(kind, record, item)

    def _note(self, kind: str, record: ConsumerRecord, item: Item) -> None:
        place = f"{kind}/{record.partition}/{record.offset}"
        if isinstance(item, Ordered):
            self._lying.add(f"{place}/{item.arrived.source}/{item.arrived.claim_id}")
        elif not isinstance(item, Forwarded):
            self._lying.add(f"{place}/{item.source}/{item.claim_id}")
        copied = headers_of(record).get(FORWARDED_HEADER)
        if copied is not None:
            self._copies.add(f"{kind}/{copied}")

    def _judge(self, kind: str, record: ConsumerRecord, item: Item) -> None:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        if place in self._dead or f"{place}/{_part(item)}" in self.told or self._may_have_no_trace(kind, record):
            return
        if isinstance(item, Ordered):
            arrived = item.arrived
            what = f"{type(arrived.command).__name__} of ({arrived.source}, {arrived.claim_id}) for {arrived.key.resource_id}"
            advice = f"It is lost, or the row {arrived.request_id} was deleted. {_AGAIN}"
        else:
            what, advice = "a record that is no command", _AGAIN
        self.check.tell(
            f"record {place}",
            found=f"{what}: the workers are past it and it has no outcome, no dead letter and no rejection",
            wanted="each record is decided, dead-lettered, forwarded or rejected before its offset is committed",
            advice=advice,
        )

    def _may_have_no_trace(self, kind: str, record: ConsumerRecord) -> bool:
        """Tell whether the record is so old that its outcome, its dead letter or its rejection may be gone."""
        appended_at = instant(record.timestamp)
        home = partition_of(record.key or b"", self.catalogue.partitions)
        return (
            self.marks.may_be_purged(appended_at)
            or self.marks.may_be_gone(self.catalogue.dead_letters(kind), record.partition, appended_at)
            or self.marks.may_be_gone(self.catalogue.events(kind), home, appended_at)
        )

    def judge(self, request: AuditedRequest) -> None:
        """Look for the record that a stored request was decided from, if it is within what was read.

        A step has none of its own.
        """
        if request.is_step:
            return
        self._judge_put_aside(request)
        span = self.spans[request.key.kind].get(request.partition)
        if span is not None and (request.offset < span.first or request.offset >= span.end):
            return
        self.records_check.looked_at += 1
        place = f"{request.key.kind}/{request.partition}/{request.offset}"
        if f"{place}/{request.source}/{request.claim_id}" not in self._lying:
            self.records_check.tell(
                f"request {request.request_id}",
                found=f"it says that it was decided from {place}",
                wanted=f"no record with the claim ({request.source}, {request.claim_id}) lies there",
                advice="No worker writes a request without its record: find out who did; "
                "if the topic was made anew, nothing is wrong with requests that are older",
            )

    def _judge_put_aside(self, request: AuditedRequest) -> None:
        """Look for the dead letter of a payment that was refused: nobody else knows of that money."""
        if request.command != RecordPayment.__name__ or request.reason is None:
            return
        self.check.note(
            f"request {request.request_id}",
            f"it reports a payment and was refused ({request.reason}): see that the money was given back",
        )
        if request.reason == INTERNAL_ERROR:
            return
        topic, letters = (each(request.key.kind) for each in (self.catalogue.commands, self.catalogue.dead_letters))
        place = f"{topic}/{request.partition}/{request.offset}"
        was_passed = request.offset < self.committed.get((request.key.kind, request.partition), 0)
        if not was_passed or self.marks.may_be_gone(letters, request.partition, request.decided_at):
            return
        if place not in self._dead:
            self.check.tell(
                f"record {place}",
                found=f"it reports a payment, was refused ({request.reason}), and is no dead letter",
                wanted="somebody paid, so somebody must hear of it",
                advice=f"`firmhold requests show {request.request_id}` tells of it; give the money back at its provider",
            )

    def settle(self) -> None:
        """Look for the copies of forwarded records, now that all partitions were read."""
        for record in self._forwarded:
            place = f"{record.partition}/{record.offset}"
            if f"{record.kind}/{place}" not in self._copies:
                topic = self.catalogue.commands(record.kind)
                self.check.tell(
                    f"record {topic}/{place}",
                    found="it lies on the wrong partition, the workers are past it and there is no copy on the right one",
                    wanted="it should have been forwarded",
                    advice=_AGAIN,
                )


def _part(item: Item) -> int:
    return 0 if isinstance(item, Forwarded) else item.part


def _incoming(kind: str, record: ConsumerRecord) -> Incoming:
    return Incoming(
        topic=record.topic,
        kind=kind,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=[(name, b"" if content is None else content) for name, content in record.headers],
        appended_at=instant(record.timestamp),
        timestamp_type=record.timestamp_type,
    )
