"""What a map shows of what is out, what tells two maps apart, and how long one is kept."""

import pytest

from gateway.seat_maps import lifetimes, shown, tag_of
from schema.reads import PoolsReading
from topics.resources import Settings
from topics.seating import Area, Plan, Row, is_seat_id, row_and_number

PLAN = Plan(rows=(Row(row="A", seats=3, blocked=(2, 3)),), areas=(Area(id="floor", capacity=2),))


def reading(held: dict[str, int], taken: dict[str, int], *, over_count: int = 0, epoch: str = "e1") -> PoolsReading:
    """Return a reading of the house at version 5."""
    settings = Settings(hold_seconds=1, max_hold_seconds=1, plan=PLAN)
    return PoolsReading(epoch, 5, settings, held, taken, over_count, None)


def test_somebody_is_more_than_a_block() -> None:
    """A seat that was blocked while somebody has it is his; beyond the plan only what is out is shown."""
    found = shown("hall", reading({"A2": 1, "Z9": 1}, {"Y1": 1}))
    assert [(seat.id, seat.status) for seat in found.seats] == [
        ("A1", "free"),
        ("A2", "held"),
        ("A3", "blocked"),
        ("Y1", "taken"),
        ("Z9", "held"),
    ]


def test_an_area_that_was_made_smaller_has_nothing_left() -> None:
    """And not less than that."""
    (area,) = shown("hall", reading({"area:floor": 2}, {"area:floor": 1})).areas
    assert (area.capacity, area.held, area.taken, area.remaining) == (2, 2, 1, 0)


def test_the_tag_changes_with_the_version_and_with_time() -> None:
    """By what is over, and with the epoch; never two maps of one tag."""
    tags = [tag_of(reading({}, {}, **what)) for what in ({}, {"over_count": 1}, {"epoch": "e2"})]
    assert tags == ["e1-5-0", "e1-5-1", "e2-5-0"]


@pytest.mark.parametrize(
    ("fresh", "stale", "tombstone", "expected"),
    [(10, 60, 60, (10_000, 49_999)), (10, 5, 60, (10_000, 5_000)), (90, 60, 60, (59_999, 0))],
)
def test_a_map_never_outlives_a_tombstone_written_after_it(
    fresh: int, stale: int, tombstone: int, expected: tuple[int, int]
) -> None:
    """Whatever the settings say. Seen to fail with lives as they are set."""
    assert lifetimes(fresh, stale, tombstone) == expected


def test_an_id_says_where_a_seat_is() -> None:
    """Its row ends before its number begins."""
    assert (row_and_number("A12"), row_and_number("12-7")) == (("A", 12), ("12-", 7))
    assert [is_seat_id(text) for text in ("A1", "A0", "A", "1", "A1\n", "A1000")] == [True, *[False] * 5]
