"""Make the record of a command, or of several of one resource: what every producer of ours does, in one place."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from topics import commands
from topics.cloudevents import Envelope, encode, encode_structured
from topics.log_records import Record
from topics.signatures import Signed, SigningKey, sign

_FAMILY = "commands"


@dataclass(frozen=True, slots=True)
class CommandEvent:
    """A command as an event, and where it belongs."""

    topic: str
    kind: str
    key: bytes
    envelope: Envelope


def command_event(
    topic: str,
    kind: str,
    command: commands.Command,
    *,
    source: str,
    command_id: str,
    traceparent: str | None = None,
    request_id: str | None = None,
) -> CommandEvent:
    """Return the event of a command, keyed by its resource."""
    envelope = Envelope(
        type=type(command).__name__,
        source=source,
        id=command_id,
        data=commands.encode(command),
        subject=command.resource_id,
        traceparent=traceparent,
        extensions={} if request_id is None else {"correlationid": request_id},
    )
    return CommandEvent(topic, kind, command.resource_id.encode(), envelope)


def command_record(
    topic: str,
    kind: str,
    command: commands.Command,
    *,
    source: str,
    command_id: str,
    signing_key: SigningKey,
) -> Record:
    """Return the signed record of a command of its own."""
    return record_of(command_event(topic, kind, command, source=source, command_id=command_id), signing_key)


def record_of(event: CommandEvent, signing_key: SigningKey) -> Record:
    """Return the signed record of a command, in binary mode."""
    envelope = event.envelope
    signed = Signed(event.kind, event.key, envelope.type, envelope.source, envelope.id, envelope.data)
    return Record(event.topic, event.key, envelope.data, [*encode(envelope, _FAMILY), sign(signing_key, signed)])


def batch_record(events: Sequence[CommandEvent], signing_key: SigningKey) -> Record:
    """Return one signed record of several commands of one resource; each is decided alone, in this order."""
    first = events[0]
    envelope = Envelope(
        type=commands.BATCH,
        source=f"{signing_key.source_prefix}batch",
        id=secrets.token_hex(16),
        data=b"[%b]" % b",".join([encode_structured(event.envelope, _FAMILY) for event in events]),
        subject=first.envelope.subject,
    )
    return record_of(CommandEvent(first.topic, first.kind, first.key, envelope), signing_key)
