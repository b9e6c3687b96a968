"""Play scenarios written as tables: a line a command, its result last.

    tick 5 seconds                      time passes, for Postgres and the broker
    define room capacity=2              -> defined remaining=2
    hold k1 room quantity=2             -> held version=2 until=300
    hold k2 room late=60                -> sold_out         (the record is 60 s old when it is decided)
    hold k1 room quantity=2             -> again held       (a copy: nothing is decided anew)
    fail k3 room                        -> internal_error   (a hold that made the worker fail)
    confirm room k1                     -> confirmed taken=2
    change room k1 quantity=1           -> hold_confirmed
    extend room k1 seconds=60           -> hold_confirmed
    cancel room k1                      -> cancelled        (or `unchanged` and the hold's status)
    expire room                         -> done             (it answers nobody)
    batch / end                         the lines between are decided together
    purge                               outcomes are forgotten, holds are not

The claim `k1` names the request, and the hold that it places; other commands have a claim of their own each, or the one
that `claim=` gives. `source=` tells who asks, `token=` what he shows. A result is: `again` if stored before; `expired
k1 k2` for the holds that were over on arrival, in their order; the outcome; then any of its numbers, of which those
that are named are compared.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, groupby

import msgspec

from tests.unit.builders import arrived, at
from tests.unit.ledger import Ledger
from topics import events
from topics.commands import COMMANDS, Command, Hold
from topics.events import (
    EventData,
    HoldChanged,
    OrderChanged,
    PaymentRecorded,
    RefundRequired,
    RequestRefused,
    ResourceDefined,
)
from topics.identifiers import hold_id_of, request_id_of
from workers.core.batch import Arrived, Outcome

_INSTANTS = ("opens_at", "closes_at")
_OUTCOMES = {
    events.RESOURCE_DEFINED: "defined",
    events.HOLD_PLACED: "held",
    events.HOLD_CHANGED: "changed",
    events.HOLD_EXTENDED: "extended",
    events.HOLD_CONFIRMED: "confirmed",
    events.HOLD_CANCELLED: "cancelled",
    events.HOLD_UNCHANGED: "unchanged",
}
_COMMANDS = {
    "define": "DefineResource",
    "hold": "Hold",
    "fail": "Hold",
    "confirm": "Confirm",
    "cancel": "Cancel",
    "extend": "Extend",
    "change": "ChangeHold",
    "expire": "Expire",
    "place": "PlaceOrder",
    "refuse": "CancelOrder",
    "pay": "RecordPayment",
}
_HOLDING = ("hold", "fail")
NEVER_SEEN = "hold_slot~room~" + "z" * 32


@dataclass(frozen=True)
class Line:
    """A command of a scenario with the result that is expected of it."""

    number: int
    verb: str
    claim: str
    command: Command
    late: float
    wanted_until: float | None
    source: str
    expected: str


@dataclass
class Scenario:
    """A ledger, and the time by which it decides."""

    ledger: Ledger = field(default_factory=Ledger)
    now: float = 0.0
    claims: dict[str, str] = field(default_factory=dict)
    hold_ids: dict[str, str] = field(default_factory=dict)
    unnamed: int = 0
    kind: str = "slot"

    def play(self, text: str) -> None:
        """Play a table; raises AssertionError naming the first line that came out otherwise."""
        batch: list[Line] | None = None
        for number, raw in enumerate(text.splitlines(), start=1):
            words = raw.partition("#")[0].split()
            match words:
                case []:
                    continue
                case ["tick", seconds, "seconds"]:
                    self.now += float(seconds)
                case ["purge"]:
                    self.ledger.purge()
                case ["batch"]:
                    batch = []
                case ["end"]:
                    assert batch is not None, f"line {number}: `end` without `batch`"
                    self._decide(batch)
                    batch = None
                case _:
                    line = self.play_line(number, words)
                    if line is None:
                        continue
                    if batch is None:
                        self._decide([line])
                    else:
                        batch.append(line)

    def play_line(self, number: int, words: list[str]) -> Line | None:
        """Read a line; None if it sends nothing."""
        return self._line(number, words)

    def _line(self, number: int, words: list[str]) -> Line:
        arrow = words.index("->")
        verb, *given = words[:arrow]
        options = dict(word.split("=") for word in given if "=" in word)
        names = [word for word in given if "=" not in word]
        if verb not in _HOLDING:
            self.unnamed += 1
            names.insert(0, options.pop("claim", f"{verb}-{self.unnamed}"))
        claim, resource_id, *hold = names
        late = float(options.pop("late", 0))
        wanted_until = options.pop("wanted_until", None)
        source = options.pop("source", "gateway/alice")
        if hold:
            options["hold_id"] = self.hold_ids.get(hold[0], NEVER_SEEN)
        line = Line(
            number=number,
            verb=verb,
            claim=claim,
            command=self.command(verb, resource_id, options),
            late=late,
            wanted_until=None if wanted_until is None else float(wanted_until),
            source=source,
            expected=" ".join(words[arrow + 1 :]),
        )
        if isinstance(line.command, Hold):
            self.hold_ids.setdefault(claim, hold_id_of(self._arrived(line).request_id))
        return line

    def command(self, verb: str, resource_id: str, options: dict[str, str]) -> Command:
        """Return the command of a line."""
        return command_of(verb, resource_id, {**options})

    def _decide(self, lines: list[Line]) -> None:
        commands = [self._arrived(line) for line in lines]
        if lines[0].verb == "fail":
            outcomes = self.ledger.fail(commands[0], at(self.now)).outcomes
        else:
            outcomes = self.ledger.apply(commands, at(self.now)).outcomes
        for line, outcome in zip(lines, outcomes, strict=True):
            self._compare(line, outcome)
        self.ledger.check_sums()

    def _arrived(self, line: Line) -> Arrived:
        command = arrived(
            line.command,
            claim=line.claim,
            source=line.source,
            appended_at=at(self.now - line.late),
            expiry_time=None if line.wanted_until is None else at(line.wanted_until),
            kind=self.kind,
        )
        self.claims.setdefault(command.request_id, line.claim)
        return command

    def _compare(self, line: Line, outcome: Outcome) -> None:
        words, numbers = self.result(outcome)
        expected = line.expected.split()
        wanted = {name: number for name, _, number in (word.partition("=") for word in expected if "=" in word)}
        shown = [*words, *(f"{name}={numbers.get(name)}" for name in wanted)]
        assert shown == [*(word for word in expected if "=" not in word), *(f"{k}={v}" for k, v in wanted.items())], (
            f"line {line.number}: expected `{line.expected}`, it was `{' '.join(shown)}`"
        )

    def result(self, outcome: Outcome) -> tuple[list[str], dict[str, str]]:
        """Return an outcome as the words and the numbers of a result."""
        if outcome.events is None:
            return ["too_old"], {}
        told = [(event, events.decode_data(event.type, bytes(event.data))) for event in outcome.events]
        expired = [
            data.hold for event, data in told if event.type == events.HOLD_EXPIRED and isinstance(data, HoldChanged)
        ]
        # The order of those that expire at one instant is not ruled on: they are shown by their names.
        at_one_instant = [list(group) for _, group in groupby(expired, key=lambda hold: hold.ended_at)]
        named = [sorted(self.claims[request_id_of(hold.id)] for hold in group) for group in at_one_instant]
        before = [
            *(["again"] if outcome.repeated else []),
            *(["expired"] if expired else []),
            *chain.from_iterable(named),
        ]
        assert [event.answers for event, _ in told] == [False] * len(expired) + [True] * (len(told) - len(expired))
        assert len(told) - len(expired) <= 1, "a command is answered once"
        if len(told) == len(expired):
            return [*before, "done"], {}
        answer = told[-1][1]
        assert isinstance(answer, HoldChanged | RequestRefused | ResourceDefined)
        return [*before, *_words(told[-1][0].type, answer)], dict(numbers_of(answer))


def _words(type_name: str, answer: HoldChanged | RequestRefused | ResourceDefined) -> list[str]:
    if isinstance(answer, RequestRefused):
        return [answer.reason]
    if isinstance(answer, HoldChanged) and type_name == events.HOLD_UNCHANGED:
        return [_OUTCOMES[type_name], answer.hold.status.value]
    return [_OUTCOMES[type_name]]


def numbers_of(data: EventData) -> Iterator[tuple[str, str]]:
    """Yield what an event tells in numbers, and states, by short names."""
    yield "version", str(data.version)
    yield "arrived", str(round((data.arrived_at - at(0)).total_seconds()))
    if data.counters is not None:
        yield from ((name, str(number)) for name, number in msgspec.structs.asdict(data.counters).items())
    match data:
        case HoldChanged(hold=hold):
            yield "until", str(round((hold.expires_at - data.decided_at).total_seconds()))
            yield "latest", str(round((hold.expires_latest_at - data.decided_at).total_seconds()))
            yield "claimed", str(sum(hold.units.values()))
            yield "quantity", str(hold.quantity)
            yield "status", hold.status.value
        case ResourceDefined(settings=settings):
            yield "hold_seconds", str(settings.hold_seconds)
            yield "max_hold_seconds", str(settings.max_hold_seconds)
        case OrderChanged(order=order):
            yield "due", str(round((order.payment_due_at - data.decided_at).total_seconds()))
            yield "status", order.status.value
            yield "ended_by", "nothing" if order.ended_by is None else order.ended_by.value
            for name in ("amount", "unit_price", "counted", "overpaid_by", "refund_due"):
                yield name, str(getattr(order, name))
        case PaymentRecorded(payment=payment):
            yield "payment", payment.status.value
            yield "refunded", str(payment.refunded_amount)
        case RefundRequired():
            yield "why", data.why.value
            yield "refund", "all" if data.amount is None else str(data.amount)
        case _:
            return


def command_of(verb: str, resource_id: str, fields: dict[str, object]) -> Command:
    """Return a command of these fields; texts are read as what they are to be, instants are seconds since the start."""
    command = COMMANDS[_COMMANDS[verb]]
    if "token" in fields:
        fields["token_hash"] = hashlib.sha256(str(fields.pop("token")).encode()).hexdigest()
    for name in _INSTANTS:
        if name in fields:
            fields[name] = at(0) + timedelta(seconds=float(str(fields[name])))
    return msgspec.convert({"resource_id": resource_id, **fields}, command, strict=False)
