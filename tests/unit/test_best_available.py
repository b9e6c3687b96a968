"""The best seats that are free, against a model that looks at every place anew, and how long a large house takes."""

import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.house_model import best_seats
from topics.seating import Plan, Row, house_of
from workers.core.kinds.best_available import best_available

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
