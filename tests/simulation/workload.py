"""What producers send: commands for a few slots, with every kind of repeat, and what strangers put on the topic."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import msgspec

from tests.simulation.site import GATEWAY, KIND, PARTITIONS, PARTNER, WORKER, Site
from topics import commands
from topics.cloudevents import JSON, STRUCTURED_JSON, Envelope
from topics.cloudevents import encode as encode_headers
from topics.commands import BATCH, Command, fingerprint
from topics.identifiers import hold_id_of, request_id
from topics.log_records import Record
from topics.partitions import partition_of
from topics.resources import ClaimAt
from topics.signatures import Signed, SigningKey, sign
from workers.reading import FORWARDED_HEADER

SLOTS = ("aula", "bar", "club", "dojo", "annex")
NEVER_DEFINED = "nowhere"
ANNEX = "annex"  # what has a name that begins so lies anywhere, marked as forwarded, and is decided there, by several workers
_SIGNERS: dict[str, SigningKey] = {"gateway/": GATEWAY, "worker/": WORKER, "partner/": PARTNER}
_SOURCES = ("gateway/alice", "gateway/bob", "partner/shop", "upstream/tests")


@dataclass(frozen=True)
class Sent:
    """A command as it was sent."""

    command: Command
    source: str
    command_id: str
    wanted_until: datetime | None = None


class Workload:
    """Makes records, the next from the dice and from what was sent before."""

    def __init__(self, site: Site) -> None:
        """Use the site's dice."""
        self._site = site
        self._random: Random = site.random("workload")
        self._sent: list[Sent] = []
        self._holds: list[tuple[Sent, str]] = []
        self._number = 0

    def definitions(self) -> list[Record]:
        """Return the first definitions."""
        sizes = (2, 5, 12, 40, 6)
        return [
            self._record(
                self._keep(commands.DefineResource(resource_id=slot, capacity=size, hold_seconds=15), "gateway/admin")
            )
            for slot, size in zip(SLOTS, sizes, strict=True)
        ]

    def next(self) -> list[Record]:
        """Return the next records, most often one."""
        ways = (
            (self._again, 12), (self._with_a_used_key, 4), (self._of_a_stranger, 4), (self._misplaced, 2), (self._batch, 4),
            (self._one_key_at_once, 3), (self._new_slot, 5), (self._rush, 3), (self._one, 63),
        )  # fmt: skip
        return self._random.choices([way for way, _ in ways], [weight for _, weight in ways])[0]()

    def _one(self) -> list[Record]:
        return [self._record(self._fresh())]

    def _again(self) -> list[Record]:
        self._count("the same record again")
        return [self._record(self._random.choice(self._sent))]

    def _misplaced(self) -> list[Record]:
        self._count("wrong partition")
        record = self._record(self._fresh())
        return [replace(record, partition=self._elsewhere(record.key or b""))]

    def _elsewhere(self, key: bytes) -> int:
        return (partition_of(key, PARTITIONS) + self._random.randrange(1, PARTITIONS)) % PARTITIONS

    def _one_key_at_once(self) -> list[Record]:
        """Return holds of several slots under one key, sent together: they race to own it."""
        self._count("a key for several slots at once")
        source = self._random.choice(_SOURCES)
        self._number += 1
        slots = self._random.sample(SLOTS, 3)
        key = f"k{self._number}"
        return [self._record(self._keep(self._hold(slot, source), source, command_id=key)) for slot in slots]

    def _new_slot(self) -> list[Record]:
        """Return the first commands for a slot, which has no row yet that could be locked."""
        self._number += 1
        slot = f"{self._random.choice(('new', ANNEX))}-{self._number}"
        self._count(f"a new slot, {slot.partition('-')[0]}")
        definitions = [self._keep(self._define(slot), "gateway/admin") for _ in range(self._random.choice((1, 2)))]
        holds = [self._keep(self._hold(slot, source), source) for source in _SOURCES]
        sent = [
            *definitions,
            *holds[:2],
            *definitions,
            *holds[2:],
        ]  # so several workers create it, each before its holds
        return [self._record(one) for one in sent]

    def _rush(self) -> list[Record]:
        """Return commands for one slot that several workers decide at once."""
        self._count("a rush")
        on_it = [hold for hold in self._holds[-200:] if hold[0].command.resource_id == ANNEX]
        sent = [self._keep(self._hold(ANNEX, source), source) for source in _SOURCES]
        for before, hold_id in on_it[-8:]:
            command = self._random.choice((commands.Confirm, commands.Cancel))(resource_id=ANNEX, hold_id=hold_id)
            sent.append(self._keep(command, before.source))
        self._random.shuffle(sent)
        return [self._record(one) for one in sent]

    def _count(self, what: str) -> None:
        self._site.counts[f"sent: {what}"] += 1

    def _keep(self, command: Command, source: str, *, command_id: str = "", wanted: bool = False) -> Sent:
        self._number += 1
        until = self._site.now() + timedelta(seconds=self._random.uniform(0, 3)) if wanted else None
        sent = Sent(command, source, command_id or f"c{self._number}", until)
        self._sent.append(sent)
        if isinstance(command, commands.Hold):
            print_of_command = fingerprint(KIND, command)
            made = request_id(KIND, command.resource_id, source, sent.command_id, print_of_command)
            self._holds.append((sent, hold_id_of(made)))
        return sent

    def _fresh(self) -> Sent:
        """Return a command with a key of its own."""
        source = self._random.choice(_SOURCES)
        command = self._command(source)
        if isinstance(command, commands.DefineResource):
            source = "gateway/admin"
        if isinstance(command, commands.Expire):
            source = "worker/tests"
        if isinstance(command, commands.OfHold) and self._random.random() < 0.8:
            source = self._owner_of(command.hold_id) or source
        self._count(type(command).__name__)
        if not isinstance(command, commands.Hold | commands.Expire) and self._random.random() < 0.3:
            command = msgspec.structs.replace(command, client_reference=f"ref-{source}")
        return self._keep(command, source, wanted=self._random.random() < 0.03)

    def _owner_of(self, hold_id: str) -> str | None:
        return next((sent.source for sent, name in self._holds if name == hold_id), None)

    def _command(self, source: str) -> Command:
        kinds = ("hold", "confirm", "cancel", "extend", "change", "define", "expire")
        kind = self._random.choices(kinds, (40, 18, 18, 9, 9, 4, 2))[0]
        slot = self._random.choice((*SLOTS * 5, NEVER_DEFINED))
        if kind == "hold" or (not self._holds and kind in kinds[1:5]):
            return self._hold(slot, source)
        if kind == "define":
            return self._define(self._random.choice(SLOTS))
        if kind == "expire":
            return commands.Expire(resource_id=slot)
        return self._of_hold(kind)

    def _hold(self, slot: str, source: str) -> commands.Hold:
        dice = self._random
        may_name_buyers = source.startswith(tuple(_SIGNERS)) or dice.random() < 0.02
        return commands.Hold(
            resource_id=slot,
            quantity=dice.choice((1, 1, 1, 2, 3)),
            buyer=dice.choice((None, "ann", "ben")) if may_name_buyers else None,
            client_reference=dice.choice((None, f"ref-{source}")),
            token_hash=dice.choice((None, _hash("token"))),
        )

    def _of_hold(self, kind: str) -> Command:
        dice = self._random
        sent, hold_id = dice.choice(self._holds[-40:])
        slot = sent.command.resource_id
        if dice.random() < 0.03:
            hold_id = f"hold_{KIND}~{slot}~{'z' * 32}"
        token = dice.choice((None, None, _hash("token"), _hash("wrong")))
        if kind == "confirm":
            return commands.Confirm(resource_id=slot, hold_id=hold_id, token_hash=token)
        if kind == "cancel":
            return commands.Cancel(resource_id=slot, hold_id=hold_id, token_hash=token)
        if kind == "extend":
            seconds = dice.choice((1, 10, 40, 5000))
            return commands.Extend(resource_id=slot, hold_id=hold_id, token_hash=token, seconds=seconds)
        return commands.ChangeHold(resource_id=slot, hold_id=hold_id, token_hash=token, quantity=dice.randint(1, 5))

    def _define(self, slot: str) -> commands.DefineResource:
        dice = self._random
        bound = self._site.now() + timedelta(seconds=dice.uniform(-5, 10))
        return commands.DefineResource(
            resource_id=slot,
            capacity=dice.choice((0, 2, 5, 12, 30, 60)),
            hold_seconds=dice.choice((2, 5, 15, 30)),
            max_hold_seconds=dice.choice((None, None, 20, 45)),
            claim_at=dice.choice((ClaimAt.HOLD, ClaimAt.HOLD, ClaimAt.CONFIRM)),
            open=dice.random() < 0.93,
            opens_at=bound if dice.random() < 0.07 else None,
            closes_at=bound + timedelta(seconds=10) if dice.random() < 0.07 else None,
            units_per_hold=dice.choice((None, None, None, 2)),
            holds_per_buyer=dice.choice((None, None, 3)),
            if_version=dice.choice((None,) * 9 + (3,)),
        )

    def _with_a_used_key(self) -> list[Record]:
        """Return a command with the key of another: changed, or on another slot."""
        before = self._random.choice(self._sent)
        source = before.source if before.source in _SOURCES else "gateway/alice"
        slot = self._random.choice(SLOTS)
        self._count("a used key, " + ("same slot" if slot == before.command.resource_id else "another slot"))
        return [self._record(self._keep(self._hold(slot, source), source, command_id=before.command_id))]

    def _batch(self) -> list[Record]:
        """Return one record with commands for one slot."""
        self._count("a batch record")
        slot = self._random.choice(SLOTS)
        parts = []
        for _ in range(self._random.randint(1, 5)):
            source = self._random.choice(("gateway/alice", "gateway/bob"))
            envelope = _envelope(self._keep(self._hold(slot, source), source))
            if self._random.random() < 0.1:
                envelope = msgspec.structs.replace(envelope, type="Nonsense")
            parts.append(_structured(envelope))
        self._number += 1
        data = msgspec.json.encode(parts)
        return [self._signed(slot, Envelope(type=BATCH, source="gateway/batch", id=f"b{self._number}", data=data))]

    def _of_a_stranger(self) -> list[Record]:
        """Return what must not be decided."""
        good = self._record(self._fresh_of_stranger())
        ways: Sequence[tuple[str, Record]] = (
            ("no key", replace(good, key=None, partition=self._random.randrange(PARTITIONS))),
            ("no value", replace(good, value=None)),
            (
                "no JSON",
                replace(good, value=b"{", headers=[(n, v) for n, v in good.headers if n != "firmhold-signature"]),
            ),
            ("no CloudEvent", replace(good, headers=[("content-type", JSON.encode())])),
            ("another key", replace(good, key=b"bar" if good.key != b"bar" else b"aula")),
            ("forged source", self._forged("gateway/alice", commands.Hold(resource_id="bar", quantity=2))),
            (
                "unsigned definition",
                self._forged("upstream/tests", commands.DefineResource(resource_id="bar", capacity=99)),
            ),
            (
                "unknown type",
                self._signed("bar", Envelope(type="Dance", source="gateway/alice", id="dance", data=b"{}")),
            ),
            (
                "a field too many",
                self._forged("upstream/tests", commands.Hold(resource_id="bar"), b'{"resource_id":"bar","x":1}'),
            ),
        )
        what, record = self._random.choice(ways)
        self._count(f"stranger, {what}")
        return [record]

    def _fresh_of_stranger(self) -> Sent:
        self._number += 1
        slot = self._random.choice(SLOTS)
        return Sent(self._hold(slot, "upstream/tests"), "upstream/tests", f"s{self._number}")

    def _forged(self, source: str, command: Command, value: bytes | None = None) -> Record:
        self._number += 1
        envelope = _envelope(Sent(command, source, f"f{self._number}"))
        data = envelope.data if value is None else value
        key = command.resource_id.encode()
        return Record(self._topic, key, data, encode_headers(msgspec.structs.replace(envelope, data=data), "commands"))

    @property
    def _topic(self) -> str:
        return self._site.catalogue.commands(KIND)

    def _record(self, sent: Sent) -> Record:
        return self._signed(sent.command.resource_id, _envelope(sent))

    def _signed(self, slot: str, envelope: Envelope) -> Record:
        """Return the record of an event, signed if its source has a key; now and then in structured mode."""
        key, value = slot.encode(), envelope.data
        headers = encode_headers(envelope, "commands")
        if self._random.random() < 0.1:
            value = msgspec.json.encode(_structured(envelope))
            headers = [("content-type", STRUCTURED_JSON.encode())]
        signer = next((key for prefix, key in _SIGNERS.items() if envelope.source.startswith(prefix)), None)
        if signer is not None:
            fields = Signed(KIND, key, envelope.type, envelope.source, envelope.id, value)
            headers = [*headers, sign(signer, fields)]
        if slot.startswith(ANNEX) and self._random.random() < 0.5:
            self._count("decided where it lies")
            return Record(self._topic, key, value, [*headers, (FORWARDED_HEADER, b"0/0")], self._elsewhere(key))
        return Record(self._topic, key, value, headers)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _envelope(sent: Sent) -> Envelope:
    return Envelope(
        type=type(sent.command).__name__,
        source=sent.source,
        id=sent.command_id,
        data=commands.encode(sent.command),
        expiry_time=sent.wanted_until,
    )


def _structured(envelope: Envelope) -> dict[str, object]:
    fields: dict[str, object] = {
        "specversion": "1.0",
        "type": envelope.type,
        "source": envelope.source,
        "id": envelope.id,
        "data": msgspec.Raw(envelope.data),
    }
    if envelope.expiry_time is not None:
        fields["expirytime"] = envelope.expiry_time
    return fields
