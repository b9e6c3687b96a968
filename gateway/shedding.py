"""When to refuse at once instead of letting a client hang. Pure: it is given the time (seconds of a monotonic clock).

Nothing here decides a command: whoever is refused has published nothing, and may send the same again a little later.
"""

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

_ENDS_MAX = 600


class Cause(Enum):
    """Why a command is not taken."""

    QUEUE_FULL = "queue_full"
    LOG_SILENT = "log_silent"
    BACKLOG = "backlog"


class Breaker:
    """Watches what is on its way to the log. Closed: all may publish. Open: nobody.

    It opens when something waits for its acknowledgement for longer than `silent_seconds`, or was given up, and nothing
    else was acknowledged meanwhile: a hot resource may have a long queue while the log answers. A sign of life of the log
    lets one publication through as a trial; the first acknowledgement, the trial's or an older one's, closes it again.
    """

    def __init__(self, silent_seconds: float) -> None:
        """Begin closed."""
        self._silent_seconds = silent_seconds
        self._began: dict[int, float] = {}  # by number, oldest first
        self._next = 0
        self._acknowledged_at = float("-inf")
        self._trial: int | None = None
        self._shows_life = False
        self.is_open = False

    def __len__(self) -> int:
        """Return how many publications are on their way."""
        return len(self._began)

    def admits(self, now: float) -> bool:
        """Tell whether one more may be published; if so, `begin` it at once."""
        self._notice_silence(now)
        return not self.is_open or (self._shows_life and self._trial is None)

    def begin(self, now: float) -> int:
        """Note a publication; returns the number by which its end is told."""
        number, self._next = self._next, self._next + 1
        self._began[number] = now
        if self.is_open:
            self._trial = number
        return number

    def acknowledge(self, number: int, now: float) -> None:
        """Note that the log has it."""
        self._began.pop(number, None)
        self._acknowledged_at = now
        self.is_open = self._shows_life = False
        self._trial = None

    def give_up(self, number: int) -> None:
        """Note that nobody waits any longer for its acknowledgement, which did not come."""
        began = self._began.get(number)
        self.forget(number)
        if began is None or self._acknowledged_at < began:
            self._open()

    def forget(self, number: int) -> None:
        """Note that it ended for a reason which says nothing of the log."""
        self._began.pop(number, None)
        if number == self._trial:
            self._trial = None

    def show_life(self) -> None:
        """Note that the log answers, if not yet to publications."""
        self._shows_life = self.is_open

    def _notice_silence(self, now: float) -> None:
        if self.is_open:
            trial_began = self._began.get(self._trial) if self._trial is not None else None
            if trial_began is not None and now - trial_began > self._silent_seconds:
                self._open()
            return
        oldest = next(iter(self._began.values()), now)
        if now - max(oldest, self._acknowledged_at) > self._silent_seconds:
            self._open()

    def _open(self) -> None:
        self.is_open, self._shows_life, self._trial = True, False, None


P = TypeVar("P")


class Backlog(Generic[P]):
    """How long the oldest undecided record of each partition has been waiting, seen from readings of its offsets.

    A record below an end that was read at some time was there by then: so the age is never told too high, and too low by
    at most the pause between two readings. What lay there before the first reading counts from that one on.
    """

    def __init__(self, stale_seconds: float) -> None:
        """Forget what is older than `stale_seconds`: who cannot see the offsets says nothing of a backlog."""
        self._stale_seconds = stale_seconds
        self._ends: dict[P, deque[tuple[float, int]]] = {}
        self._decided: dict[P, int] = {}
        self._read_at = float("-inf")

    def decide(self, place: P, offset: int) -> None:
        """Take in that the record at this offset, and so all before it, is decided."""
        if offset >= self._decided.get(place, 0):
            self._decided[place] = offset + 1
            self._forget_decided(place, offset + 1)

    def decided(self, place: P) -> int:
        """Return the offset below which all is decided, as far as `decide` was told."""
        return self._decided.get(place, 0)

    def read(self, offsets: Mapping[P, tuple[int, int]], now: float) -> None:
        """Take in end and committed offset of each partition, as of a time not after `now`."""
        self._read_at = now
        for place, (end, committed) in offsets.items():
            decided = max(committed, self._decided.get(place, 0))
            self._forget_decided(place, decided)
            ends = self._ends.setdefault(place, deque())
            known = ends[-1][1] if ends else decided
            if end > known and len(ends) < _ENDS_MAX:
                ends.append((now, end))

    def _forget_decided(self, place: P, decided: int) -> None:
        ends = self._ends.get(place, deque())
        while ends and ends[0][1] <= decided:
            ends.popleft()

    def age_seconds(self, place: P, now: float) -> float:
        """Return for how long the oldest undecided record has been waiting; 0 if none does, or nothing is known."""
        ends = self._ends.get(place)
        if not ends or now - self._read_at > self._stale_seconds:
            return 0.0
        return now - ends[0][0]

    def oldest_seconds(self, now: float) -> float:
        """Return the age of the oldest backlog of all partitions."""
        return max((self.age_seconds(place, now) for place in self._ends), default=0.0)
