"""How a client of a twin reaches its server: at once, unless a simulation puts delays and faults between the two."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Unplugged(BaseException):
    """The client's process ends at this very step: nothing that it would still do reaches a server."""


class Line(Protocol):
    """A connection of one client to one server."""

    async def ask(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Let the server do the work and return its answer; raises what the server raises, or that the line is broken."""


class DirectLine:
    """A line that is never late and never breaks."""

    async def ask(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do the work."""
        return await work()
