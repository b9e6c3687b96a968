"""What the auditor is shown, and how it reads the command log by itself: of ours it imports the contract and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from topics import commands, signatures
from topics.catalogue import LOG_APPEND_TIME, Catalogue
from topics.cloudevents import Envelope, Malformed, decode, decode_structured
from topics.identifiers import is_resource_id, request_id
from topics.partitions import partition_of

FORWARDED = "firmhold-forwarded"
STEPS = "worker/steps"


class Lying(Protocol):
    """A record on a partition."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - what Kafka calls so
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102
    @property
    def appended_at(self) -> datetime: ...  # noqa: D102
    @property
    def timestamp_type(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class SlotRead:
    """What a gateway answered who asked what is free of a slot: units are capacity, held and remaining; version 0: no slot.

    Below `version_least` it must not be, by what the cache and everybody was told before; `stale_for` is how much older
    than the asking an answer may be whose slot nobody told of since: zero unless stale entries are kept.
    """

    reader: str
    resource_id: str
    asked_at: datetime
    answered_at: datetime
    stale_for: timedelta
    version_least: int
    version: int
    units: tuple[int, int, int]


@dataclass(frozen=True)
class ListRead:
    """What a gateway answered who asked which slots there are, and those that must be among them."""

    reader: str
    answered_at: datetime
    least: frozenset[str]
    ids: frozenset[str]


@dataclass(frozen=True)
class Evidence:
    """The topics of one kind, partition by partition, the final rows as plain columns, and what was read meanwhile.

    `expiries` are the least and the most that a transaction of any worker ends before it may leave the rest to the next.
    """

    kind: str
    catalogue: Catalogue
    keys: signatures.KeyRing
    commands: Sequence[Lying]
    events: Sequence[Lying]
    dead_letters: Sequence[Lying]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    expiries: tuple[int, int]
    reads: Sequence[SlotRead] = ()
    lists: Sequence[ListRead] = ()


@dataclass(frozen=True)
class Asked:
    """A command that is to be decided; or a step of one, taken for `step_of` before it was."""

    kind: str
    request_id: str
    source: str
    claim_id: str
    command: commands.Command
    appended_at: datetime
    wanted_until: datetime | None
    record: Lying
    part: int
    step_of: "Asked | None" = None

    @property
    def cause(self) -> str:
        """The claim that its events are said to come from."""
        return self.claim_id if self.step_of is None else self.step_of.claim_id

    def step(self, number: int) -> "Asked":
        """Return a step that may have been taken for it, counted from 1: an `Expire` that came with it."""
        command = commands.Expire(resource_id=self.command.resource_id)
        kind, claim_id = self.kind, f"{self.request_id}/{number:06}"
        print_of_command = commands.fingerprint(kind, command)
        return replace(
            self,
            request_id=request_id(kind, command.resource_id, STEPS, claim_id, print_of_command),
            source=STEPS,
            claim_id=claim_id,
            command=command,
            wanted_until=None,
            step_of=self,
        )

    @property
    def claim(self) -> tuple[str, str]:
        """What is deduplicated."""
        return self.source, self.claim_id

    @property
    def partition(self) -> int:
        """Where it lies."""
        return self.record.partition

    @property
    def account(self) -> str:
        """Whose it is."""
        return signatures.account_of(self.source)


@dataclass(frozen=True)
class TurnedAway:
    """A record, or a part of one, that must not be decided; `reason` is that of the rejection."""

    reason: str
    record: Lying
    part: int

    @property
    def is_dead_letter(self) -> bool:
        """Tell whether it is put aside: what is only forbidden is answered and forgotten."""
        return self.reason != "forbidden"


@dataclass(frozen=True)
class Misplaced:
    """A record on another partition than its key's."""

    record: Lying
    home: int


Read = Asked | TurnedAway | Misplaced


def read(evidence: Evidence) -> Iterator[Read]:
    """Yield what each record of the command log asks for, partition by partition in order."""
    for record in evidence.commands:
        yield from _read(evidence, record)


def _read(evidence: Evidence, record: Lying) -> Iterator[Read]:
    envelope = _envelope(record)
    if isinstance(envelope, str):
        yield TurnedAway(envelope, record, 0)
        return
    home = partition_of(record.key or b"", evidence.catalogue.partitions)
    if home != record.partition and not any(name == FORWARDED for name, _ in record.headers):
        yield Misplaced(record, home)
        return
    fields = signatures.Signed(
        evidence.kind, record.key or b"", envelope.type, envelope.source, envelope.id, record.value or b""
    )
    signer = evidence.keys.signer(record.headers, fields)
    if envelope.type != commands.BATCH:
        yield _command(evidence, record, 0, envelope, signer)
    elif signer is None or not envelope.source.startswith(signer.source_prefix):
        yield TurnedAway("forbidden", record, 0)
    else:
        for part, text in enumerate(msgspec.json.decode(envelope.data, type=list[msgspec.Raw])):
            try:
                yield _command(evidence, record, part, decode_structured(bytes(text)), signer)
            except Malformed:
                yield TurnedAway("undecodable", record, part)


def _envelope(record: Lying) -> Envelope | str:
    if record.timestamp_type != LOG_APPEND_TIME:
        return "wrong_timestamp_type"
    if record.key is None or not is_resource_id(record.key.decode("utf-8", "replace")):
        return "mis_keyed"
    if record.value is None:
        return "null_value"
    try:
        return decode(record.headers, record.value)
    except Malformed:
        return "undecodable"


def _command(
    evidence: Evidence, record: Lying, part: int, envelope: Envelope, signer: signatures.SigningKey | None
) -> Read:
    kind, key = evidence.kind, (record.key or b"").decode()
    known = envelope.type in signatures.SCOPE_OF_COMMAND
    denied = known and not signatures.may(signer, envelope.type, envelope.source, evidence.keys.owned_prefixes)
    if envelope.type not in commands.COMMANDS:
        return TurnedAway("forbidden" if denied else "unknown_type", record, part)
    if envelope.version != 1:
        return TurnedAway("unknown_version", record, part)
    command = _decoded(envelope, key)
    if isinstance(command, str):
        return TurnedAway(command, record, part)
    is_trusted = signer is not None and signatures.Scope.TRUSTED in signer.scopes
    if denied or (isinstance(command, commands.Hold) and command.buyer is not None and not is_trusted):
        return TurnedAway("forbidden", record, part)
    fingerprint = commands.fingerprint(kind, command)
    return Asked(
        kind=kind,
        request_id=request_id(kind, key, envelope.source, envelope.id, fingerprint),
        source=envelope.source,
        claim_id=envelope.id,
        command=command,
        appended_at=record.appended_at,
        wanted_until=envelope.expiry_time,
        record=record,
        part=part,
    )


def _decoded(envelope: Envelope, key: str) -> commands.Command | str:
    try:
        command = commands.decode(envelope.type, envelope.data)
    except commands.Invalid:
        return "invalid_command"
    if command.resource_id != key:
        return "mis_keyed"
    if isinstance(command, commands.DefineResource) and (command.capacity is None or commands.contradictions(command)):
        return "invalid_command"
    return command
