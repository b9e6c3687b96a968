"""Find the best seats that are free: next to each other in one row, near the focal point, leaving no seat alone.

Pure and deterministic. A seat that is not free, a blocked one and the end of a row part neighbours. Where no row has so
many free seats side by side nothing is found: a party is never split, who accepts that asks for less.

The best seats are those that leave the fewest free seats alone: a seat that had a free neighbour and has none any more.
Among these those that are nearest to the focal point, by the sum of the squares of their distances; then those further in
front, then those with the lower numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from topics.seating import HOUSES_KEPT, House, Plan, Seat, house_of, row_place

_Block = tuple[int, int, int, int]
"""How good: free seats left alone, squared distance, place of the row, first place in it. Less is better."""


class BestSeats:
    """Finds the best seats of a house; implements `workers.core.kinds.Finder`.

    The best block of a row is kept for each size of a party, until a seat of the row changes.
    """

    def __init__(self, plan: Plan) -> None:
        """Know nothing of what is free."""
        self._house = house_of(plan)
        self._nearest_first = _nearest_first(plan)
        self._known: dict[int, dict[int, _Block | None]] = {}

    def forget(self, pools: Iterable[str]) -> None:
        """Look anew at the rows of these seats."""
        for pool in pools:
            seat = self._house.seats.get(pool)
            if seat is not None:
                self._known.pop(row_place(seat), None)

    def best(self, count: int, is_free: Callable[[str], bool]) -> tuple[str, ...] | None:
        """Return the ids of `count` seats in the order of their numbers; None if no row has so many free side by side.

        `is_free` is asked of seats that are not blocked.
        """
        best: _Block | None = None
        for least, place in self._nearest_first:
            if best is not None and best < (0, count * least):
                break  # no row from here on can be nearer, and none can leave fewer seats alone
            found = self._best_in_row(place, count, is_free)
            if found is not None and (best is None or found < best):
                best = found
        if best is None:
            return None
        _, _, place, first = best
        return tuple(seat.id for seat in self._house.rows[place][first : first + count])

    def _best_in_row(self, place: int, count: int, is_free: Callable[[str], bool]) -> _Block | None:
        known = self._known.setdefault(place, {})
        if count not in known:
            known[count] = _best_in_row(self._house, place, count, is_free)
        return known[count]


@lru_cache(maxsize=HOUSES_KEPT)
def _nearest_first(plan: Plan) -> tuple[tuple[int, int], ...]:
    """Return the least squared distance of any seat of a row and the place of the row, nearest first."""
    house = house_of(plan)
    return tuple(sorted((min(_distance(house, seat) for seat in row), place) for place, row in enumerate(house.rows)))


def _distance(house: House, seat: Seat) -> int:
    return (seat.across - house.focal_across) ** 2 + (seat.back - house.focal_back) ** 2


def _best_in_row(house: House, place: int, count: int, is_free: Callable[[str], bool]) -> _Block | None:
    row = house.rows[place]
    best: _Block | None = None
    for start, end in _runs(row, is_free):
        distances = [_distance(house, seat) for seat in row[start:end]]
        total = sum(distances[:count])
        for first in range(start, end - count + 1):
            if first > start:
                total += distances[first - start + count - 1] - distances[first - start - 1]
            alone = (first - start == 1) + (end - first - count == 1)
            block = (alone, total, place, first)
            if best is None or block < best:
                best = block
    return best


def _runs(row: Sequence[Seat], is_free: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield from where to where free seats are side by side."""
    start: int | None = None
    for place, seat in enumerate(row):
        if not seat.is_blocked and is_free(seat.id):
            start = place if start is None else start
        elif start is not None:
            yield start, place
            start = None
    if start is not None:
        yield start, len(row)
