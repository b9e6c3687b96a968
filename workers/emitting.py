"""Turn what became of a batch into records: events, dead letters, forwarded records. Pure; the producer is elsewhere."""

from collections.abc import Iterator, Sequence

from topics import dead_letters, events
from topics.catalogue import Catalogue
from topics.cloudevents import Envelope
from topics.cloudevents import encode as encode_headers
from topics.dead_letters import Reason
from topics.identifiers import is_resource_id
from topics.log_records import Record
from workers.applying import INTERNAL_ERROR_DETAIL, Applied, Culprit
from workers.core.batch import Outcome
from workers.reading import FORBIDDEN, FORWARDED_HEADER, Forwarded, Incoming, Item, Ordered, Rejected
from workers.refused import INTERNAL_ERROR, refusal_of_record, refused_payment, reports_payment

TRACEBACK_ELSEWHERE = "the worker that met the fault died before it could send this; its log has the traceback"
TOO_OLD_DETAIL = "the record is older than outcomes are kept: whether it was decided before is not known any more"
REJECTION_DETAIL_CHARACTERS_MAX = 1_000  # it may quote the record, and an event must stay small enough to be sent


class Emitter:
    """Knows which record goes on which topic."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Use the topics of this catalogue."""
        self._catalogue = catalogue

    def records(self, items: Sequence[Item], applied: Applied) -> list[Record]:
        """Return the records of a batch in the order of its items; a copy within the batch sends nothing again."""
        outcomes = iter(applied.outcomes)
        culprits = {culprit.arrived.request_id: culprit for culprit in applied.culprits}
        sent: set[str] = set()
        put_aside: set[str] = set()
        records: list[Record] = []
        for item in items:
            match item:
                case Ordered():
                    outcome = next(outcomes)
                    request_id = outcome.arrived.request_id
                    culprit = culprits.get(request_id)
                    may_be_put_aside = culprit is not None or outcome.repeated or reports_payment(outcome)
                    if may_be_put_aside and (request_id not in put_aside or not outcome.events):
                        letters = list(self._put_aside(item, outcome, culprit))
                        put_aside.update(request_id for _ in letters)
                        records += letters
                    if request_id not in sent or not outcome.events:
                        sent.add(request_id)
                        records += self._of_outcome(item, outcome, culprit)
                case Forwarded():
                    records.append(_forward(item))
                case Rejected():
                    records += self._of_rejected(item)
        return records

    def _put_aside(self, item: Ordered, outcome: Outcome, culprit: Culprit | None) -> Iterator[Record]:
        """Dead-letter the record of a culprit, and that of a payment that is refused: it is somebody's money.

        Of several copies of a command the one that was decided, however they are delivered again.
        """
        if culprit is not None:
            yield self._dead_letter(item.incoming, Reason.INTERNAL_ERROR, culprit.traceback)
            return
        refused = refusal_of_record(outcome) if outcome.repeated else None
        if refused is not None and refused.reason == INTERNAL_ERROR:
            yield self._dead_letter(item.incoming, Reason.INTERNAL_ERROR, TRACEBACK_ELSEWHERE)
        why = refused_payment(outcome)
        if why is not None:
            yield self._dead_letter(item.incoming, Reason.REFUSED_PAYMENT, why)

    def _of_outcome(self, item: Ordered, outcome: Outcome, culprit: Culprit | None) -> Iterator[Record]:
        if outcome.events is None:
            yield from self._of_rejected(_rejected(item, Reason.TOO_OLD, TOO_OLD_DETAIL))
            return
        if culprit is not None and not culprit.is_refused:
            yield from self._answer(_rejected(item, Reason.INTERNAL_ERROR, INTERNAL_ERROR_DETAIL))
        for event in outcome.events:
            yield self._event(item, event)

    def _event(self, item: Ordered, event: events.Stored) -> Record:
        arrived = item.arrived
        resource_id = arrived.key.resource_id
        headers = events.headers_of(event, resource_id, arrived.request_id, arrived.claim_id, item.traceparent)
        return Record(self._catalogue.events(arrived.key.kind), resource_id.encode(), bytes(event.data), headers)

    def _of_rejected(self, item: Rejected) -> Iterator[Record]:
        """Dead-letter the record, unless it is only forbidden, and answer it where its key says whom.

        The answer bears no request id: a stranger's record must not answer somebody else's request.
        """
        if item.reason is not None:
            yield self._dead_letter(item.incoming, item.reason, item.detail)
        yield from self._answer(item)

    def _answer(self, item: Rejected) -> Iterator[Record]:
        key = item.incoming.key
        if key is not None and is_resource_id(key.decode("utf-8", "replace")):
            yield self._rejection(item, key)

    def _rejection(self, item: Rejected, key: bytes) -> Record:
        incoming = item.incoming
        data = events.RecordRejected(
            reason=FORBIDDEN if item.reason is None else item.reason.value,
            detail=item.detail[:REJECTION_DETAIL_CHARACTERS_MAX],
            source=item.source,
            id=item.claim_id,
            topic=incoming.topic,
            partition=incoming.partition,
            offset=incoming.offset,
        )
        envelope = Envelope(
            type=events.RECORD_REJECTED,
            source=events.SOURCE,
            id=f"{incoming.topic}/{incoming.partition}/{incoming.offset}/{item.part}",
            data=events.encode_data(data),
            subject=key.decode(),
            time=incoming.appended_at,
            extensions={} if item.claim_id is None else {"causationid": item.claim_id},
        )
        topic = self._catalogue.events(incoming.kind)
        return Record(topic, key, envelope.data, encode_headers(envelope, events.FAMILY))

    def _dead_letter(self, incoming: Incoming, reason: Reason, detail: str) -> Record:
        headers = dead_letters.headers_of(
            incoming.headers,
            reason=reason,
            detail=detail,
            coordinates=(incoming.topic, incoming.partition, incoming.offset),
        )
        topic = self._catalogue.dead_letters(incoming.kind)
        return Record(topic, incoming.key, incoming.value, headers, incoming.partition)


def _rejected(item: Ordered, reason: Reason, detail: str) -> Rejected:
    return Rejected(item.incoming, reason, detail, item.arrived.source, item.arrived.claim_id, item.part)


def _forward(item: Forwarded) -> Record:
    incoming = item.incoming
    headers = [*incoming.headers, (FORWARDED_HEADER, f"{incoming.partition}/{incoming.offset}".encode())]
    return Record(incoming.topic, incoming.key, incoming.value, headers, item.partition)
