"""The plan of a house: rows of seats, and areas without seats. What names a seat, where it is, what is wrong with a plan.

A seat's id is its row and its number (`A1`), so a row's name does not end in a digit: else row 1 seat 12 would be row 11
seat 2. Both sides need this: a gateway says what is wrong and shows the plan, a worker counts its seats.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import digits
from typing import Annotated, Final, NamedTuple

import msgspec

SEATS_MAX: Final = 5_000
ROWS_MAX: Final = 500
AREAS_MAX: Final = 100
SEATS_PER_ROW_MAX: Final = 999
# A hold of the whole house names each seat and area in one event, `"A1":1,"area:floor":120,`, and an event has at most 64 KiB.
UNITS_BYTES_MAX: Final = 60_000
BYTES_BESIDE_AN_ID: Final = 5
_UNITS_DIGITS_MAX: Final = 10
HOUSES_KEPT: Final = 128  # 1 MB each for 5,000 seats, so 130 MB at most

ROW_PATTERN: Final = r"^[A-Za-z0-9_-]{0,15}[A-Za-z_-]$(?!\n)"
SEAT_PATTERN: Final = r"^[A-Za-z0-9_-]{0,15}[A-Za-z_-][1-9][0-9]{0,2}$(?!\n)"
AREA_PATTERN: Final = r"^[A-Za-z0-9._-]{1,32}$(?!\n)"
AREA_PREFIX: Final = "area:"  # of an area's pool; no seat is named so
KIND_PATTERN: Final = r"^[A-Za-z0-9._-]{1,32}$(?!\n)"

_SEAT: Final = re.compile(SEAT_PATTERN)

Number = Annotated[int, msgspec.Meta(ge=1, le=SEATS_PER_ROW_MAX)]
RowName = Annotated[str, msgspec.Meta(pattern=ROW_PATTERN)]
SeatId = Annotated[str, msgspec.Meta(pattern=SEAT_PATTERN)]
AreaId = Annotated[str, msgspec.Meta(pattern=AREA_PATTERN)]
SeatKind = Annotated[str, msgspec.Meta(pattern=KIND_PATTERN)]
AreaCapacity = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A row of seats numbered from 1; the `blocked` ones are there and cannot be held."""

    row: RowName
    seats: Number
    kind: SeatKind = "standard"
    blocked: Annotated[tuple[Number, ...], msgspec.Meta(max_length=SEATS_PER_ROW_MAX)] = ()


