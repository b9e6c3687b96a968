"""CloudEvents over Kafka: binary and structured mode in, binary mode out, anything else Malformed."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import TRACE
from topics.cloudevents import Envelope, Malformed, decode, decode_structured, encode

EVENT = Envelope(
    type="Hold",
    source="partner/shop",
    id="claim-1",
    data=b'{"resource_id":"r"}',
    version=1,
    subject="r",
    expiry_time=datetime(2026, 1, 1, tzinfo=UTC),
    traceparent=TRACE,
)
BINARY = {
    "ce_specversion": b"1.0",
    "ce_type": b"Hold",
    "ce_source": b"partner/shop",
    "ce_id": b"claim-1",
    "content-type": b"application/json",
}
STRUCTURED: dict[str, object] = {
    "specversion": "1.0",
    "type": "Hold",
    "source": "partner/shop",
    "id": "claim-1",
    "data": {"resource_id": "r"},
}
STRUCTURED_HEADERS = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def binary(**changes: bytes | None) -> Envelope:
    """Decode a record in binary mode with some headers changed, or left out (None)."""
    named = {name.replace("content_type", "content-type"): content for name, content in changes.items()}
    headers = [(name, content) for name, content in (BINARY | named).items() if content is not None]
    return decode(headers, b"{}")


def structured(**changes: object) -> Envelope:
    """Decode a record in structured mode with some members changed."""
    return decode(STRUCTURED_HEADERS, json.dumps(STRUCTURED | changes).encode())


def test_binary_mode() -> None:
    """Attributes are headers, the value is the data as it is."""
    assert binary() == Envelope(type="Hold", source="partner/shop", id="claim-1", data=b"{}")


def test_structured_mode() -> None:
    """Attributes and data are one JSON object; extensions that are not ours are passed over."""
    assert structured(otherextension="x") == Envelope(
        type="Hold", source="partner/shop", id="claim-1", data=b'{"resource_id": "r"}'
    )


def test_a_record_comes_back_from_its_headers() -> None:
    """All that is sent is read again, but for the time, which decides nothing."""
    assert decode(encode(EVENT, "commands"), EVENT.data) == EVENT


def test_headers_are_those_of_the_kafka_binding() -> None:
    """Golden: names, order and form of the headers in binary mode."""
    timed = msgspec.structs.replace(EVENT, time=datetime(2026, 1, 2, tzinfo=UTC))
    assert encode(timed, "commands") == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"Hold"),
        ("ce_source", b"partner/shop"),
        ("ce_id", b"claim-1"),
        ("ce_dataschema", b"/schemas/commands/Hold/1"),
        ("ce_subject", b"r"),
        ("ce_time", b"2026-01-02T00:00:00Z"),
        ("ce_expirytime", b"2026-01-01T00:00:00Z"),
        ("ce_traceparent", TRACE.encode()),
        ("content-type", b"application/json"),
    ]


@pytest.mark.parametrize("name", BINARY)
def test_e66_every_header_is_needed(name: str) -> None:
    """A record without one of them is malformed, and the message names it."""
    with pytest.raises(Malformed, match=name):
        binary(**{name: None})


@pytest.mark.parametrize("name", ["specversion", "type", "source", "id"])
def test_e66_every_member_is_needed(name: str) -> None:
    """The same in structured mode."""
    without = {member: value for member, value in STRUCTURED.items() if member != name}
    with pytest.raises(Malformed, match=name):
        decode(STRUCTURED_HEADERS, json.dumps(without).encode())


@pytest.mark.parametrize("name", ["ce_type", "ce_source", "ce_id"])
@pytest.mark.parametrize("content", [b"", b"a\nb", b"\x00", b"a\x7f", b"\xff", b"a" * 256, "\u2028".encode()])
def test_attributes_are_short_and_printable(name: str, content: bytes) -> None:
    """They are stored, logged and sent again."""
    with pytest.raises(Malformed):
        binary(**{name: content})


@pytest.mark.parametrize("name", ["type", "source", "id"])
@pytest.mark.parametrize("content", ["", "a\nb", "\x00", "a" * 256, None, 5, True, ["a"], {"a": 1}, "\ud800"])
def test_members_are_short_and_printable(name: str, content: object) -> None:
    """The same in structured mode."""
    with pytest.raises(Malformed):
        structured(**{name: content})


CONTENT_TYPES = ["application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;x=y"]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_types_that_are_json(content_type: str) -> None:
    """Parameters, case and blanks do not matter, in either mode."""
    assert binary(content_type=content_type.encode()).id == "claim-1"
    assert structured(datacontenttype=content_type).id == "claim-1"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/avro", "application/cloudevents+avro", "json"])
def test_content_types_that_are_not(content_type: str) -> None:
    """What is not JSON is not decoded as if it were."""
    with pytest.raises(Malformed, match="type must be"):
        binary(content_type=content_type.encode())
    with pytest.raises(Malformed, match="type must be"):
        structured(datacontenttype=content_type)


@pytest.mark.parametrize("version", ["0.3", "1.0.1", "1", "", "2.0"])
def test_other_versions_of_the_specification_are_refused(version: str) -> None:
    """Their attributes mean something else."""
    with pytest.raises(Malformed, match="specversion"):
        binary(ce_specversion=version.encode())
    with pytest.raises(Malformed, match="specversion"):
        structured(specversion=version)


@pytest.mark.parametrize(
    ("schema", "version"),
    [
        (None, 1),
        ("/schemas/commands/Hold/1", 1),
        ("/schemas/commands/Hold/2", 2),
        ("https://firmhold.example/schemas/commands/Hold/17", 17),
        ("/Hold/999999999", 999_999_999),
    ],
)
def test_the_version_stands_at_the_end_of_dataschema(schema: str | None, version: int) -> None:
    """Without a dataschema it is the first."""
    assert binary(ce_dataschema=None if schema is None else schema.encode()).version == version
    assert structured(dataschema=schema).version == version


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "1",
        "/1",
        "Hold/1",
        "/schemas/commands/Hold/",
        "/schemas/commands/Hold/x",
        "/schemas/commands/Hold/-1",
        "/schemas/commands/Hold/1.0",
        "/schemas/commands/Hold/0",
        "/schemas/commands/Hold/01",
        "/schemas/commands/Hold/٣",
        "/schemas/commands/Hold/0000000001",
        "/schemas/commands/Hold/1000000000",
        "/schemas/commands/Hold/1\n",
        "/schemas/commands/Confirm/1",
        "/schemas/commands/WithHold/1",
        "/schemas/commands/Hold/1/",
    ],
)
def test_any_other_dataschema_is_malformed(schema: str) -> None:
    """A version is never guessed, nor a number cut short to one that is known."""
    with pytest.raises(Malformed, match="dataschema"):
        binary(ce_dataschema=schema.encode())
    with pytest.raises(Malformed, match="dataschema"):
        structured(dataschema=schema)


@pytest.mark.parametrize("text", ["2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z", "2026-01-01t00:00:00.000z"])
def test_an_expiry_time_is_an_instant(text: str) -> None:
    """In whatever time zone it is written."""
    assert binary(ce_expirytime=text.encode()).expiry_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert structured(expirytime=text).expiry_time == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "1767225600"]
)
def test_an_expiry_time_that_is_none_is_malformed(text: str) -> None:
    """A local time compares with no instant: it is turned away here and does not break the decision."""
    with pytest.raises(Malformed, match="expirytime"):
        binary(ce_expirytime=text.encode())
    with pytest.raises(Malformed, match="expirytime"):
        structured(expirytime=text)


@pytest.mark.parametrize("text", ["", TRACE.upper(), TRACE + "\n", TRACE + "-0", "x" * 100_000, "é"])
def test_a_broken_trace_is_passed_over(text: str) -> None:
    """It is no reason to turn a command away, and nothing that events should repeat."""
    assert binary(ce_traceparent=text.encode()).traceparent is None
    assert structured(traceparent=text).traceparent is None
    assert binary(ce_traceparent=TRACE.encode()).traceparent == structured(traceparent=TRACE).traceparent == TRACE


NOT_EVENTS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b'{"specversion":"1.0"',
    b'{"id":"\xff"}',
    b'{"id":"\\ud800"}',
    b'{"x":' + b"[" * 50_000,
    b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"specversion":"1.0","id":"1","source":"s","type":"t","traceparent":"\xff"}',
]


@pytest.mark.parametrize("value", NOT_EVENTS, ids=range(len(NOT_EVENTS)))
def test_what_is_no_event_is_malformed(value: bytes) -> None:
    """Nesting without end and bytes that are not UTF-8 are like any other fault."""
    with pytest.raises(Malformed):
        decode_structured(value)


names = (
    st.sampled_from([*BINARY, "CE_ID", "ce_dataschema", "ce_expirytime", "ce_traceparent", "ce_subject"]) | st.text()
)
contents = (
    st.sampled_from([*BINARY.values(), b"application/cloudevents+json", b"2026-01-01T00:00:00", b"/x/Hold/1"])
    | st.binary()
)


@given(st.lists(st.tuples(names, contents)), st.binary())
def test_decoding_anything_raises_only_malformed(headers: list[tuple[str, bytes]], value: bytes) -> None:
    """The topic is a public ingress; what is read is fit to be stored and sent again."""
    try:
        event = decode(headers, value)
    except Malformed:
        return
    assert 0 < len(event.source) <= 255
    assert event.expiry_time is None or event.expiry_time.tzinfo is not None
    encode(event, "commands")


members = (
    st.sampled_from([*STRUCTURED, "datacontenttype", "dataschema", "expirytime", "traceparent", "subject"]) | st.text()
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(members, json_values))
def test_decoding_any_object_raises_only_malformed(changes: dict[str, object]) -> None:
    """The same for a JSON object with anything in its members."""
    try:
        event = structured(**changes)
    except Malformed:
        return
    encode(event, "commands")


@given(st.binary())
def test_decoding_any_structured_bytes_raises_only_malformed(value: bytes) -> None:
    """The same for any bytes."""
    with pytest.raises(Malformed):
        decode_structured(value)
