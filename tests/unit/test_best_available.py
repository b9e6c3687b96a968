"""The best seats that are free, against a model that looks at every place anew, and how long a large house takes."""

import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.builders import arrived, at
from tests.unit.house_model import best_seats
from tests.unit.ledger import Ledger
from topics.commands import Cancel, DefineResource, Hold
from topics.identifiers import hold_id_of
from topics.seating import Plan, Row, house_of
from workers.core.batch import Arrived
from workers.core.kinds.best_available import BestSeats

FREE, TAKEN, BLOCKED = ".x#"


def plan_of(picture: str, focal: str | None = None) -> tuple[Plan, dict[str, str]]:
    """Read a house from a picture, a line a row: free `.`, taken `x`, blocked `#`; return also what each seat is."""
    lines = picture.split()
    names = [chr(ord("A") + place) for place in range(len(lines))]
    rows = tuple(
        Row(row=name, seats=len(line), blocked=tuple(n for n, mark in enumerate(line, 1) if mark == BLOCKED))
        for name, line in zip(names, lines, strict=True)
    )
    marks = {f"{name}{n}": mark for name, line in zip(names, lines, strict=True) for n, mark in enumerate(line, 1)}
    return Plan(rows=rows, focal=focal), marks


def found(picture: str, count: int, focal: str | None = None) -> tuple[str, ...] | None:
    """Return the best seats of a picture."""
    plan, marks = plan_of(picture, focal)
    return best_available(plan, count, lambda seat: marks[seat] != TAKEN)


def best_available(plan: Plan, count: int, is_free: Callable[[str], bool]) -> tuple[str, ...] | None:
    """Search a house for the first time."""
    return BestSeats(plan).best(count, is_free)


def free_in(marks: Mapping[str, str]) -> Callable[[str], bool]:
    """Ask what each seat is, as of then."""
    return lambda seat: marks[seat] == FREE


def beyond(taken: set[str]) -> Callable[[str], bool]:
    """Ask which seats are not taken, as of then."""
    return lambda seat: seat not in taken


@pytest.mark.parametrize(
    ("picture", "count", "focal", "seats"),
    [
        ("....... ....... .......", 2, "B4", "B3 B4"),
        ("....... ....... .......", 3, "B4", "B3 B4 B5"),
        ("....... ....... .......", 3, None, "B3 B4 B5"),
        ("....... .......", 1, None, "A4"),
        ("....", 1, "A2", "A1"),  # A2 would leave A1 alone
        ("...", 2, "A2", "A1 A2"),  # either leaves one alone: it cannot be avoided
        ("... ....", 2, "A2", "B1 B2"),  # a seat alone is avoided in the next row
        ("..x.. .....", 3, "A3", "B1 B2 B3"),
        ("..#..", 3, None, None),
        ("... ...", 4, None, None),  # six are free, and a party of four is not split
        ("xxx", 1, None, None),
        ("x.x ...", 1, "A2", "A2"),  # alone already: nobody's neighbour is taken
        (".....", 5, None, "A1 A2 A3 A4 A5"),
    ],
)
def test_pictures(picture: str, count: int, focal: str | None, seats: str | None) -> None:
    """What the rule says, case by case."""
    assert found(picture, count, focal) == (None if seats is None else tuple(seats.split()))


@st.composite
def houses(draw: st.DrawFn) -> tuple[str, str | None]:
    """Draw a house of up to four rows of up to nine seats, and perhaps a focal seat."""
    lines = draw(st.lists(st.text(alphabet=".....xx#", min_size=1, max_size=9), min_size=1, max_size=4))
    seats = [f"{chr(ord('A') + r)}{n + 1}" for r, line in enumerate(lines) for n in range(len(line))]
    return " ".join(lines), draw(st.sampled_from([None, *seats]))


@settings(max_examples=1500, deadline=None)
@given(houses(), st.integers(1, 5))
def test_it_finds_what_the_model_finds(house: tuple[str, str | None], count: int) -> None:
    """Adjacent, free, not blocked, fewest left alone, nearest, first: by brute force.

    It or the pictures above were seen to fail on pruning too early, on runs that a blocked seat does not end, on a seat
    that counts as left alone though none was left, and on a sliding sum that keeps the seat it leaves.
    """
    picture, focal = house
    rows = {chr(ord("A") + place): line for place, line in enumerate(picture.split())}
    assert found(picture, count, focal) == best_seats(rows, count, focal)


@settings(max_examples=300, deadline=None)
@given(houses())
def test_a_house_fills_up_without_a_seat_twice(house: tuple[str, str | None]) -> None:
    """Asked again and again for fewer and fewer, it hands out every free seat once."""
    picture, focal = house
    plan, marks = plan_of(picture, focal)
    handed_out: list[str] = []
    for count in (4, 3, 2, 1):
        while seats := best_available(plan, count, free_in(marks)):
            handed_out += seats
            marks |= dict.fromkeys(seats, TAKEN)
    assert len(handed_out) == len(set(handed_out))
    assert FREE not in marks.values()