class Area(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A general-admission area: so many interchangeable places."""

    id: AreaId
    capacity: AreaCapacity


Rows = Annotated[tuple[Row, ...], msgspec.Meta(max_length=ROWS_MAX)]
Areas = Annotated[tuple[Area, ...], msgspec.Meta(max_length=AREAS_MAX)]


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows from the front to the back, areas, and the seat that everybody wants to be near (None: the middle)."""

    rows: tuple[Row, ...] = ()
    areas: tuple[Area, ...] = ()
    focal: str | None = None


class Fault(NamedTuple):
    """What is wrong with a body, and where in it (a JSON Pointer)."""

    pointer: str
    detail: str


class Seat(NamedTuple):
    """A seat and where it is, in half seats: `across` from the middle of the rows, `back` from the first row."""

    id: str
    row: str
    number: int
    kind: str
    is_blocked: bool
    across: int
    back: int


@dataclass(frozen=True, slots=True)
class House:
    """A plan spelt out: the seats of each row in the order of their numbers, all seats by id, and the focal point."""

    rows: tuple[tuple[Seat, ...], ...]
    seats: Mapping[str, Seat]
    focal_across: int
    focal_back: int


def seat_id(row: str, number: int) -> str:
    """Return what names a seat."""
    return f"{row}{number}"


def is_seat_id(text: str) -> bool:
    """Tell whether a text may name a seat of some house."""
    return _SEAT.match(text) is not None


def row_and_number(seat: str) -> tuple[str, int]:
    """Return where a seat is, by its id."""
    row = seat.rstrip(digits)
    return row, int(seat.removeprefix(row))


def row_place(seat: Seat) -> int:
    """Return the place of a seat's row, counted from the front: `House.rows` has it there."""
    return seat.back // 2


def pool_of_area(area: str) -> str:
    """Return what the pool of an area is called; that of a seat has the seat's id."""
    return f"{AREA_PREFIX}{area}"


def area_of(pool: str) -> str | None:
    """Return the area of a pool, None if it is a seat's."""
    return pool.removeprefix(AREA_PREFIX) if pool.startswith(AREA_PREFIX) else None


@lru_cache(maxsize=HOUSES_KEPT)
def house_of(plan: Plan) -> House:
    """Spell out a plan that has no faults. Rows are centred, and as far from each other as seats are."""
    rows = tuple(tuple(_seats(row, place)) for place, row in enumerate(plan.rows))
    seats = {seat.id: seat for row in rows for seat in row}
    focal = seats.get(plan.focal or "")
    middle = len(rows) - 1
    return House(rows, seats, 0 if focal is None else focal.across, middle if focal is None else focal.back)


def _seats(row: Row, place: int) -> Iterator[Seat]:
    blocked = frozenset(row.blocked)
    for number in range(1, row.seats + 1):
        across = 2 * number - row.seats - 1
        yield Seat(seat_id(row.row, number), row.row, number, row.kind, number in blocked, across, 2 * place)


def faults_of_plan(rows: Sequence[Row], areas: Sequence[Area], focal: str | None) -> Iterator[Fault]:
    """Yield what is wrong with a plan, beyond what the types of its parts say."""
    if not rows and not areas:
        yield Fault("/rows", "a house has rows of seats, or areas, or both")
    yield from _repeated("/rows/{}/row", "row", [row.row for row in rows])
    for place, row in enumerate(rows):
        yield from _repeated(f"/rows/{place}/blocked/{{}}", "seat", row.blocked)
        for at, number in enumerate(row.blocked):
            if number > row.seats:
                yield Fault(f"/rows/{place}/blocked/{at}", f"row {row.row} has no seat {number}, it has {row.seats}")
    yield from _repeated("/areas/{}/id", "area", [area.id for area in areas])
    if focal is not None and not any(_is_in(row, focal) for row in rows):
        yield Fault("/focal", f"there is no seat {focal} in the rows")
    yield from _too_large(rows, areas)


def _too_large(rows: Sequence[Row], areas: Sequence[Area]) -> Iterator[Fault]:
    seats = sum(row.seats for row in rows)
    if seats > SEATS_MAX:
        yield Fault("/rows", f"the rows have {seats} seats, at most {SEATS_MAX} are taken")
        return
    most_bytes = UNITS_BYTES_MAX - sum(_size_of_area(area) for area in areas)
    if sum(_size(row) for row in rows) > most_bytes:
        most = most_bytes // max(1, seats) - BYTES_BESIDE_AN_ID
        beside = f" and {len(areas)} areas" if areas else ""
        detail = f"for {seats} seats{beside} the names of the rows are too long: a seat's id may have {most} characters"
        yield Fault("/rows", detail)


def _size(row: Row) -> int:
    """Return the bytes that an event needs to name every seat of a row."""
    digits = sum(row.seats - most for most in (0, 9, 99) if row.seats > most)
    return row.seats * (len(row.row) + BYTES_BESIDE_AN_ID) + digits


def _size_of_area(area: Area) -> int:
    """Return the bytes that an event needs to name an area and any number of its places."""
    return len(pool_of_area(area.id)) + BYTES_BESIDE_AN_ID - 1 + _UNITS_DIGITS_MAX


def _is_in(row: Row, seat: str) -> bool:
    number = seat.removeprefix(row.row)
    return number.isdecimal() and seat == seat_id(row.row, int(number)) and 1 <= int(number) <= row.seats


def seats_not_in(plan: Plan, seats: Sequence[str]) -> list[str]:
    """Return those of some seats' ids that name no seat of a plan; cheap where they are few, whatever the house is."""
    rows = {row.row: row for row in plan.rows}
    names = ((seat, seat.rstrip(digits)) for seat in seats)
    return [seat for seat, name in names if name not in rows or not _is_in(rows[name], seat)]


def faults_of_wish(
    seats: Sequence[str] | None, best_available: int | None, areas: Mapping[str, int] | None
) -> Iterator[Fault]:
    """Yield what is wrong with what a hold asks for, whatever the plan is."""
    if not seats and best_available is None and not areas:
        yield Fault("", "say which seats, how many of the best available, or how many places in which areas")
    if seats and best_available is not None:
        yield Fault("/best_available", "either name the seats or let the best available be found")
    yield from _repeated("/seats/{}", "seat", seats or ())


def _repeated(pointer: str, what: str, names: Sequence[str | int]) -> Iterator[Fault]:
    """Yield a fault for each name that was there before."""
    seen: Counter[str | int] = Counter()
    for place, name in enumerate(names):
        if seen[name]:
            yield Fault(pointer.format(place), f"{what} {name} is named twice")
        seen[name] += 1
