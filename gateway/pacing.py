"""When the commands of a resource that wait for the log are to go. Pure: it is given the time (seconds of a monotonic clock).

Each record costs gateway, log, worker and Postgres some 9 ms of processor time together, however many commands it has. So
what comes while others of its resource are undecided is held back until it is as many as those, or they are decided, or it
fills a record, or a moment has passed. A lone client never waits, nor does the second; under load there are two cohorts:
one is decided while the other is answered and asks again. More of them are smaller, and one leaves processors idle.
"""

from collections import defaultdict, deque
from typing import Final, Generic, TypeVar

from topics.commands import BATCH_COMMANDS_MAX

HELD_BACK_SECONDS: Final = 0.06
FORGOTTEN_SECONDS: Final = 0.25

Place = tuple[str, int]
W = TypeVar("W")


class Pace:
    """What is undecided of one resource, as far as this gateway sent it."""

    def __init__(self) -> None:
        """Begin with nothing on its way."""
        self._undecided: deque[tuple[int, int, float]] = deque()
        self._commands = 0
        self._under_way = 0

    def begin(self, commands: int) -> None:
        """Note that a record of so many commands is on its way to the log."""
        self._under_way += commands

    def end(self, commands: int) -> None:
        """Note that it is there, or never will be."""
        self._under_way -= commands

    def send(self, offset: int, commands: int, now: float) -> None:
        """Note that the log has a record of so many commands at this offset."""
        self._undecided.append((offset, commands, now))
        self._commands += commands

    def decide(self, offset: int) -> None:
        """Take in that the record at this offset, and so all before it, is decided."""
        while self._undecided and self._undecided[0][0] <= offset:
            self._commands -= self._undecided.popleft()[1]

    def is_idle(self, now: float) -> bool:
        """Tell whether nothing is undecided. What nobody tells of for long is forgotten: its worker may be gone."""
        while self._undecided and now - self._undecided[0][2] >= FORGOTTEN_SECONDS:
            self._commands -= self._undecided.popleft()[1]
        return not self._undecided and not self._under_way

    def pause_seconds(self, waiting: int, since: float, now: float) -> float:
        """Return for how long so many commands, of which the first waits since then, are held back if nothing happens."""
        # Whether it is idle comes first: it forgets what nobody tells of.
        if self.is_idle(now) or waiting >= min(self._commands + self._under_way, BATCH_COMMANDS_MAX):
            return 0.0
        return max(0.0, since + HELD_BACK_SECONDS - now)


class Undecided(Generic[W]):
    """Whose records lie undecided on each partition; nothing is kept for longer than paces remember it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._sent: defaultdict[Place, deque[tuple[int, W, float]]] = defaultdict(deque)
        self._decided: dict[Place, int] = {}

    def __len__(self) -> int:
        """Return how many records are kept."""
        return sum(map(len, self._sent.values()))

    def send(self, place: Place, offset: int, whose: W, now: float) -> bool:
        """Note that the log has a record; False if it is decided already: events may be faster than acknowledgements."""
        if offset <= self._decided.get(place, -1):
            return False
        sent = self._sent[place]
        while sent and now - sent[0][2] >= FORGOTTEN_SECONDS:
            sent.popleft()
        sent.append((offset, whose, now))
        return True

    def decide(self, place: Place, offset: int) -> list[W]:
        """Take in that all up to this offset is decided, and return whose that is."""
        self._decided[place] = max(offset, self._decided.get(place, -1))
        sent, whose = self._sent[place], []
        while sent and sent[0][0] <= offset:
            whose.append(sent.popleft()[1])
        return whose
