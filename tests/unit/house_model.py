"""What should happen to seats, by the design alone: plain and slow, everything looked at anew each time.

It imports nothing of ours. Times are whole seconds since the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

Place = tuple[int, int]
LIFETIME = 600


def best_seats(rows: Mapping[str, str], count: int, focal: str | None = None) -> tuple[str, ...] | None:
    """Try every stretch of every row and judge it by the words of the rule, with fractions.

    Of each row, by its name, a mark for each seat: `.` for one that is free.
    """
    names = list(rows)
    free = {(r, n) for r, name in enumerate(names) for n, mark in enumerate(rows[name]) if mark == "."}
    middle = [Fraction(len(marks) - 1, 2) for marks in rows.values()]
    target = (Fraction(len(names) - 1, 2), Fraction(0))
    if focal is not None:
        row = next(r for r, name in enumerate(names) if focal.rstrip("0123456789") == name)
        target = Fraction(row), int(focal.removeprefix(names[row])) - 1 - middle[row]

    def neighbours(seat: Place, among: set[Place]) -> set[Place]:
        return {(seat[0], seat[1] - 1), (seat[0], seat[1] + 1)} & among

    def badness(block: list[Place]) -> tuple[int, Fraction, int, int]:
        left = free - set(block)
        alone = sum(1 for seat in left if neighbours(seat, free) and not neighbours(seat, left))
        far = sum(((r - target[0]) ** 2 + (n - middle[r] - target[1]) ** 2 for r, n in block), Fraction(0))
        return alone, far, block[0][0], block[0][1]

    blocks = [[(r, n + i) for i in range(count)] for r, name in enumerate(names) for n in range(len(rows[name]))]
    possible = [block for block in blocks if set(block) <= free]
    if not possible:
        return None
    return tuple(f"{names[r]}{n + 1}" for r, n in min(possible, key=badness))


@dataclass
class Placed:
    """A hold that was granted; `units` has seats by their ids and areas by `area:` and theirs."""

    units: dict[str, int]
    token: str
    expires_at: int
    status: str = "held"


@dataclass
class HouseModel:
    """A house: how many seats its rows have, which are blocked, what its areas take; and its holds."""

    rows: dict[str, int] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    areas: dict[str, int] = field(default_factory=dict)
    holds: dict[str, Placed] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def out(self, pool: str, now: int) -> int:
        """Return how many units of a seat or an area are held or taken."""
        return sum(
            hold.units.get(pool, 0) for hold in self.holds.values() if self.state(hold, now) in {"held", "confirmed"}
        )

    @staticmethod
    def state(hold: Placed, now: int) -> str:
        """Return where a hold is in its life by now, whether anybody wrote it down or not."""
        return "expired" if hold.status == "held" and hold.expires_at <= now else hold.status

    def capacity(self, pool: str) -> int | None:
        """Return how many units a seat or an area has; None where there is none."""
        if pool.startswith("area:"):
            return self.areas.get(pool.removeprefix("area:"))
        row = pool.rstrip("0123456789")
        known = 1 <= int(pool.removeprefix(row)) <= self.rows.get(row, 0)
        return (0 if pool in self.blocked else 1) if known else None

    def in_the_way(self, wanted: dict[str, int], now: int) -> tuple[str, list[str]] | None:
        """Return why units cannot be had, and which."""
        unknown = [pool for pool in wanted if self.capacity(pool) is None]
        if unknown:
            return "unknown_pool", sorted(unknown)
        short = [pool for pool, units in wanted.items() if (self.capacity(pool) or 0) - self.out(pool, now) < units]
        return ("sold_out", sorted(short)) if short else None

    def hold(
        self, name: str, seats: tuple[str, ...], best: int | None, areas: dict[str, int], now: int
    ) -> tuple[str, list[str]]:
        """Ask for seats, for the best so many, for places in areas, all or nothing."""
        wanted = dict.fromkeys(seats, 1)
        if best is not None:
            marks = {
                row: "".join(
                    "." if f"{row}{n}" not in self.blocked and not self.out(f"{row}{n}", now) else "x"
                    for n in range(1, seats_of_row + 1)
                )
                for row, seats_of_row in self.rows.items()
            }
            found = best_seats(marks, best)
            if found is None:
                self.refused[name] = "sold_out"
                return "sold_out", []
            wanted = dict.fromkeys(found, 1)
        wanted |= {f"area:{area}": units for area, units in areas.items()}
        no = self.in_the_way(wanted, now)
        if no is not None:
            self.refused[name] = no[0]
            return no
        self.holds[name] = Placed(wanted, name, now + LIFETIME)
        return "held", sorted(wanted)

    def of_hold(
        self, verb: str, name: str, token: str, *, seats: tuple[str, ...], areas: dict[str, int], now: int
    ) -> tuple[str, list[str]]:
        """Confirm, cancel or change a hold."""
        hold = self.holds.get(name)
        if hold is None:
            return "hold_refused", []
        if token != hold.token:
            return "hold_not_found", []
        hold.status = self.state(hold, now)
        if verb == "confirm":
            return self._confirm(hold)
        return self._cancel(hold, seats) if verb == "cancel" else self._change(hold, seats, areas, now)

    @staticmethod
    def _confirm(hold: Placed) -> tuple[str, list[str]]:
        if hold.status in {"cancelled", "expired"}:
            return f"hold_{hold.status}", []
        word = "unchanged" if hold.status == "confirmed" else "confirmed"
        hold.status = "confirmed"
        return word, sorted(hold.units)

    @staticmethod
    def _cancel(hold: Placed, seats: tuple[str, ...]) -> tuple[str, list[str]]:
        if hold.status in {"cancelled", "expired"}:
            return "unchanged", sorted(hold.units)
        left = {pool: units for pool, units in hold.units.items() if seats and pool not in seats}
        if not left:
            hold.status = "cancelled"
            return "cancelled", sorted(hold.units)
        word = "unchanged" if left == hold.units else "changed"
        hold.units = left
        return word, sorted(left)

    def _change(self, hold: Placed, seats: tuple[str, ...], areas: dict[str, int], now: int) -> tuple[str, list[str]]:
        if hold.status != "held":
            return f"hold_{hold.status}", []
        kept = {
            pool: units
            for pool, units in hold.units.items()
            if (pool.startswith("area:") and not areas) or (not pool.startswith("area:") and not seats)
        }
        wanted = kept | dict.fromkeys(seats, 1) | {f"area:{area}": units for area, units in areas.items()}
        if wanted == hold.units:
            return "unchanged", sorted(wanted)
        more = {
            pool: units - hold.units.get(pool, 0) for pool, units in wanted.items() if units > hold.units.get(pool, 0)
        }
        no = self.in_the_way(more, now)
        if no is not None:
            return no
        hold.units = wanted
        return "changed", sorted(wanted)
