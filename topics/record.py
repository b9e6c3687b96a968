"""Make the record of a command: what every producer of ours does, in one place."""

from topics import commands
from topics.cloudevents import Envelope, encode
from topics.producer import Record
from topics.signatures import Signed, SigningKey, sign

_FAMILY = "commands"


def command_record(
    topic: str,
    kind: str,
    command: commands.Command,
    *,
    source: str,
    command_id: str,
    signing_key: SigningKey,
    traceparent: str | None = None,
    request_id: str | None = None,
) -> Record:
    """Return the signed record of a command, in binary mode, keyed by its resource."""
    envelope = Envelope(
        type=type(command).__name__,
        source=source,
        id=command_id,
        data=commands.encode(command),
        subject=command.resource_id,
        traceparent=traceparent,
        extensions={} if request_id is None else {"correlationid": request_id},
    )
    key = command.resource_id.encode()
    signed = Signed(kind, key, envelope.type, source, command_id, envelope.data)
    return Record(topic, key, envelope.data, [*encode(envelope, _FAMILY), sign(signing_key, signed)])
