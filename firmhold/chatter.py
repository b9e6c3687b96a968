"""Lines that repeat themselves: so many of one message are let through in a while, the others are counted, and told.

A client of Kafka writes some sixty lines a second while the broker is away. Pure: it is given the time.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_NUMBERS = re.compile(r"\d+")
_MESSAGE_CHARACTERS_MAX = 120  # what differs only behind them is the same message
Message = tuple[str, int, str]


@dataclass(slots=True)
class _While:
    """What was seen of one message since it began to count."""

    began: float
    lines: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many lines of one message of a logger were left out."""

    logger: str
    level: int
    message: str
    lines: int


@dataclass(slots=True)
class Chatter:
    """At most `lines_max` lines of one message within `seconds`."""

    lines_max: int
    seconds: float
    _whiles: dict[Message, _While] = field(default_factory=dict)

    def admits(self, record: logging.LogRecord, now: float) -> bool:
        """Tell whether a line is to be written; a critical one always is."""
        if record.levelno >= logging.CRITICAL:
            return True
        seen = self._whiles.setdefault(_message(record), _While(now))
        seen.lines += 1
        return seen.lines <= self.lines_max

    def left_out(self, now: float) -> Iterator[LeftOut]:
        """Yield what was left out in each while that is over, and forget it; at the end `now` is infinity."""
        # Whiles are in the order of their beginnings: the first that goes on ends the search.
        while self._whiles:
            (logger, level, message), seen = next(iter(self._whiles.items()))
            if now - seen.began < self.seconds:
                return
            del self._whiles[(logger, level, message)]
            if seen.lines > self.lines_max:
                yield LeftOut(logger, level, message, seen.lines - self.lines_max)


def _message(record: logging.LogRecord) -> Message:
    """Name what a line says, without what differs from line to line: arguments, bound values, numbers."""
    text = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
    return record.name, record.levelno, _NUMBERS.sub("#", str(text))[:_MESSAGE_CHARACTERS_MAX]
