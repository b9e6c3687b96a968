"""Which records a batch sends: events word for word, dead letters with their original, answers to the turned away."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.builders import (
    GATEWAY,
    PARTITIONS,
    PARTNER,
    TRACE,
    at,
    define,
    envelope_of,
    record,
    signed_record,
    structured,
)
from tests.unit.ledger import Ledger
from topics import events
from topics.catalogue import ROOM_FOR_HEADERS_BYTES, Catalogue
from topics.cloudevents import Envelope, decode, encode
from topics.commands import BATCH, Command, Hold
from topics.events import RecordRejected
from topics.log_records import Record
from topics.signatures import KeyRing
from workers.applying import Applied, Culprit
from workers.emitting import REJECTION_DETAIL_CHARACTERS_MAX, TRACEBACK_ELSEWHERE, Emitter
from workers.reading import FORWARDED_HEADER, Incoming, Item, Ordered, Reader

READER = Reader(KeyRing([GATEWAY, PARTNER]), PARTITIONS)
EMITTER = Emitter(Catalogue(prefix="test.", partitions=PARTITIONS))
HOLD = Hold(resource_id="room-1", buyer="ann", token_hash="a" * 64)


def command(asked: Command, claim: str) -> Incoming:
    """Return the signed record of a command."""
    return signed_record(envelope_of(asked, claim=claim))


def run(ledger: Ledger, records: Sequence[Incoming], now: float = 0) -> list[Record]:
    """Read, decide and emit a batch of records."""
    items = [item for incoming in records for item in READER.read(incoming)]
    return EMITTER.records(items, applied(ledger, items, now))


def applied(ledger: Ledger, items: Sequence[Item], now: float) -> Applied:
    """Decide what was ordered."""
    decision = ledger.apply([item.arrived for item in items if isinstance(item, Ordered)], at(now))
    return Applied(decision.outcomes, dict(decision.versions))


def headers_of(sent: Record) -> dict[str, str]:
    """Return the headers of a record as text."""
    return {name: content.decode() for name, content in sent.headers}


def types_of(sent: Sequence[Record]) -> list[str]:
    """Return what is sent: the types of events, and dead letters by their reasons."""
    return [
        headers.get("firmhold-dlq-reason") or headers["ce_type"] for headers in (headers_of(record) for record in sent)
    ]


def test_an_event_is_a_cloudevent_on_the_event_topic_under_the_same_key() -> None:
    """With the request's id, the command's id, the sequence and the record that it answers."""
    ledger = Ledger()
    defined, placed = run(ledger, [command(define(), "k1"), command(HOLD, "k2")], now=5)
    assert (defined.topic, defined.key, defined.partition) == ("test.slots.events", b"room-1", None)
    headers = headers_of(placed)
    (request,) = (request for request in ledger.requests.values() if request.claim_id == "k2")
    assert headers["ce_type"] == "hold.placed"
    assert headers["ce_source"] == "firmhold/worker"
    assert headers["ce_id"] == f"{request.request_id}/0"
    assert headers["ce_subject"] == "room-1"
    assert headers["ce_correlationid"] == request.request_id
    assert headers["ce_causationid"] == "k2"
    assert headers["ce_sequence"] == "00000000000000000002"
    assert headers["ce_dataschema"] == "/schemas/events/hold.placed/1"
    assert headers["ce_time"] == "2026-01-01T00:00:05Z"
    assert headers["content-type"] == "application/json"
    assert placed.value is not None
    assert decode(placed.headers, placed.value).type == "hold.placed"
    assert isinstance(events.decode_data("hold.placed", placed.value), events.HoldChanged)


def test_e77_no_event_tells_of_buyer_token_or_account() -> None:
    """Not in its data, not in its headers."""
    sent = run(Ledger(), [command(define(), "k1"), command(HOLD, "k2"), command(HOLD, "k3")])
    for event in sent:
        told = (event.value or b"") + b"".join(content for _, content in event.headers)
        for secret in (b"ann", b"a" * 64, b"alice"):
            assert secret not in told


def test_only_the_answer_bears_the_request_id() -> None:
    """What expired on the way belongs to an earlier request: it comes first, and answers nobody."""
    ledger = Ledger()
    run(ledger, [command(define(), "k1"), command(HOLD, "k2")])
    expired, placed = run(ledger, [replace(command(HOLD, "k3"), appended_at=at(300))], now=300)
    assert types_of([expired, placed]) == ["hold.expired", "hold.placed"]
    assert "ce_correlationid" not in headers_of(expired)
    assert headers_of(expired)["ce_id"] == headers_of(placed)["ce_correlationid"] + "/0"
    assert headers_of(placed)["ce_id"] == headers_of(placed)["ce_correlationid"] + "/1"
    assert [headers_of(record)["ce_sequence"][-1] for record in (expired, placed)] == ["3", "4"]


def test_e65_what_is_delivered_again_is_sent_again_word_for_word() -> None:
    """The input log is the outbox: the same ids, times and data, also after other changes."""
    ledger = Ledger()
    first = run(ledger, [command(define(capacity=2), "k1"), command(HOLD, "k2"), command(HOLD, "k3")])
    run(ledger, [command(HOLD, "k4")], now=1000)
    again = run(ledger, [command(define(capacity=2), "k1"), command(HOLD, "k2"), command(HOLD, "k3")], now=2000)
    assert again == first


def test_e31_a_copy_within_the_batch_is_sent_once() -> None:
    """Both records are acknowledged by it."""
    ledger = Ledger()
    sent = run(ledger, [command(define(), "k1"), command(HOLD, "k2"), command(HOLD, "k2"), command(HOLD, "k2")])
    assert types_of(sent) == ["resource.defined", "hold.placed"]


def test_a_refusal_is_an_event_too() -> None:
    """It answers its request and carries the version that stands."""
    sent = run(Ledger(), [command(define(capacity=0), "k1"), command(HOLD, "k2")])
    assert types_of(sent) == ["resource.defined", "request.refused"]
    assert headers_of(sent[1])["ce_sequence"] == headers_of(sent[0])["ce_sequence"]
    assert "ce_correlationid" in headers_of(sent[1])


def test_r12_a_too_old_record_is_a_dead_letter_with_an_answer() -> None:
    """Each copy of it, as nothing is known of any."""
    sent = run(Ledger(), [command(HOLD, "k1"), command(HOLD, "k1")], now=14 * 24 * 3600)
    assert types_of(sent) == ["too_old", "record.rejected"] * 2


def test_e66_a_dead_letter_is_the_record_word_for_word() -> None:
    """With the reason, and where it was found; on the same partition of the dead-letter topic."""
    original = [("ce_type", b"Hold"), ("x", b"\xff\x00")]
    (letter, answer) = run(Ledger(), [record(b"room-1", b"\xff\xfe", original, partition=5)])
    assert (letter.topic, letter.key, letter.value, letter.partition) == (
        "test.slots.commands.dlq",
        b"room-1",
        b"\xff\xfe",
        5,
    )
    added = dict(letter.headers[2:])
    assert list(letter.headers[:2]) == original
    assert added.pop("firmhold-dlq-detail")
    assert added == {
        "firmhold-dlq-reason": b"undecodable",
        "firmhold-dlq-topic": b"slots.commands",
        "firmhold-dlq-partition": b"5",
        "firmhold-dlq-offset": b"7",
    }
    assert headers_of(answer)["ce_type"] == "record.rejected"


def test_e66_a_record_that_is_turned_away_is_answered() -> None:
    """With the claim that it made, if that could be read, but under no request's id."""
    wrong = signed_record(envelope_of(Hold(resource_id="room-2"), claim="k1"))
    letter, answer = run(Ledger(), [wrong])
    headers = headers_of(answer)
    assert (answer.topic, answer.key) == ("test.slots.events", b"room-1")
    assert (headers["ce_type"], headers["ce_causationid"], headers["ce_subject"]) == ("record.rejected", "k1", "room-1")
    assert "ce_correlationid" not in headers
    data = events.decode_data("record.rejected", answer.value or b"")
    assert isinstance(data, RecordRejected)
    assert (data.reason, data.source, data.id) == ("mis_keyed", "gateway/alice", "k1")
    assert (data.topic, data.offset) == ("slots.commands", 7)
    assert types_of([letter]) == ["mis_keyed"]


