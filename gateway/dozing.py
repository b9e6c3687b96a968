"""When a gateway need not read the events of a topic, and where it begins again. Pure: it is given the time, in seconds.

Redis tells outcomes at once (`gateway.prompt_listener`), and most events are not about commands of this gateway: reading
them all would cost each gateway more with every other one. So while Redis tells, and nobody waits for long, it dozes: it
only marks where the log ends now and then. It wakes for whoever was not told soon, and begins at the last mark from before
that wait: what answers it lies behind that.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

UNTOLD_SECONDS: Final = 0.25
AWAKE_SECONDS: Final = 2.0
MARKED_SECONDS: Final = 0.5

P = TypeVar("P")


class Doze(Generic[P]):
    """Of one topic; `P` is how its partitions are named.

    `heard` is how many waits were ended by Redis so far, None while it cannot be heard.
    """

    def __init__(self) -> None:
        """Begin awake: whether Redis tells is not known yet."""
        self._marks: deque[tuple[float, Mapping[P, int]]] = deque()
        self._marked_at: float | None = None
        self._awake_until: float | None = None
        self._was_overdue = False
        self._doubted: int | None = None

    def look(self, now: float, *, waiting_since: float | None, heard: int | None) -> bool:
        """Take in who has been waiting for longest; return whether events may be left alone now.

        A sleeper who looks late, as all stood still for a moment, looks once more before waking.
        """
        is_overdue = waiting_since is not None and now - waiting_since >= UNTOLD_SECONDS
        dozed = self._awake_until is not None and now >= self._awake_until
        is_needed = is_overdue and (self._was_overdue or not dozed)
        self._was_overdue = is_overdue
        if self._awake_until is None or is_needed or not self._tells(heard):
            self._awake_until = now + AWAKE_SECONDS
        return now >= self._awake_until

    def _tells(self, heard: int | None) -> bool:
        """Tell whether Redis can be heard, and has told somebody since an event had to."""
        return heard is not None and (self._doubted is None or heard > self._doubted)

    def answered(self, now: float, heard: int | None) -> None:
        """Take in that an event had to answer somebody: Redis is in doubt until it tells anybody."""
        self._awake_until = now + AWAKE_SECONDS
        self._doubted = heard

    def wants_mark(self, now: float) -> bool:
        """Tell whether it is time to look where the log ends."""
        return self._marked_at is None or now - self._marked_at >= MARKED_SECONDS

    def mark(self, now: float, ends: Mapping[P, int]) -> None:
        """Take in where the log ended a moment ago."""
        self._marked_at = now
        self._marks.append((now, ends))

    def passed(self, waiting_since: float | None) -> Mapping[P, int]:
        """Return up to where nothing answers anybody who waits or will; nothing if no mark is old enough."""
        ends: Mapping[P, int] = {}
        while self._marks and (waiting_since is None or self._marks[0][0] < waiting_since):
            ends = self._marks.popleft()[1]
        return ends

    def wake(self, now: float) -> None:
        """Be awake for a while. The marks are of no use once events behind them were read."""
        self._awake_until = now + AWAKE_SECONDS
        self._marks.clear()
        self._marked_at = None
