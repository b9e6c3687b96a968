"""Short ways to make what the tests pass in: instants, commands that arrived, records, who signs them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from schema.rows import ResourceKey
from topics import signatures
from topics.catalogue import LOG_APPEND_TIME
from topics.cloudevents import Envelope, encode
from topics.commands import Command, DefineResource, fingerprint
from topics.commands import encode as encode_command
from topics.identifiers import request_id
from topics.partitions import partition_of
from workers.core.batch import Arrived
from workers.reading import Incoming

START = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = "gateway/alice"
PARTITIONS = 8
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = b"the secret of this installation"
GATEWAY = signatures.gateway_key(SECRET)
WORKER = signatures.worker_key(SECRET)
PARTNER = signatures.SigningKey("partner", b"theirs", frozenset({signatures.Scope.HOLD}), "partner/")


def at(seconds: float) -> datetime:
    """Return the instant so many seconds after the start of the test's time."""
    return START + timedelta(seconds=seconds)


def arrived(
    command: Command,
    *,
    claim: str,
    source: str = SOURCE,
    appended_at: datetime = START,
    expiry_time: datetime | None = None,
    offset: int = 0,
    kind: str = "slot",
) -> Arrived:
    """Return a command, of a slot by default, as the reader would hand it on."""
    print_of_command = fingerprint(kind, command)
    return Arrived(
        key=ResourceKey(kind, command.resource_id),
        command=command,
        source=source,
        claim_id=claim,
        account=signatures.account_of(source),
        fingerprint=print_of_command,
        request_id=request_id(kind, command.resource_id, source, claim, print_of_command),
        appended_at=appended_at,
        partition=0,
        offset=offset,
        expiry_time=expiry_time,
    )


def envelope_of(command: Command, *, source: str = SOURCE, claim: str = "claim-1", version: int = 1) -> Envelope:
    """Return the event that carries a command."""
    return Envelope(type=type(command).__name__, source=source, id=claim, data=encode_command(command), version=version)


def structured(envelope: Envelope) -> dict[str, object]:
    """Return an event as the JSON object of structured mode."""
    return {
        "specversion": "1.0",
        "type": envelope.type,
        "source": envelope.source,
        "id": envelope.id,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(envelope.data),
    }


def record(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    *,
    partition: int | None = None,
    timestamp_type: int = LOG_APPEND_TIME,
    kind: str = "slot",
) -> Incoming:
    """Return a record as the broker hands it out, by default on the partition where it belongs."""
    home = partition_of(key or b"", PARTITIONS)
    return Incoming(
        topic="slots.commands",
        kind=kind,
        partition=home if partition is None else partition,
        offset=7,
        key=key,
        value=value,
        headers=headers,
        appended_at=START,
        timestamp_type=timestamp_type,
    )


def signed_record(
    envelope: Envelope, signer: signatures.SigningKey | None = GATEWAY, *, key: bytes = b"room-1"
) -> Incoming:
    """Return the record of an event in binary mode, signed by `signer` or by nobody."""
    headers = encode(envelope, "commands")
    if signer is not None:
        fields = signatures.Signed("slot", key, envelope.type, envelope.source, envelope.id, envelope.data)
        headers.append(signatures.sign(signer, fields))
    return record(key, envelope.data, headers)


def define(resource_id: str = "room-1", capacity: int = 1) -> DefineResource:
    """Return the plainest definition of a slot."""
    return DefineResource(resource_id=resource_id, capacity=capacity)
