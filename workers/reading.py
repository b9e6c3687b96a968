"""Read records of command topics: each is a command, goes to another partition, or is turned away with a reason.

Pure. Precedence: decode, key agrees, right partition, authority; what follows is decided by the core.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec
from msgspec.structs import replace

from schema.rows import ResourceKey
from topics import commands, signatures
from topics.catalogue import LOG_APPEND_TIME, MESSAGE_BYTES_MAX, ROOM_FOR_HEADERS_BYTES
from topics.cloudevents import EVENT_BYTES_MAX, Envelope, Headers, Malformed, decode, decode_structured
from topics.dead_letters import Reason
from topics.identifiers import ORDER, is_resource_id, parse, request_id
from topics.partitions import partition_of
from workers.core.batch import Arrived
from workers.core.kinds.registry import KINDS

FORWARDED_HEADER = "firmhold-forwarded"
FORBIDDEN = "forbidden"
# Together with the headers, and with those that forwarding adds, a record must fit on the command topic once more.
RECORD_BYTES_MAX = MESSAGE_BYTES_MAX - ROOM_FOR_HEADERS_BYTES
HEADER_OVERHEAD_BYTES_MAX = 8  # two lengths as varints


class Incoming(msgspec.Struct, frozen=True):
    """A record of a command topic as the broker handed it out."""

    topic: str
    kind: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    appended_at: datetime
    timestamp_type: int


class Ordered(msgspec.Struct, frozen=True):
    """A record's command that is to be decided, with what its events repeat of it. `part` is its place in a batch."""

    incoming: Incoming
    arrived: Arrived
    traceparent: str | None
    part: int = 0


class Forwarded(msgspec.Struct, frozen=True):
    """A record that another partitioner put on the wrong partition."""

    incoming: Incoming
    partition: int


class Rejected(msgspec.Struct, frozen=True):
    """A record that is not decided; `reason` None means forbidden, which is answered but is no dead letter."""

    incoming: Incoming
    reason: Reason | None
    detail: str
    source: str | None = None
    claim_id: str | None = None
    part: int = 0


Item = Ordered | Forwarded | Rejected


class _Unreadable(Exception):
    """Carries why a record, or one event of it, cannot be decided."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Event(msgspec.Struct, frozen=True):
    """One event of a record, with who signed it and how many bytes it has."""

    envelope: Envelope
    signer: signatures.SigningKey | None
    owned_prefixes: tuple[str, ...] = signatures.OUR_PREFIXES


class Reader:
    """Reads records with the keys and the partition count of this installation."""

    def __init__(self, keys: signatures.KeyRing, partition_count: int) -> None:
        """Trust these signing keys; expect this many partitions of each topic."""
        self._keys = keys
        self._partition_count = partition_count

    def read(self, incoming: Incoming) -> Iterator[Item]:
        """Yield what the record asks for; nothing it contains can raise."""
        try:
            key = _usable_key(incoming)
            envelope = _decoded(incoming)
        except _Unreadable as why:
            yield Rejected(incoming, why.reason, why.detail)
            return
        home = partition_of(key.encode(), self._partition_count)
        if incoming.partition != home and not _was_forwarded(incoming.headers):
            yield Forwarded(incoming, home)
            return
        signer = self._signer(incoming, envelope)
        if envelope.type == commands.BATCH:
            yield from self._read_batch(incoming, key, envelope, signer)
        else:
            yield _read_event(incoming, key, _Event(envelope, signer, self._keys.owned_prefixes))

    def _signer(self, incoming: Incoming, envelope: Envelope) -> signatures.SigningKey | None:
        signed = signatures.Signed(
            kind=incoming.kind,
            key=incoming.key or b"",
            type=envelope.type,
            source=envelope.source,
            id=envelope.id,
            value=incoming.value or b"",
        )
        return self._keys.signer(incoming.headers, signed)

    @staticmethod
    def _read_batch(
        incoming: Incoming, key: str, envelope: Envelope, signer: signatures.SigningKey | None
    ) -> Iterator[Item]:
        if signer is None or not envelope.source.startswith(signer.source_prefix):
            yield _forbidden(incoming, envelope)
            return
        try:
            parts = msgspec.json.decode(envelope.data, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            yield Rejected(
                incoming, Reason.UNDECODABLE, f"not a batch of events: {fault}", envelope.source, envelope.id
            )
            return
        if not 1 <= len(parts) <= commands.BATCH_COMMANDS_MAX:
            detail = f"a batch carries 1 to {commands.BATCH_COMMANDS_MAX} commands, this one {len(parts)}"
            yield Rejected(incoming, Reason.UNDECODABLE, detail, envelope.source, envelope.id)
            return
        for place, part in enumerate(parts):
            item = _read_part(incoming, key, bytes(part), signer)
            if isinstance(item, Rejected):
                item = replace(item, detail=f"part {place} of the batch: {item.detail}")
            yield replace(item, part=place)


def _read_part(incoming: Incoming, key: str, part: bytes, signer: signatures.SigningKey) -> Ordered | Rejected:
    try:
        return _read_event(incoming, key, _Event(decode_structured(part), signer))
    except Malformed as fault:
        return Rejected(incoming, Reason.UNDECODABLE, str(fault))


def _usable_key(incoming: Incoming) -> str:
    if incoming.timestamp_type != LOG_APPEND_TIME:
        detail = "the topic must have message.timestamp.type=LogAppendTime: deadlines are judged on arrival"
        raise _Unreadable(Reason.WRONG_TIMESTAMP_TYPE, detail)
    if incoming.key is None:
        raise _Unreadable(Reason.MIS_KEYED, "the record has no key; it must be the resource id")
    key = incoming.key.decode("utf-8", "replace")
    if not is_resource_id(key):
        raise _Unreadable(Reason.MIS_KEYED, "the key is not a resource id")
    return key


def _decoded(incoming: Incoming) -> Envelope:
    value = incoming.value
    if value is None:
        raise _Unreadable(Reason.NULL_VALUE, "the record has no value")
    size = len(value) + sum(
        len(name.encode()) + len(content) + HEADER_OVERHEAD_BYTES_MAX for name, content in incoming.headers
    )
    if size > RECORD_BYTES_MAX:
        detail = f"the record has {size} bytes with its headers, at most {RECORD_BYTES_MAX} are taken"
        raise _Unreadable(Reason.TOO_LARGE, detail)
    try:
        envelope = decode(incoming.headers, value)
    except Malformed as fault:
        raise _Unreadable(Reason.UNDECODABLE, str(fault)) from fault
    most = EVENT_BYTES_MAX * (commands.BATCH_COMMANDS_MAX if envelope.type == commands.BATCH else 1)
    if len(value) > most:
        raise _Unreadable(Reason.TOO_LARGE, f"the record has {len(value)} bytes, at most {most} are taken")
    return envelope


def _was_forwarded(headers: Headers) -> bool:
    return any(name == FORWARDED_HEADER for name, _ in headers)


def _is_denied(event: _Event) -> bool:
    """Tell whether a command of the design is given by one who may not; a type of nobody's is not denied but unknown."""
    type_name, source = event.envelope.type, event.envelope.source
    if type_name not in signatures.SCOPE_OF_COMMAND:
        return False
    return not signatures.may(event.signer, type_name, source, event.owned_prefixes)


