"""Rows against events: what is stored was told word for word, what was told is stored, versions have no gaps.

Events lie in the topic before their command's offset is committed, but after their row is: so a row whose events are not
there yet is judged once more when the workers are past its record.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from aiokafka import ConsumerRecord

from firmhold.audit.digests import Digests
from firmhold.audit.findings import Check
from firmhold.audit.marks import Marks
from firmhold.audit.states import (
    States,
    name_of_hold,
    name_of_order,
    name_of_payment,
    name_of_settings,
    order_alone,
    payment_alone,
)
from firmhold.audit.topic_reading import headers_of
from firmhold.audit.versions import Versions
from schema.audits import AuditedRequest, Audits, DecidedRequest
from topics import events
from topics.catalogue import Catalogue
from topics.orders import OrderView, PaymentView
from topics.partitions import partition_of
from topics.resources import Counters, Settings

_FORGED_ADVICE = "Look who else may write to the topic (ACLs); consumers should drop it"
_TRACE = "ce_traceparent"  # a copy of the command may be of another trace


class _Told(msgspec.Struct):
    resource_id: str
    version: int
    counters: Counters | None = None
    hold: events.HoldView | None = None
    order: OrderView | None = None
    payment: PaymentView | None = None
    settings: Settings | None = None

    def states(self, kind: str) -> Iterator[tuple[str, msgspec.Struct]]:
        """Yield what is told of each thing, with its name."""
        if self.hold is not None:
            yield name_of_hold(self.hold.id), self.hold
        if self.order is not None:
            yield name_of_order(self.order.id), order_alone(self.order)
        if self.payment is not None:
            yield name_of_payment(self.payment.provider, self.payment.payment_id), payment_alone(self.payment)
        if self.settings is not None:
            yield name_of_settings(kind, self.resource_id), self.settings


@dataclass(frozen=True, slots=True)
class _Untold:
    """A request with events that were not in the topic yet."""

    request: AuditedRequest
    missing: tuple[str, ...]


@dataclass(slots=True)
class Events:
    """Everything that the event topics said."""

    catalogue: Catalogue
    marks: Marks
    audits: Audits
    versions: Versions
    states: States
    check: Check = field(
        default_factory=lambda: Check("events", "stored requests against the event topics, word for word")
    )
    seen: Digests = field(default_factory=Digests)
    _untold: list[_Untold] = field(default_factory=list)

    async def read(self, kind: str, records: Sequence[ConsumerRecord]) -> None:
        """Compare records of an event topic, in their order, with the requests that they belong to."""
        headers = [headers_of(record) for record in records]
        ids = [each.get("ce_id", "") for each in headers]
        requests = [events.request_id_of(each) for each in headers]
        decided = await self.audits.decided(set(requests))
        for record, named, event_id, request_id in zip(records, headers, ids, requests, strict=True):
            self.check.looked_at += 1
            self.seen.add(event_id)
            if named.get("ce_type") == events.RECORD_REJECTED:
                continue
            belongs = self._belongs(record, named, decided.get(request_id))
            self._track(kind, record, named, belongs=belongs)

    def _belongs(self, record: ConsumerRecord, headers: Mapping[str, str], request: DecidedRequest | None) -> bool:
        subject = f"event {headers.get('ce_id')} at {record.topic}/{record.partition}/{record.offset}"
        if request is None:
            time = _time(headers)
            if time is not None and self.marks.may_be_purged(time):
                return True
            self.check.tell(
                subject,
                found=f"it is of {(record.key or b'').decode('utf-8', 'replace')} and its request is not stored",
                wanted="a request is stored before its events are sent, and kept for the request retention",
                advice=f"If the row was deleted, restore it, else its command may be executed again. {_FORGED_ADVICE}",
            )
            return False
        difference = _difference(record, headers, request)
        if difference:
            self.check.tell(
                subject,
                found=difference,
                wanted=f"it should be what request {request.request_id} has stored",
                advice=_FORGED_ADVICE,
            )
        return not difference

    def _track(self, kind: str, record: ConsumerRecord, headers: Mapping[str, str], *, belongs: bool) -> None:
        if headers.get("ce_type") in events.CHANGE_NOTHING:
            return
        try:
            told = msgspec.json.decode(record.value or b"", type=_Told)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # not ours, and told of as such
        if belongs:
            self.versions.told(kind, told.resource_id, told.version, told.counters, _time(headers) or self.marks.now)
        else:
            self.versions.doubt(kind, told.resource_id, told.version)
        for name, state in told.states(kind):
            if belongs:
                self.states.told(name, told.version, state)
            else:
                self.states.doubt(name)

    def judge(self, request: AuditedRequest) -> None:
        """Look for the events of a stored request among those that were read."""
        self.check.looked_at += 1
        stored = events.decode_stored(request.events)
        answers = sum(event.answers for event in stored)
        if answers > 1 or (answers == 0 and request.command != "Expire"):
            self.check.tell(
                f"request {request.request_id} of {request.key.kind} {request.key.resource_id}",
                found=f"it has {answers} answers stored",
                wanted="a request is answered once",
                advice="Restore its row from a backup",
            )
        topic = self.catalogue.events(request.key.kind)
        partition = partition_of(request.key.resource_id.encode(), self.catalogue.partitions)
        if self.marks.may_be_gone(topic, partition, request.decided_at):
            return
        missing = tuple(event.id for event in stored if event.id not in self.seen)
        if missing:
            self._untold.append(_Untold(request, missing))

    def settle(self, committed: Mapping[tuple[str, int], int]) -> None:
        """Judge what was left, now that the topics were read further; `committed` is by kind and command partition."""
        for untold in self._untold:
            request = untold.request
            missing = [event_id for event_id in untold.missing if event_id not in self.seen]
            if missing and committed.get((request.key.kind, request.partition), 0) <= request.offset:
                self.check.open += 1
            elif missing:
                self.check.tell(
                    f"request {request.request_id} of {request.key.kind} {request.key.resource_id}",
                    found=f"{len(missing)} of its events ({missing[0]}, …) are not in the event topic",
                    wanted="the workers are past its record, so they should be",
                    advice=f"Send the command again with the claim ({request.source}, {request.claim_id}): "
                    "a copy is not executed, its stored events are told again",
                )
        self._untold.clear()


def _difference(record: ConsumerRecord, headers: Mapping[str, str], request: DecidedRequest) -> str:
    stored = next((each for each in events.decode_stored(request.events) if each.id == headers.get("ce_id")), None)
    if stored is None:
        return "its request is stored without such an event"
    if record.key != request.resource_id.encode():
        return f"it has the key {(record.key or b'')[:64]!r}"
    if record.value != bytes(stored.data):
        return f"its data differ: {(record.value or b'')[:300].decode('utf-8', 'replace')}"
    wanted = {
        name: content.decode()
        for name, content in events.headers_of(stored, request.resource_id, request.request_id, request.claim_id, None)
    }
    different = {name for name in wanted.keys() | headers.keys() if wanted.get(name) != headers.get(name)} - {_TRACE}
    return f"its headers differ: {', '.join(sorted(different))}" if different else ""


def _time(headers: Mapping[str, str]) -> datetime | None:
    try:
        return msgspec.convert(headers.get("ce_time"), datetime)
    except msgspec.ValidationError:
        return None
