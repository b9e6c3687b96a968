"""What should happen, by the design alone: plain and slow, everything counted anew each time.

It imports nothing of ours. Times are whole seconds since the start. A result is what `tests.unit.scenario` shows of an
outcome: words and numbers.
"""

from dataclasses import dataclass, field
from itertools import chain, groupby

Words = list[str]
Numbers = dict[str, str]
LONGEST_BY_DEFAULT = 1800


@dataclass(frozen=True)
class Definition:
    """A definition as it is sent; equal ones ask for the same."""

    resource: str
    capacity: int
    hold_seconds: int = 300
    max_hold_seconds: int | None = None
    claim_at: str = "hold"
    open: bool = True
    opens_at: int | None = None
    closes_at: int | None = None
    units_per_hold: int | None = None
    holds_per_buyer: int | None = None


@dataclass(frozen=True)
class Asked:
    """A hold as it is sent; the buyer and the token are no part of what is asked for."""

    resource: str
    quantity: int = 1
    buyer: str | None = field(default=None, compare=False)
    token: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Name:
    """What names a hold: whose request it was, under which key, and what it asked for."""

    source: str
    claim: str
    asked: Asked


@dataclass(frozen=True)
class OfHold:
    """`confirm`, `cancel`, `extend` (by `number` seconds) or `change` (to `number` units), on a resource."""

    verb: str
    resource: str
    hold: Name
    number: int = 0
    token: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Sweep:
    """The sweeper's command."""

    resource: str


Ask = Definition | Asked | OfHold | Sweep


@dataclass(frozen=True)
class Given:
    """A command with whose it is, its key and its times."""

    source: str
    claim: str
    ask: Ask
    appended: int
    now: int
    wanted_until: int | None = None


@dataclass
class Placed:
    """A hold that was granted; `claims` tells whether it has taken its units."""

    name: Name
    quantity: int
    claims: bool
    expires_at: int
    latest: int
    buyer: str | None
    token: str | None
    status: str = "held"

    def numbers(self, now: int) -> Numbers:
        """Return what events tell of it."""
        return {
            "until": str(self.expires_at - now),
            "latest": str(self.latest - now),
            "claimed": str(self.quantity if self.claims else 0),
            "quantity": str(self.quantity),
            "status": self.status,
        }


@dataclass
class Defined:
    """A resource."""

    definition: Definition
    version: int = 0
    last_arrived: int = 0
    holds: list[Placed] = field(default_factory=list)

    def out(self, status: str) -> int:
        """Count the units that holds of a status have taken."""
        return sum(hold.quantity for hold in self.holds if hold.status == status and hold.claims)

    def free(self) -> int:
        """Count what is left, below zero if more is out than there is."""
        return self.definition.capacity - self.out("held") - self.out("confirmed")

    def numbers(self) -> Numbers:
        """Return what events tell of it."""
        return {
            "version": str(self.version),
            "capacity": str(self.definition.capacity),
            "held": str(self.out("held")),
            "taken": str(self.out("confirmed")),
            "remaining": str(max(0, self.free())),
            "oversubscribed_by": str(max(0, -self.free())),
        }


