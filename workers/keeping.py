"""What a batch left of its resources, kept for the next one: holds of a hot resource need not read it again and again.

It is a guess that the write checks, see docs/decisions/0008: whatever changes a resource writes its row, and claims and holds
are unique. What the guess does not cover is read as ever. Nothing here is shared: a batch takes what is kept, and owns it.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from msgspec.structs import replace

from schema.rows import Hold as HoldRow
from schema.rows import ResourceKey
from topics.commands import Hold
from workers.core.batch import Arrived, BatchDecision, Known
from workers.core.kinds.registry import KINDS
from workers.core.needs import named_pools
from workers.core.state import State, deadline
from workers.state_reading import Reading

KEPT_SECONDS: Final = 1.0
"""How long a resource is not read: for so long Postgres's clock is carried on, and what is repaired by hand goes unseen."""
REST_SECONDS: Final = 1.0
"""How long everything is read after a write found a guess to be wrong: whatever it was, there may be more of it."""
_RESOURCES_MAX: Final = 64
_RECENT_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Noted:
    """What a batch is decided on, the time of our own clock `at` which it was that, and when the oldest of it was read."""

    reading: Reading
    at: float
    read_at: float


@dataclass(frozen=True, slots=True)
class _Kept:
    """A resource as a batch left it, what of its pools is known (None: all), when the first thing of it is over, if any.

    It was read at `read_at`. At `at`, both by our own clock, that of Postgres was at `now`, or a little later.
    """

    state: State
    pools: frozenset[str] | None
    due_at: datetime | None
    now: datetime
    at: float
    read_at: float


class _Recent:
    """The last requests that were decided, some tens of thousands: one that comes again is not worth a guess."""

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._before: set[str] = set()

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._now or request_id in self._before

    def add(self, request_ids: Iterable[str]) -> None:
        """Forget the older half from time to time."""
        self._now.update(request_ids)
        if len(self._now) > _RECENT_MAX:
            self._before, self._now = self._now, set()


class Keeper:
    """Keeps a few resources for a moment."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Carry Postgres's clock on by one that does not step, in seconds."""
        self._monotonic = monotonic
        self._kept: dict[ResourceKey, _Kept] = {}
        self._recent = _Recent()
        self._resting_until = float("-inf")

    def take(self, commands: Sequence[Arrived]) -> Noted | None:
        """Return what the commands are to be decided on, if all of it is kept; what is taken, or will not do, is forgotten."""
        taken = {key: self._kept.pop(key, None) for key in dict.fromkeys(arrived.key for arrived in commands)}
        kept = {key: one for key, one in taken.items() if one is not None}
        at = self._monotonic()
        if len(kept) < len(taken) or at < self._resting_until:
            return None
        pools = named_pools(commands, KINDS)
        if not all(_covers(one, pools[key], at) for key, one in kept.items()):
            return None
        if any(arrived.request_id in self._recent for arrived in commands):
            return None
        decided_at = max(one.now + timedelta(seconds=at - one.at) for one in kept.values())
        if not all(_is_plain(arrived, kept[arrived.key], decided_at) for arrived in commands):
            return None
        reading = Reading(
            decided_at=decided_at,
            decided=(),
            known=Known({}, {}),
            states={key: one.state for key, one in kept.items()},
            due_max=1,
            pools={key: one.pools for key, one in kept.items()},
            due_at={key: one.due_at for key, one in kept.items() if one.due_at is not None},
            is_carried=True,
        )
        return Noted(reading, at, min(one.read_at for one in kept.values()))

    def rest(self) -> None:
        """Let everything be read for a moment: a guess was wrong."""
        self._resting_until = self._monotonic() + REST_SECONDS

    def note(self, reading: Reading) -> Noted:
        """Note when something was read, which is no later than now."""
        at = self._monotonic()
        return Noted(reading, at, at)

    def keep(self, noted: Noted, decision: BatchDecision, written_by: int | None) -> None:
        """Keep what a batch left that was written without a lock, by this transaction; None: it changed nothing."""
        reading = noted.reading
        self._recent.add(request.request_id for request in decision.requests)
        self._recent.add(row.request_id for row in reading.decided)
        if reading.due_at is None:
            return
        for key, state in reading.states.items():
            resource = state.resource
            if resource is None:
                continue
            if key in decision.resources:
                resource = replace(resource, written_by=written_by)
            left = State(key, resource, state.pools, finder=state.finder)
            due_at = _first(reading.due_at.get(key), (hold for of, hold in decision.holds if of == key))
            self._kept[key] = _Kept(left, _known(reading, state), due_at, reading.decided_at, noted.at, noted.read_at)
        self._forget(noted.at)

    def _forget(self, at: float) -> None:
        """Drop what is too old, and what is too much, from the front."""
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) <= _RESOURCES_MAX and at - self._kept[oldest].read_at < KEPT_SECONDS:
                break
            del self._kept[oldest]


def _covers(kept: _Kept, pools: Collection[str] | None, at: float) -> bool:
    """Tell whether it is fresh, and has these pools (None: all of them)."""
    if at - kept.read_at >= KEPT_SECONDS:
        return False
    return kept.pools is None or (pools is not None and kept.pools.issuperset(pools))


def _is_plain(arrived: Arrived, kept: _Kept, decided_at: datetime) -> bool:
    """Tell whether all that the command is decided on is in what is kept: it places a hold, and nothing is over before it.

    A time that is carried on is a little late, and a command counts as arrived no later than it is decided: where that moment
    matters, as the resource opens or closes just then, Postgres is asked.
    """
    command, resource = arrived.command, kept.state.resource
    if not isinstance(command, Hold) or arrived.step_of is not None or resource is None:
        return False
    settings = resource.settings
    if command.buyer is not None and settings.holds_per_buyer is not None:
        return False
    bounds = (settings.opens_at, settings.closes_at)
    if any(bound is not None and decided_at < bound <= arrived.appended_at for bound in bounds):
        return False
    return kept.due_at is None or max(arrived.appended_at, resource.last_arrived_at) < kept.due_at


def _known(reading: Reading, state: State) -> frozenset[str] | None:
    """Return the pools of which a batch knew whether they are there, and what is left of them; None: all."""
    names = reading.pools[state.key]
    return None if names is None else frozenset(chain(names, state.pools))


def _first(due_at: datetime | None, holds: Iterable[HoldRow]) -> datetime | None:
    """Return the first deadline: a hold's own may be the first where its resource's arrivals are ahead of the clock."""
    deadlines = (one for one in (due_at, *map(deadline, holds)) if one is not None)
    return min(deadlines, default=None)
