"""Row locks and unfinished unique entries of the Postgres twin: who has one keeps it until his transaction ends.

Waits end by the lock timeout (55P03), or when a deadlock is found (40P01), as Postgres's do.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class Patience:
    """How long a session waits, in seconds; `deadlock_seconds` is Postgres's deadlock_timeout."""

    lock_seconds: float = 4.0
    idle_seconds: float = 4.0
    transaction_seconds: float = 15.0
    deadlock_seconds: float = 1.0


class Locks:
    """All locks of one server, by what they lock; an owner is any hashable object."""

    def __init__(self, patience: Patience) -> None:
        """Nobody has anything."""
        self._patience = patience
        self._owner_of: dict[Hashable, object] = {}
        self._queue_of: defaultdict[Hashable, deque[asyncio.Future[None]]] = defaultdict(deque)
        self._waits_for: dict[object, Hashable] = {}
        self.waits = 0

    async def take(self, owner: object, what: Hashable) -> bool:
        """Lock for the owner; tells whether he had to wait, and then must look again at what he locked."""
        holder = self._owner_of.get(what)
        if holder is None or holder is owner:
            self._owner_of[what] = owner
            return False
        self.waits += 1
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience.lock_seconds
        self._waits_for[owner] = what
        try:
            while self._owner_of.get(what) is not None:
                await self._turn(owner, what, until)
            self._owner_of[what] = owner
        finally:
            del self._waits_for[owner]
        return True

    async def _turn(self, owner: object, what: Hashable, until: float) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue_of[what].append(turn)
        check = min(until, loop.time() + self._patience.deadlock_seconds)
        try:
            while not turn.done():
                left = check - loop.time()
                if left > 0:
                    await asyncio.wait((turn,), timeout=left)
                elif self._is_deadlocked(owner):
                    raise asyncpg.DeadlockDetectedError("deadlock detected")
                elif loop.time() >= until:
                    raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")
                else:
                    check = until
        finally:
            if not turn.done():
                self._queue_of[what].remove(turn)

    def _is_deadlocked(self, owner: object) -> bool:
        """Follow who waits for whom, back to the owner or to the end."""
        seen: set[int] = set()
        other = self._owner_of.get(self._waits_for[owner])
        while other is not None and id(other) not in seen:
            if other is owner:
                return True
            seen.add(id(other))
            other = self._owner_of.get(self._waits_for[other]) if other in self._waits_for else None
        return False

    def release_all(self, owner: object) -> None:
        """End the owner's transaction: whoever waits looks again, the first one first."""
        mine = [what for what, holder in self._owner_of.items() if holder is owner]
        for what in mine:
            del self._owner_of[what]
            queue = self._queue_of.pop(what, ())
            for turn in queue:
                if not turn.done():
                    turn.set_result(None)