@pytest.mark.parametrize("key", [None, b"", b"room 1", b"\xff"])
def test_e68_without_a_key_there_is_nobody_to_answer(key: bytes | None) -> None:
    """The dead letter is all there is."""
    assert types_of(run(Ledger(), [record(key, b"{}", [])])) == ["mis_keyed"]


def test_a_null_value_stays_null() -> None:
    """In the dead letters as on the topic."""
    letter, _ = run(Ledger(), [record(b"room-1", None, [])])
    assert letter.value is None
    assert types_of([letter]) == ["null_value"]


def test_r6_what_is_forbidden_is_answered_and_is_no_dead_letter() -> None:
    """Nobody else's waiter hears of it."""
    sent = run(Ledger(), [signed_record(envelope_of(HOLD, claim="k1"), None)])
    assert types_of(sent) == ["record.rejected"]
    data = events.decode_data("record.rejected", sent[0].value or b"")
    assert isinstance(data, RecordRejected)
    assert data.reason == "forbidden"


def test_e68_a_record_is_forwarded_as_it_is() -> None:
    """Same key, value and headers, with one more that says where it was found, to the partition where it belongs."""
    home = command(HOLD, "k1")
    astray = record(home.key, home.value, home.headers, partition=(home.partition + 1) % PARTITIONS)
    (sent,) = run(Ledger(), [astray])
    assert (sent.topic, sent.key, sent.value, sent.partition) == (astray.topic, home.key, home.value, home.partition)
    assert list(sent.headers) == [*home.headers, (FORWARDED_HEADER, b"%d/7" % astray.partition)]