@dataclass
class Model:
    """All resources, and the answers that were given."""

    resources: dict[str, Defined] = field(default_factory=dict)
    answers: dict[tuple[str, str, Ask], tuple[Words, Numbers]] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)
    refused: set[Name] = field(default_factory=set)

    def submit(self, given: Given, *, fails: bool = False) -> tuple[Words, Numbers]:
        """Decide one command, the first time; the answer that was given, each later time."""
        known = (given.source, given.claim, given.ask)
        if known in self.answers:
            words, numbers = self.answers[known]
            return ["again", *words], numbers
        it = self.resources.get(given.ask.resource)
        arrived = min(given.appended, given.now)
        arrived = arrived if it is None else max(it.last_arrived, arrived)
        expired = [] if it is None or fails else self._expire(it, arrived)
        words, more = (["internal_error"], {}) if fails else self._decide(given, arrived)
        if isinstance(given.ask, Asked) and words != ["held"]:
            self.refused.add(Name(given.source, given.claim, given.ask))
        self.used.add((given.source, given.claim))
        it = self.resources.get(given.ask.resource)
        if it is not None:
            it.last_arrived = arrived
        numbers = {"version": "0"} if it is None else it.numbers()
        answer = [*expired, *words], {} if words == ["done"] else numbers | more | {"arrived": str(arrived)}
        self.answers[known] = answer
        return answer

    @staticmethod
    def _expire(it: Defined, arrived: int) -> Words:
        due = sorted(
            (hold for hold in it.holds if hold.status == "held" and hold.expires_at <= arrived),
            key=lambda hold: hold.expires_at,
        )
        for hold in due:
            hold.status = "expired"
            it.version += 1
        together = [
            sorted(hold.name.claim for hold in group) for _, group in groupby(due, key=lambda hold: hold.expires_at)
        ]
        return ["expired", *chain.from_iterable(together)] if due else []

    def _decide(self, given: Given, arrived: int) -> tuple[Words, Numbers]:
        if (given.source, given.claim) in self.used:
            return ["idempotency_key_reused"], {}
        if given.wanted_until is not None and given.wanted_until <= given.now:
            return ["command_expired"], {}
        if isinstance(given.ask, Definition | Sweep):
            return self._define(given.ask) if isinstance(given.ask, Definition) else ["done"], {}
        it = self.resources.get(given.ask.resource)
        if it is None:
            return ["not_found"], {}
        if isinstance(given.ask, Asked):
            return self._hold(it, given, given.ask, arrived)
        return self._of_hold(it, given, given.ask, arrived)

    def _define(self, ask: Definition) -> Words:
        it = self.resources.setdefault(ask.resource, Defined(ask))
        it.definition = ask
        it.version += 1
        return ["defined"]

    @staticmethod
    def _hold(it: Defined, given: Given, ask: Asked, arrived: int) -> tuple[Words, Numbers]:
        rules = it.definition
        claims = rules.claim_at == "hold"
        live = sum(hold.status == "held" and hold.buyer == ask.buyer for hold in it.holds)
        no = _not_open(rules, arrived)
        if no is None and rules.units_per_hold is not None and ask.quantity > rules.units_per_hold:
            no = "units_per_hold_exceeded"
        if no is None and ask.buyer is not None and rules.holds_per_buyer is not None and live >= rules.holds_per_buyer:
            no = "holds_per_buyer_exceeded"
        if no is None and claims and ask.quantity > it.free():
            no = "sold_out"
        if no is not None:
            return [no], {}
        longest = rules.max_hold_seconds or max(rules.hold_seconds, LONGEST_BY_DEFAULT)
        hold = Placed(
            name=Name(given.source, given.claim, ask),
            quantity=ask.quantity,
            claims=claims,
            expires_at=given.now + min(rules.hold_seconds, longest),
            latest=given.now + longest,
            buyer=ask.buyer,
            token=ask.token,
        )
        it.holds.append(hold)
        it.version += 1
        return ["held"], hold.numbers(given.now)

    def _of_hold(self, it: Defined, given: Given, ask: OfHold, arrived: int) -> tuple[Words, Numbers]:
        hold = next((hold for hold in it.holds if hold.name == ask.hold), None)
        if hold is None:
            was_refused = ask.hold in self.refused and ask.hold.asked.resource == ask.resource
            return ["hold_refused" if was_refused and ask.hold.source == given.source else "hold_not_found"], {}
        if hold.name.source != given.source and (hold.token is None or hold.token != ask.token):
            return ["hold_not_found"], {}
        match ask.verb:
            case "confirm":
                word = _confirm(it, hold)
            case "cancel":
                word = _cancel(hold)
            case "extend":
                word = _extend(hold, given.now + ask.number)
            case _:
                word = _change(it, hold, ask.number, arrived)
        if word in {"confirmed", "cancelled", "extended", "changed"}:
            it.version += 1
            return [word], hold.numbers(given.now)
        if word == "unchanged":
            return ["unchanged", hold.status], hold.numbers(given.now)
        return [word], {}


def _not_open(rules: Definition, arrived: int) -> str | None:
    if not rules.open or (rules.closes_at is not None and arrived >= rules.closes_at):
        return "closed"
    if rules.opens_at is not None and arrived < rules.opens_at:
        return "not_open_yet"
    return None


def _confirm(it: Defined, hold: Placed) -> str:
    if hold.status == "confirmed":
        return "unchanged"
    if hold.status != "held":
        return f"hold_{hold.status}"
    if not hold.claims and hold.quantity > it.free():
        return "sold_out"
    hold.claims = True
    hold.status = "confirmed"
    return "confirmed"


def _cancel(hold: Placed) -> str:
    if hold.status in {"cancelled", "expired"}:
        return "unchanged"
    hold.status = "cancelled"
    return "cancelled"


def _extend(hold: Placed, wanted: int) -> str:
    if hold.status != "held":
        return f"hold_{hold.status}"
    if min(wanted, hold.latest) <= hold.expires_at:
        return "unchanged"
    hold.expires_at = min(wanted, hold.latest)
    return "extended"


def _change(it: Defined, hold: Placed, quantity: int, arrived: int) -> str:
    if hold.status != "held":
        return f"hold_{hold.status}"
    if quantity == hold.quantity:
        return "unchanged"
    rules = it.definition
    if quantity > hold.quantity:
        no = _not_open(rules, arrived)
        if no is None and rules.units_per_hold is not None and quantity > rules.units_per_hold:
            no = "units_per_hold_exceeded"
        if no is None and hold.claims and quantity - hold.quantity > it.free():
            no = "sold_out"
        if no is not None:
            return no
    hold.quantity = quantity
    return "changed"
