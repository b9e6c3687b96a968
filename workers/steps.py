"""Steps: what is over on the arrival of a command, and is too much for one transaction, is expired in several before it.

So the command sees all of it as expired, however much that is, and no transaction is long. A step is an `Expire` with a
stored outcome of its own, tied to the request that it is taken for: its events are sent, and sent again, with that request's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from msgspec.structs import replace

from schema.rows import ResourceKey
from schema.snapshots import Decided
from topics.commands import Expire, fingerprint
from topics.events import decode_stored
from topics.identifiers import request_id
from workers.core.batch import Arrived, BatchDecision
from workers.core.decide import arrival
from workers.core.state import State

SOURCE: Final = "worker/steps"


@dataclass(frozen=True, slots=True)
class Crowd:
    """The place, in a batch, of a command on whose arrival more may be over than was read, and the steps taken for it."""

    place: int
    steps: int


class CrowdedError(Exception):
    """A command of the batch has to wait for steps; nothing was written."""

    def __init__(self, crowd: Crowd) -> None:
        """Say which."""
        super().__init__(f"more is over than one transaction may end, for the command at {crowd.place}")
        self.crowd = crowd


def crowd_of(
    commands: Sequence[Arrived],
    states: Mapping[ResourceKey, State],
    decided: Iterable[Decided],
    decided_at: datetime,
    due_max: int,
) -> Crowd | None:
    """Find the first command that would be decided though more may be over than `due_max`, which is what was read of a kind.

    An `Expire` may leave a part to the next one. What is decided already needs nothing.
    """
    crowded = {key for key, state in states.items() if _may_have_more(state, decided_at, due_max)}
    if not crowded:
        return None
    known = {row.request_id for row in decided}
    for place, arrived in enumerate(commands):
        if arrived.key not in crowded or arrived.request_id in known or isinstance(arrived.command, Expire):
            continue
        # With others in the batch it may have been one of them that came late enough: it is asked again alone.
        at = arrival(states[arrived.key], arrived.appended_at, decided_at)
        if len(commands) > 1 or _is_full(states[arrived.key], at, due_max):
            return Crowd(place, sum(row.step_of == arrived.request_id for row in decided))
    return None


def _may_have_more(state: State, decided_at: datetime, due_max: int) -> bool:
    return state.resource is not None and _is_full(state, max(decided_at, state.resource.last_arrived_at), due_max)


def _is_full(state: State, until: datetime, due_max: int) -> bool:
    due = Counter(type(row) for row in state.due(until))
    return max(due.values(), default=0) >= due_max


def parts_around(commands: Sequence[Arrived], place: int) -> list[Sequence[Arrived]]:
    """Take a batch apart, in its order: the command at `place` and those behind it on its resource alone, others together.

    Those behind it may have to wait for steps, too: each of them judges what is over on its own arrival.
    """
    crowded = commands[place].key
    parts: list[Sequence[Arrived]] = [commands[:place]] if place else []
    for alone, group in groupby(commands[place:], lambda arrived: arrived.key == crowded):
        behind = list(group)
        parts += [[arrived] for arrived in behind] if alone else [behind]
    return parts


def step_of(arrived: Arrived, number: int) -> Arrived:
    """Return a step of a command, counted from 1: it arrived with it, and lies where it lies."""
    command = Expire(resource_id=arrived.key.resource_id)
    of_command = fingerprint(arrived.key.kind, command)
    claim_id = f"{arrived.request_id}/{number:06}"
    return replace(
        arrived,
        command=command,
        source=SOURCE,
        claim_id=claim_id,
        account=SOURCE,
        fingerprint=of_command,
        request_id=request_id(arrived.key.kind, arrived.key.resource_id, SOURCE, claim_id, of_command),
        expiry_time=None,
        step_of=arrived.request_id,
    )


def with_steps(decision: BatchDecision, decided: Iterable[Decided]) -> BatchDecision:
    """Put the events of the steps that were taken for a command before its own."""
    taken: dict[str, list[str]] = {}
    for row in decided:
        if row.step_of is not None:
            taken.setdefault(row.step_of, []).append(row.events)
    if not taken:
        return decision
    outcomes = [
        replace(
            outcome,
            events=(
                *(event for text in taken.get(outcome.arrived.request_id, ()) for event in decode_stored(text)),
                *own,
            ),
        )
        if (own := outcome.events) is not None
        else outcome
        for outcome in decision.outcomes
    ]
    return replace(decision, outcomes=tuple(outcomes))
