"""CloudEvents 1.0 over Kafka (https://github.com/cloudevents/spec, kafka-protocol-binding): binary mode out, both modes in.

A record is key, value and headers; this module knows nothing of brokers, signatures or what the data means.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec

SPEC_VERSION = "1.0"
JSON = "application/json"
STRUCTURED_JSON = "application/cloudevents+json"
EVENT_BYTES_MAX = 64 * 1024
ATTRIBUTE_CHARACTERS_MAX = 255
DEFAULT_VERSION = 1

Headers = Sequence[tuple[str, bytes]]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]  # RFC 3339 demands an offset; without one it compares with nothing


class Malformed(ValueError):
    """A record that is not a CloudEvent; the message says what is missing or wrong."""


class Envelope(msgspec.Struct, frozen=True):
    """A CloudEvent: its attributes, and its data as JSON bytes."""

    type: str
    source: str
    id: str
    data: bytes
    version: int = DEFAULT_VERSION
    subject: str | None = None
    time: datetime | None = None
    expiry_time: datetime | None = None
    traceparent: str | None = None
    extensions: dict[str, str] = msgspec.field(default_factory=dict)


class _Structured(msgspec.Struct):
    """The JSON form of an event; extensions that we do not use are passed over."""

    specversion: str
    id: str
    source: str
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    datacontenttype: str = JSON
    dataschema: str | None = None
    subject: str | None = None
    expirytime: Instant | None = None
    traceparent: str | None = None


_encoder = msgspec.json.Encoder()
_structured = msgspec.json.Decoder(_Structured)
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}\Z")
_TRACE_PARENT: Final = re.compile(r"[0-9a-f-]{1,55}\Z")


def decode(headers: Headers, value: bytes) -> Envelope:
    """Read an event from a record in either mode; raises Malformed."""
    by_name = {name.lower(): content for name, content in headers}
    content_type = _text(by_name.get("content-type", b""), "content-type").partition(";")[0].strip().lower()
    if content_type == STRUCTURED_JSON:
        return decode_structured(value)
    if content_type != JSON:
        message = f"header content-type must be {JSON} or {STRUCTURED_JSON}, it is {content_type or 'missing'}"
        raise Malformed(message)
    return _checked(_binary(by_name, value))


def decode_structured(value: bytes) -> Envelope:
    """Read an event whose attributes and data are one JSON object; raises Malformed."""
    try:
        event = _structured.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        message = f"not a CloudEvent in JSON: {fault}"
        raise Malformed(message) from fault
    _require_spec_version(event.specversion)
    if event.datacontenttype.partition(";")[0].strip().lower() != JSON:
        message = f"datacontenttype must be {JSON}, it is {event.datacontenttype}"
        raise Malformed(message)
    return _checked(
        Envelope(
            type=event.type,
            source=event.source,
            id=event.id,
            data=bytes(event.data),
            version=_version(event.dataschema, event.type),
            subject=event.subject,
            expiry_time=event.expirytime,
            traceparent=trace_parent(event.traceparent),
        )
    )


def _binary(headers: dict[str, bytes], value: bytes) -> Envelope:
    _require_spec_version(_required(headers, "ce_specversion"))
    type_name = _required(headers, "ce_type")
    return Envelope(
        type=type_name,
        source=_required(headers, "ce_source"),
        id=_required(headers, "ce_id"),
        data=value,
        version=_version(_optional(headers, "ce_dataschema"), type_name),
        subject=_optional(headers, "ce_subject"),
        expiry_time=_instant(_optional(headers, "ce_expirytime")),
        traceparent=trace_parent(_optional(headers, "ce_traceparent")),
    )


def trace_parent(text: str | None) -> str | None:
    """Return the text if it may be a W3C trace parent, else None: a broken one is no reason to turn a command away.

    Events repeat it, so what a stranger writes there must be as short and plain as the standard's form.
    """
    return text if text is not None and _TRACE_PARENT.match(text) else None


def _checked(event: Envelope) -> Envelope:
    for name, text in (("type", event.type), ("source", event.source), ("id", event.id)):
        if not text or len(text) > ATTRIBUTE_CHARACTERS_MAX or not text.isprintable():
            message = f"attribute {name} must be 1 to {ATTRIBUTE_CHARACTERS_MAX} printable characters"
            raise Malformed(message)
    return event


def _require_spec_version(text: str) -> None:
    if text != SPEC_VERSION:
        message = f"specversion must be {SPEC_VERSION}, it is {text!r}"
        raise Malformed(message)


def _version(data_schema: str | None, type_name: str) -> int:
    """Read the message version from the end of dataschema, `…/{type}/{version}`; absent means the first."""
    if data_schema is None:
        return DEFAULT_VERSION
    head, _, number = data_schema.rpartition("/")
    if not head.endswith(f"/{type_name}") or not _VERSION.match(number):
        message = f"dataschema must end with /{type_name}/ and a version, it is {data_schema[:200]!r}"
        raise Malformed(message)
    return int(number)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, Instant)
    except msgspec.ValidationError as fault:
        message = f"expirytime is not an RFC 3339 time: {text[:64]!r}"
        raise Malformed(message) from fault


def _required(headers: dict[str, bytes], name: str) -> str:
    text = _optional(headers, name)
    if text is None:
        message = f"header {name} is missing"
        raise Malformed(message)
    return text


def _optional(headers: dict[str, bytes], name: str) -> str | None:
    content = headers.get(name)
    return None if content is None else _text(content, name)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except (UnicodeDecodeError, AttributeError) as fault:
        message = f"header {name} is not UTF-8 text"
        raise Malformed(message) from fault


def data_schema(family: str, type_name: str, version: int = DEFAULT_VERSION) -> str:
    """Return the reference to the schema of a message: `/schemas/{family}/{type}/{version}`."""
    return f"/schemas/{family}/{type_name}/{version}"


def encode_structured(event: Envelope, family: str) -> bytes:
    """Return an event as one JSON object, its data within."""
    attributes = {
        "specversion": SPEC_VERSION,
        "type": event.type,
        "source": event.source,
        "id": event.id,
        "dataschema": data_schema(family, event.type, event.version),
        "datacontenttype": JSON,
        "subject": event.subject,
        "time": event.time,
        "expirytime": event.expiry_time,
        "traceparent": event.traceparent,
        **event.extensions,
        "data": msgspec.Raw(event.data),
    }
    return _encoder.encode({name: value for name, value in attributes.items() if value is not None})


def encode(event: Envelope, family: str) -> list[tuple[str, bytes]]:
    """Return the headers of a record in binary mode; its value is `event.data` as it is."""
    attributes: Iterable[tuple[str, str | None]] = (
        ("ce_specversion", SPEC_VERSION),
        ("ce_type", event.type),
        ("ce_source", event.source),
        ("ce_id", event.id),
        ("ce_dataschema", data_schema(family, event.type, event.version)),
        ("ce_subject", event.subject),
        ("ce_time", _rfc3339(event.time)),
        ("ce_expirytime", _rfc3339(event.expiry_time)),
        ("ce_traceparent", event.traceparent),
    )
    headers = [(name, text.encode()) for name, text in attributes if text is not None]
    headers += [(f"ce_{name}", text.encode()) for name, text in event.extensions.items()]
    headers.append(("content-type", JSON.encode()))
    return headers


def _rfc3339(instant: datetime | None) -> str | None:
    return None if instant is None else msgspec.to_builtins(instant)
