"""The state that a decision reads, and the draft that it writes; nothing here knows what a command means.

`State` is one resource as a batch sees it and is owned by that batch: `decide` only reads it, `evolve` moves it on.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from schema.rows import Hold, Pool, Resource, ResourceKey
from topics.events import EventData, HoldView
from topics.resources import Counters, HoldStatus


@dataclass(frozen=True, slots=True)
class Fact:
    """An event to be: its type and data. `answers` marks the one that is the outcome of the request."""

    type: str
    version: int
    answers: bool
    data: EventData


@dataclass(frozen=True, slots=True)
class Decision:
    """What one command changes; `reason` is None if it succeeded. Rows not named here stay as they are."""

    resource: Resource | None
    pools: dict[str, Pool]
    holds: dict[str, Hold]
    facts: tuple[Fact, ...]
    reason: str | None


@dataclass(slots=True)
class State:
    """A resource (None: there is none yet), its pools by name, the holds that may matter, live holds by buyer.

    `refused` has account and reason of holds that were asked for and refused, by the id they would have had.
    """

    key: ResourceKey
    resource: Resource | None = None
    pools: dict[str, Pool] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    live_holds_of: dict[str, int] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    _by_expiry: list[tuple[datetime, str]] = field(default_factory=list)

    def add_holds(self, holds: Iterable[Hold]) -> None:
        """Take in holds as they are stored."""
        for hold in holds:
            self._put(hold)

    def due(self, arrived_at: datetime) -> list[Hold]:
        """Return the live holds with `expires_at <= arrived_at`, in the order of their expiry."""
        due = []
        for expires_at, hold_id in self._by_expiry:
            if expires_at > arrived_at:
                break
            hold = self.holds[hold_id]
            if hold.status is HoldStatus.HELD and hold.expires_at == expires_at:
                due.append(hold)
        return due

    def evolve(self, decision: Decision) -> None:
        """Move on to the state after `decision`, which was decided on this very state."""
        self.resource = decision.resource
        self.pools.update(decision.pools)
        for hold in decision.holds.values():
            self._count(self.holds.get(hold.hold_id), -1)
            self._count(hold, +1)
            self._put(hold)
        self._forget_ended()

    def _put(self, hold: Hold) -> None:
        before = self.holds.get(hold.hold_id)
        self.holds[hold.hold_id] = hold
        is_filed = before is not None and _is_live(before) and before.expires_at == hold.expires_at
        if hold.status is HoldStatus.HELD and not is_filed:
            insort(self._by_expiry, (hold.expires_at, hold.hold_id))

    def _count(self, hold: Hold | None, step: int) -> None:
        if hold is not None and hold.buyer is not None and hold.status is HoldStatus.HELD:
            self.live_holds_of[hold.buyer] = self.live_holds_of.get(hold.buyer, 0) + step

    def _forget_ended(self) -> None:
        """Drop the expired from the front, so that `due` never walks over them twice."""
        ended = 0
        for expires_at, hold_id in self._by_expiry:
            hold = self.holds[hold_id]
            if hold.status is HoldStatus.HELD and hold.expires_at == expires_at:
                break
            ended += 1
        del self._by_expiry[:ended]


class Draft:
    """A decision in the making: reads through to the state, keeps what changes to itself."""

    def __init__(
        self, state: State, arrived_at: datetime, decided_at: datetime, client_reference: str | None = None
    ) -> None:
        """Begin with the state as it is; both times are those of the decision, the reference is its client's."""
        self.state = state
        self.arrived_at = arrived_at
        self.decided_at = decided_at
        self.client_reference = client_reference
        self.resource = state.resource
        self.pools: dict[str, Pool] = {}
        self.holds: dict[str, Hold] = {}
        self.facts: list[Fact] = []
        self._live_of: dict[str, int] = {}

    def pool(self, name: str) -> Pool | None:
        """Return the pool as this draft has it."""
        return self.pools.get(name) or self.state.pools.get(name)

    def hold(self, hold_id: str) -> Hold | None:
        """Return the hold as this draft has it."""
        return self.holds.get(hold_id) or self.state.holds.get(hold_id)

    def counters(self) -> Counters:
        """Return the sums over all pools as of now."""
        return Counters() if self.resource is None else self.resource.counters

    def version(self) -> int:
        """Return the version of the resource as of now; 0 if there is none."""
        return 0 if self.resource is None else self.resource.version

    def live_holds_of(self, buyer: str) -> int:
        """Return how many live holds the buyer has."""
        return self.state.live_holds_of.get(buyer, 0) + self._live_of.get(buyer, 0)

    def put_pool(self, name: str, pool: Pool) -> None:
        """Change a pool, and with it the sums of the resource."""
        if self.resource is None:
            message = "a pool cannot change before its resource exists"
            raise AssertionError(message)
        before = self.pool(name) or Pool(0, 0, 0, 0)
        sums = self.resource.counters
        counters = Counters(
            capacity=sums.capacity + pool.capacity - before.capacity,
            held=sums.held + pool.held - before.held,
            taken=sums.taken + pool.taken - before.taken,
            remaining=sums.remaining + remaining(pool) - remaining(before),
            oversubscribed_by=sums.oversubscribed_by + oversubscribed_by(pool) - oversubscribed_by(before),
        )
        self.pools[name] = pool
        self.resource = replace(self.resource, counters=counters)

    def put_hold(self, hold: Hold) -> None:
        """Create or change a hold."""
        before = self.hold(hold.hold_id)
        if hold.buyer is not None:
            step = _is_live(hold) - _is_live(before)
            self._live_of[hold.buyer] = self._live_of.get(hold.buyer, 0) + step
        self.holds[hold.hold_id] = hold

    def next_version(self) -> int:
        """Give the resource its next version: each event that changes it has one of its own."""
        if self.resource is None:
            message = "a version cannot be given before its resource exists"
            raise AssertionError(message)
        self.resource = replace(self.resource, version=self.resource.version + 1)
        return self.resource.version

    def decision(self, reason: str | None) -> Decision:
        """Return what was drafted; even a refusal moves the resource's last arrival on."""
        resource = self.resource
        if resource is not None:
            resource = replace(resource, last_arrived_at=self.arrived_at)
        return Decision(resource, self.pools, self.holds, tuple(self.facts), reason)


def remaining(pool: Pool) -> int:
    """Return the units that a new claim could take."""
    return max(0, pool.capacity - pool.held - pool.taken)


def oversubscribed_by(pool: Pool) -> int:
    """Return how many units are out beyond a capacity that was lowered."""
    return max(0, pool.held + pool.taken - pool.capacity)


def view(hold: Hold) -> HoldView:
    """Return the hold as events show it: without owner, token or buyer."""
    return HoldView(
        id=hold.hold_id,
        status=hold.status,
        quantity=hold.quantity,
        units=hold.units,
        granted_at=hold.granted_at,
        expires_at=hold.expires_at,
        expires_latest_at=hold.expires_latest_at,
        ended_at=hold.ended_at,
        client_reference=hold.client_reference,
    )


def _is_live(hold: Hold | None) -> int:
    return 1 if hold is not None and hold.status is HoldStatus.HELD else 0
