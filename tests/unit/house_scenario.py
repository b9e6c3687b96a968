"""Play the scenarios of a house, written as tables like those of `tests.unit.scenario`, with a screening for the slot.

    define hall rows=A:5,B:6 blocked=A3 areas=floor:9 focal=B3  -> defined
    hold k1 hall seats=A1,A2 areas=floor:2                      -> +A1 +A2 held
    hold k2 hall best=2                                         -> +B2 +B3 held
    hold k3 hall seats=A2,A4                                    -> sold_out way=A2
    change hall k1 seats=A2,A4                                  -> +A4 -A1 changed
    cancel hall k1 seats=A2                                     -> -A2 changed
    confirm hall k1                                             -> !A4 confirmed
    expire hall                                                 -> -B2 -B3 expired:k2 done

A result has a word for each event, in their order: `+`, `!` and `-` for a seat that is held, taken, released. A hold has the
token of its claim's name, and other commands show it, or the one that `token=` gives (`none`).
"""

from dataclasses import dataclass, field

from tests.unit.scenario import Line, Scenario, command_of, numbers_of
from topics import events
from topics.commands import Command
from topics.events import HoldChanged, PoolMoved, RequestRefused, ResourceDefined
from topics.identifiers import request_id_of
from workers.core.batch import Outcome
from workers.core.kinds.registry import KINDS

_SIGNS = {events.SEAT_HELD: "+", events.SEAT_TAKEN: "!", events.SEAT_RELEASED: "-"}
_WORDS = {events.RESOURCE_DEFINED: "defined", events.HOLD_PLACED: "held"}


@dataclass
class House(Scenario):
    """A scenario of screenings."""

    kind: str = "screening"
    told: list[tuple[str, PoolMoved]] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def play_line(self, number: int, words: list[str]) -> Line | None:
        """Read a line; its hold's token is shown where it says nothing else."""
        if words[0] in {"define", "expire"} or any(word.startswith("token=") for word in words):
            return self._line(number, [word for word in words if word != "token=none"])
        claim = words[1] if words[0] in {"hold", "fail"} else words[2]
        return self._line(number, [*words[:2], f"token={claim}", *words[2:]])

    def command(self, verb: str, resource_id: str, options: dict[str, str]) -> Command:
        """Return the command of a line, with rows, areas and seats from their short forms."""
        fields: dict[str, object] = dict(options)
        if "rows" in options:
            fields["rows"] = _rows(options["rows"], fields.pop("blocked", ""))
        if "areas" in options:
            areas = {name: int(units) for name, units in _pairs(options["areas"])}
            fields["areas"] = [{"id": its, "capacity": n} for its, n in areas.items()] if verb == "define" else areas
        if "seats" in options:
            fields["seats"] = options["seats"].split(",")
        if "best" in options:
            fields["best_available"] = int(options["best"])
            del fields["best"]
        command = command_of(verb, resource_id, fields)
        assert KINDS["screening"].fault_of(command) is None
        return command

    def result(self, outcome: Outcome) -> tuple[list[str], dict[str, str]]:
        """Return an outcome as the words and the numbers of a result."""
        if outcome.events is None:
            return ["too_old"], {}
        words = ["again"] if outcome.repeated else []
        numbers: dict[str, str] = {}
        answered = 0
        for event in outcome.events:
            data = events.decode_data(event.type, bytes(event.data))
            assert isinstance(data, HoldChanged | PoolMoved | RequestRefused | ResourceDefined)
            assert (event.version, event.id) == (data.version, event.id)
            answered += event.answers
            numbers |= numbers_of(data)
            words.append(self._word(event.type, data, answers=event.answers))
            if not outcome.repeated and event.type not in {events.REQUEST_REFUSED, events.HOLD_UNCHANGED}:
                self.versions.append(event.version)
            if isinstance(data, PoolMoved) and not outcome.repeated:
                self.told.append((_SIGNS[event.type], data))
            if isinstance(data, RequestRefused) and data.in_the_way:
                numbers["way"] = ",".join(data.in_the_way)
        assert answered <= 1, "a command is answered once"
        return words if answered else [*words, "done"], numbers

    def _word(self, type_name: str, data: events.EventData, *, answers: bool) -> str:
        match data:
            case PoolMoved():
                return f"{_SIGNS[type_name]}{data.pool}"
            case RequestRefused():
                return data.reason
            case HoldChanged() if not answers:
                return f"{type_name.partition('.')[2]}:{self.claims[request_id_of(data.hold.id)]}"
            case _:
                return _WORDS.get(type_name, type_name.partition(".")[2])


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, number) for name, _, number in (pair.partition(":") for pair in text.split(","))]


def _rows(text: str, blocked: object) -> list[dict[str, object]]:
    return [
        {
            "row": row,
            "seats": int(seats),
            "blocked": [int(seat.removeprefix(row)) for seat in str(blocked).split(",") if seat.startswith(row)],
        }
        for row, seats in _pairs(text)
    ]