def test_r10_a_culprit_is_a_dead_letter_with_its_traceback_and_answered() -> None:
    """Between others, whose events are sent as ever; its request repeated by a client only has the answer repeated.

    Its very record delivered again is put aside again: the worker may have died before it was.
    """
    ledger = Ledger()
    records = [command(define(), "k1"), command(HOLD, "k2"), command(HOLD, "k3")]
    items = [item for incoming in records for item in READER.read(incoming)]
    first, culprit, last = (item.arrived for item in items if isinstance(item, Ordered))
    outcomes = (
        *ledger.apply([first], at(0)).outcomes,
        *ledger.fail(culprit, at(0)).outcomes,
        *ledger.apply([last], at(0)).outcomes,
    )
    sent = EMITTER.records(items, Applied(outcomes, {}, (Culprit(culprit, "Traceback: …"),)))
    assert types_of(sent) == ["resource.defined", "internal_error", "request.refused", "hold.placed"]
    assert headers_of(sent[1])["firmhold-dlq-detail"] == "Traceback: …"
    assert b"Traceback" not in (sent[2].value or b"")
    again = run(ledger, records)
    assert types_of(again) == ["resource.defined", "internal_error", "request.refused", "hold.placed"]
    assert headers_of(again[1])["firmhold-dlq-detail"] == TRACEBACK_ELSEWHERE
    repeat = replace(records[1], offset=records[1].offset + 1)
    assert types_of(run(ledger, [repeat])) == ["request.refused"]


def test_the_records_of_a_batch_keep_its_order() -> None:
    """Whatever becomes of each."""
    stranger = signed_record(envelope_of(HOLD, claim="k9"), None)
    broken = record(b"room-1", None, [])
    sent = run(Ledger(), [broken, command(define(), "k1"), stranger, command(HOLD, "k2"), broken])
    turned_away = ["null_value", "record.rejected"]
    assert types_of(sent) == [*turned_away, "resource.defined", "record.rejected", "hold.placed", *turned_away]