def _forbidden(incoming: Incoming, envelope: Envelope) -> Rejected:
    return _forbidden_to(incoming, envelope, f"give {envelope.type}")


def _forbidden_to(incoming: Incoming, envelope: Envelope, what: str) -> Rejected:
    detail = f"{envelope.source} may not {what} with this signature, or without one"
    return Rejected(incoming, None, detail, envelope.source, envelope.id)


def _read_event(incoming: Incoming, key: str, event: _Event) -> Ordered | Rejected:
    envelope = event.envelope
    try:
        command = _command(incoming, key, envelope)
    except _Unreadable as why:
        if why.reason is Reason.UNKNOWN_TYPE and _is_denied(event):
            return _forbidden(incoming, envelope)
        return Rejected(incoming, why.reason, why.detail, envelope.source, envelope.id)
    if _is_denied(event):
        return _forbidden(incoming, envelope)
    if getattr(command, "buyer", None) is not None and not signatures.may_name_buyers(event.signer):
        return _forbidden_to(incoming, envelope, "name a buyer")
    fingerprint = commands.fingerprint(incoming.kind, command)
    arrived = Arrived(
        key=ResourceKey(incoming.kind, key),
        command=command,
        source=envelope.source,
        claim_id=envelope.id,
        account=signatures.account_of(envelope.source),
        fingerprint=fingerprint,
        request_id=request_id(incoming.kind, key, envelope.source, envelope.id, fingerprint),
        appended_at=incoming.appended_at,
        partition=incoming.partition,
        offset=incoming.offset,
        expiry_time=envelope.expiry_time,
    )
    return Ordered(incoming, arrived, envelope.traceparent)


def _command(incoming: Incoming, key: str, envelope: Envelope) -> commands.Command:
    kind = KINDS.get(incoming.kind)
    takes = kind is not None and (kind.takes_orders or envelope.type not in commands.NEED_ORDERS)
    if kind is None or not takes or envelope.type not in commands.COMMANDS:
        raise _Unreadable(Reason.UNKNOWN_TYPE, f"{envelope.type} is no command of {incoming.topic}")
    if envelope.version != commands.VERSION:
        raise _Unreadable(Reason.UNKNOWN_VERSION, f"version {envelope.version} of {envelope.type} is not known")
    try:
        command = commands.decode(envelope.type, envelope.data)
    except commands.Invalid as fault:
        raise _Unreadable(Reason.INVALID_COMMAND, f"{envelope.type}: {fault}") from fault
    if command.resource_id != key:
        raise _Unreadable(Reason.MIS_KEYED, f"the key is {key}, the body says {command.resource_id}")
    why = _fault_of_order(incoming.kind, command) or kind.fault_of(command) or _contradiction(command)
    if why is not None:
        raise _Unreadable(Reason.INVALID_COMMAND, f"{envelope.type}: {why}")
    return command


def _fault_of_order(kind: str, command: commands.Command) -> str | None:
    """Say what is wrong with the order that a payment names: it may not have come yet, so its id must say where it will."""
    if not isinstance(command, commands.RecordPayment):
        return None
    order = parse(command.order_id, ORDER)
    if order is None or (order.kind, order.resource_id) != (kind, command.resource_id):
        return f"order_id is none of an order of {kind} {command.resource_id}"
    return None


def _contradiction(command: commands.Command) -> str | None:
    if not isinstance(command, commands.DefineResource):
        return None
    return "; ".join(f"{name} {what}" for name, what in commands.contradictions(command).items()) or None