@settings(max_examples=300, deadline=None)
@given(houses(), st.data())
def test_a_later_search_finds_what_a_first_one_would(house: tuple[str, str | None], data: st.DataObject) -> None:
    """Seats become free and taken between searches for parties of many sizes.

    Seen to fail with a row that is not looked at anew, and with rows remembered for one size of a party only.
    """
    picture, focal = house
    plan, marks = plan_of(picture, focal)
    remembering = BestSeats(plan)
    for _ in range(data.draw(st.integers(1, 12))):
        changed = data.draw(
            st.lists(st.sampled_from([seat for seat, mark in marks.items() if mark != BLOCKED] or [""]))
        )
        marks |= {seat: data.draw(st.sampled_from((FREE, TAKEN))) for seat in changed}
        remembering.forget([*changed, "area:floor"])
        count = data.draw(st.integers(1, 4))
        assert remembering.best(count, free_in(marks)) == best_available(plan, count, free_in(marks))


def _hold(number: int, count: int, seconds: float) -> Arrived:
    command = Hold(resource_id="hall", best_available=count, token_hash="ab" * 32)
    return arrived(command, claim=f"hold-{number}", appended_at=at(seconds), offset=number, kind="screening")


def _cancel(number: int, held: Arrived, seconds: float) -> Arrived:
    command = Cancel(resource_id="hall", hold_id=hold_id_of(held.request_id), token_hash="ab" * 32)
    return arrived(command, claim=f"cancel-{number}", appended_at=at(seconds), offset=number, kind="screening")


def _define(number: int, rows: tuple[int, ...], seconds: float) -> Arrived:
    plan = tuple(Row(row="ABC"[place], seats=seats) for place, seats in enumerate(rows))
    command = DefineResource(resource_id="hall", rows=plan, hold_seconds=60)
    return arrived(command, claim=f"define-{number}", appended_at=at(seconds), offset=number, kind="screening")


@st.composite
def histories(draw: st.DrawFn) -> list[Arrived]:
    """Draw commands of two minutes: parties, cancellations, other houses; what the first minute holds expires in the second."""
    sizes = st.lists(st.integers(1, 8), min_size=1, max_size=3).map(tuple)
    commands = [_define(0, draw(sizes), 0)]
    held: list[Arrived] = []
    for number in range(1, draw(st.integers(2, 16))):
        seconds = 8 * number
        match draw(st.sampled_from(("hold", "hold", "hold", "cancel", "define"))):
            case "cancel" if held:
                commands.append(_cancel(number, draw(st.sampled_from(held)), seconds))
            case "define":
                commands.append(_define(number, draw(sizes), seconds))
            case _:
                held.append(_hold(number, draw(st.integers(1, 3)), seconds))
                commands.append(held[-1])
    return commands


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(0, 16))
def test_a_batch_finds_the_seats_that_its_commands_would_find_alone(commands: list[Arrived], first: int) -> None:
    """Two batches, and each command in a batch of its own: every outcome is the same, word for word.

    Seen to fail with what a decision changed, what expired on a command's arrival, or another house not looked at anew.
    """
    together, alone = Ledger(), Ledger()
    for part in (commands[:first], commands[first:]):
        if part:
            decided_at = part[-1].appended_at
            outcomes = together.apply(part, decided_at).outcomes
            assert outcomes == tuple(alone.apply([one], decided_at).outcomes[0] for one in part)


def large() -> Plan:
    """Return a house of 5,000 seats in 100 rows."""
    return Plan(rows=tuple(Row(row=f"R{place:02}-", seats=50, blocked=(25,)) for place in range(100)))


def test_a_house_of_5000_seats_is_searched_quickly() -> None:
    """Half of the house sold in pairs, 200 buyers ask: far below a millisecond each; and where nothing is left, 10 ms."""
    plan = large()
    taken: set[str] = set()
    house_of(plan)
    began = time.process_time()
    for _ in range(200):
        seats = best_available(plan, 2, beyond(taken))
        assert seats is not None
        taken |= set(seats)
    each_ms = (time.process_time() - began) * 1000 / 200
    taken |= {seat for seat in house_of(plan).seats if int(seat.partition("-")[2]) % 2}
    began = time.process_time()
    assert best_available(plan, 2, beyond(taken)) is None
    nothing_ms = (time.process_time() - began) * 1000
    print(f"each {each_ms:.3f} ms, nothing left {nothing_ms:.3f} ms")  # noqa: T201
    assert each_ms < 5
    assert nothing_ms < 50