def test_the_parts_of_a_batch_record_are_answered_each() -> None:
    """A bad one among them too."""
    parts = [structured(envelope_of(asked, claim=claim)) for asked, claim in ((define(), "a"), (define("b"), "b"))]
    batch = Envelope(type=BATCH, source="gateway/alice", id="batch-1", data=msgspec.json.encode(parts))
    assert types_of(run(Ledger(), [signed_record(batch)])) == ["resource.defined", "mis_keyed", "record.rejected"]


@pytest.mark.parametrize("now", [0, 14 * 24 * 3600])
def test_two_parts_that_are_turned_away_have_two_answers(now: float) -> None:
    """Of two events with one id a consumer would drop the second."""
    twice = structured(envelope_of(define(), claim="a"))
    parts: list[object] = [5, {}, twice, twice, twice | {"source": "gateway/bob"}, twice | {"type": "Grab"}]
    batch = Envelope(type=BATCH, source="gateway/alice", id="batch-1", data=msgspec.json.encode(parts))
    sent = run(Ledger(), [signed_record(batch)], now)
    answers = [headers["ce_id"] for event in sent if (headers := headers_of(event)).get("ce_type") == "record.rejected"]
    assert len(answers) == len(set(answers)) == (3 if now == 0 else 6)


def test_an_event_carries_on_the_trace_of_its_command() -> None:
    """The traceparent of the record, and none where it had none."""
    plain = command(define(), "k1")
    traced = record(plain.key, plain.value, [*plain.headers, ("ce_traceparent", TRACE.encode())])
    (with_trace,) = run(Ledger(), [traced])
    (without,) = run(Ledger(), [plain])
    assert headers_of(with_trace)["ce_traceparent"] == TRACE
    assert "ce_traceparent" not in headers_of(without)


@pytest.mark.parametrize("size", [1, 1_000, 100_000])
def test_an_answer_stays_small_whatever_the_record_says(size: int) -> None:
    """What it quotes of the record is cut: an event that is too large for the broker would stop the worker."""
    headers = [("content-type", b"\x01" * size)]
    letter, answer = run(Ledger(), [record(b"room-1", b"x", headers)])
    assert len(answer.value or b"") < 6 * REJECTION_DETAIL_CHARACTERS_MAX + 1_000
    assert len(dict(letter.headers)["firmhold-dlq-detail"]) <= 8_000


def test_a_dead_letter_fits_its_topic_if_the_record_fitted_its_own() -> None:
    """With the headers that it gains, whatever the record is: else its partition would stand still."""
    largest = record(b"k" * 1_000_000, b"v" * 1_000_000, [("content-type", b"\xff" * 2_194_000)])
    (letter,) = run(Ledger(), [largest])
    gained = bytes_of(letter) - bytes_of(Record("", largest.key, largest.value, largest.headers))
    limits = {topic.name: topic.max_message_bytes for topic in Catalogue().topics()}
    assert gained < ROOM_FOR_HEADERS_BYTES - 16 * 1024
    assert limits["slots.commands.dlq"] - limits["slots.commands"] == ROOM_FOR_HEADERS_BYTES


def bytes_of(sent: Record) -> int:
    """Return how many bytes a record has."""
    headers = sum(len(name.encode()) + len(content) for name, content in sent.headers)
    return len(sent.key or b"") + len(sent.value or b"") + headers


@given(
    st.binary(max_size=8) | st.just(b"room-1"),
    st.none() | st.binary(max_size=50),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=5),
)
def test_emitting_raises_nothing(key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    """Whatever strangers put on the topic is forwarded, or a dead letter that can be sent."""
    good = encode(envelope_of(HOLD, source="shop/7"), "commands")
    for given_headers in (headers, [*good, *headers]):
        assert run(Ledger(), [record(key, value, given_headers)])
