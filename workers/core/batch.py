"""Decide a batch: commands in log order, each claim once, a copy within the batch being a duplicate.

Pure: it is given what is stored of these claims and resources, and returns what is to be written and told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from schema.rows import (
    Hold,
    Holding,
    HoldingUpdate,
    Order,
    Payment,
    PaymentEvent,
    PaymentKey,
    PaymentWords,
    Pool,
    Request,
    Resource,
    ResourceKey,
)
from topics import events
from topics.commands import Command, RecordPayment
from topics.commands import Hold as HoldCommand
from topics.identifiers import hold_id_of
from workers.core.decide import PARKING, arrival, decide, fail
from workers.core.holdings import Holdings
from workers.core.kinds import Kind
from workers.core.paying import words_of
from workers.core.state import Decision, State
from workers.core.telling import Ask


class Arrived(msgspec.Struct, frozen=True):
    """A command as it came from the log: whose claim it makes, and where it lies; or a step of such a command."""

    key: ResourceKey
    command: Command
    source: str
    claim_id: str
    account: str
    fingerprint: bytes
    request_id: str
    appended_at: datetime
    partition: int
    offset: int
    expiry_time: datetime | None = None
    step_of: str | None = None

    @property
    def claim(self) -> tuple[str, str]:
        """What is deduplicated."""
        return self.source, self.claim_id


class Known(msgspec.Struct, frozen=True):
    """What was stored of the batch's claims before it: the events of each request, the owner of each claim.

    And of the payments that it names, wherever they live: the order of each, and what each provider's event said.
    """

    events: Mapping[str, str]
    owners: Mapping[tuple[str, str], str]
    order_of_payment: Mapping[PaymentKey, str] = msgspec.field(default_factory=dict)
    said: Mapping[tuple[str, str], PaymentWords] = msgspec.field(default_factory=dict)


class Outcome(msgspec.Struct, frozen=True):
    """What became of one command: the events to send, or None if its record is older than outcomes are kept.

    A culprit whose refusal could not be stored has no events.
    """

    arrived: Arrived
    events: tuple[events.Stored, ...] | None
    repeated: bool
    reason: str | None = None

    def label(self) -> str:
        """Name what became of it in a word: the event that answered it, or the reason of the refusal."""
        if self.events is None:
            return "too_old"
        return self.reason or next((event.type for event in self.events if event.answers), "unanswered")

    def payment_effects(self) -> Iterator[str]:
        """Yield what it came to for each payment that it tells of; `orphaned` for one whose order did not come in time."""
        for event in self.events or ():
            if event.type == events.PAYMENT_ORPHANED:
                yield "orphaned"
            elif event.type == events.PAYMENT_RECORDED:
                recorded = events.decode_data(event.type, bytes(event.data))
                if isinstance(recorded, events.PaymentRecorded) and recorded.effect is not None:
                    yield recorded.effect.value


class BatchDecision(msgspec.Struct, frozen=True):
    """All that a batch changes: of a resource what it was before (None: there was none) and what it is now.

    `versions` are those of every touched resource that exists, for the cache.
    """

    outcomes: tuple[Outcome, ...]
    requests: tuple[Request, ...]
    resources: Mapping[ResourceKey, tuple[Resource | None, Resource]]
    pools: Mapping[tuple[ResourceKey, str], Pool]
    holds: tuple[tuple[ResourceKey, Hold], ...]
    orders: tuple[tuple[ResourceKey, Order], ...]
    payments: tuple[tuple[ResourceKey, Payment], ...]
    payment_events: tuple[PaymentEvent, ...]
    holdings: tuple[tuple[ResourceKey, Holding], ...]
    holding_updates: tuple[HoldingUpdate, ...]
    versions: Mapping[ResourceKey, int]


class _Batch:
    """A batch half-way: the states as they evolve and what is collected on the way."""

    def __init__(self, states: Mapping[ResourceKey, State], known: Known, decided_at: datetime) -> None:
        self.states = states
        self.decided_at = decided_at
        self.stored = dict(known.events)
        self.owners = dict(known.owners)
        self.order_of_payment = dict(known.order_of_payment)
        self.said = dict(known.said)
        self.before = {key: state.resource for key, state in states.items()}
        self.requests: list[Request] = []
        self.changed: set[ResourceKey] = set()
        self.pools: dict[tuple[ResourceKey, str], Pool] = {}
        self.holds: dict[str, tuple[ResourceKey, Hold]] = {}
        self.orders: dict[str, tuple[ResourceKey, Order]] = {}
        self.payments: dict[PaymentKey, tuple[ResourceKey, Payment]] = {}
        self.payment_events: list[PaymentEvent] = []
        self.holdings = Holdings()

    def ask(self, arrived: Arrived) -> Ask:
        """Return the command with what is known of its claim, and of the payment that it reports."""
        command = arrived.command
        is_reused = arrived.claim in self.owners
        order_id, is_recorded = None, False
        if isinstance(command, RecordPayment):
            said = self.said.get((command.provider, command.event_id))
            is_recorded = said is not None and said.are(words_of(command))
            is_reused = is_reused or (said is not None and not is_recorded)
            order_id = self.order_of_payment.get((command.provider, command.payment_id))
        return Ask(command, arrived.request_id, arrived.account, arrived.expiry_time, is_reused, order_id, is_recorded)

    def keep(self, arrived: Arrived, decision: Decision, arrived_at: datetime) -> tuple[events.Stored, ...]:
        """Move the state on and collect what is to be written; return the events of the command."""
        key = arrived.key
        self.states[key].evolve(decision)
        if decision.resource is not None:
            self.changed.add(key)
        for name, pool in decision.pools.items():
            self.pools[key, name] = pool
        for hold_id, hold in decision.holds.items():
            self.holds[hold_id] = key, hold
        self._keep_orders(key, decision)
        for news in decision.holdings:
            self.holdings.keep(key, news)
        if decision.reason is not None and isinstance(arrived.command, HoldCommand):
            self.states[key].refused[hold_id_of(arrived.request_id)] = (arrived.account, decision.reason)
        stored = _stored(arrived, decision, self.decided_at)
        text = events.encode_stored(stored)
        self.stored[arrived.request_id] = text
        owner = self.owners.setdefault(arrived.claim, arrived.request_id)
        self.requests.append(
            Request(
                request_id=arrived.request_id,
                key=key,
                source=arrived.source,
                claim_id=arrived.claim_id,
                owns_claim=owner == arrived.request_id,
                fingerprint=arrived.fingerprint,
                command=type(arrived.command).__name__,
                reason=decision.reason,
                events=text,
                arrived_at=arrived_at,
                decided_at=self.decided_at,
                partition=arrived.partition,
                offset=arrived.offset,
                step_of=arrived.step_of,
            )
        )
        return tuple(events.one_by_one(stored))

    def _keep_orders(self, key: ResourceKey, decision: Decision) -> None:
        for order_id, order in decision.orders.items():
            self.orders[order_id] = key, order
        for payment in decision.payments.values():
            self.payments[payment.key] = key, payment
            self.order_of_payment[payment.key] = payment.order_id
        for event in decision.payment_events:
            self.payment_events.append(event)
            self.said[event.provider, event.event_id] = event.words

    def result(self, outcomes: list[Outcome]) -> BatchDecision:
        """Return what was collected."""
        resources = {
            key: (self.before[key], resource)
            for key in self.changed
            if (resource := self.states[key].resource) is not None
        }
        versions = {key: state.resource.version for key, state in self.states.items() if state.resource is not None}
        return BatchDecision(
            outcomes=tuple(outcomes),
            requests=tuple(self.requests),
            resources=resources,
            pools=self.pools,
            holds=tuple(self.holds.values()),
            orders=tuple(self.orders.values()),
            payments=tuple(self.payments.values()),
            payment_events=tuple(self.payment_events),
            holdings=tuple(self.holdings.begun),
            holding_updates=self.holdings.updates,
            versions=versions,
        )


def decide_batch(
    commands: Sequence[Arrived],
    *,
    states: Mapping[ResourceKey, State],
    known: Known,
    kinds: Mapping[str, Kind],
    decided_at: datetime,
    request_retention: timedelta,
    parking: timedelta = PARKING,
) -> BatchDecision:
    """Decide the commands in their order. The states evolve; they belong to this batch."""
    batch = _Batch(states, known, decided_at)
    outcomes: list[Outcome] = []
    for arrived in commands:
        repeated = batch.stored.get(arrived.request_id)
        if arrived.appended_at <= decided_at - request_retention:
            outcomes.append(Outcome(arrived, None, repeated=False))
        elif repeated is not None:
            outcomes.append(Outcome(arrived, tuple(events.decode_stored(repeated)), repeated=True))
        else:
            state = states[arrived.key]
            arrived_at = arrival(state, arrived.appended_at, decided_at)
            kind = kinds[arrived.key.kind]
            decision = decide(state, kind, batch.ask(arrived), arrived_at, decided_at, parking=parking)
            outcomes.append(Outcome(arrived, batch.keep(arrived, decision, arrived_at), False, decision.reason))
    return batch.result(outcomes)


def fail_one(
    arrived: Arrived, *, state: State, known: Known, kinds: Mapping[str, Kind], decided_at: datetime, detail: str
) -> BatchDecision:
    """Refuse one command as `internal_error`: it made us fail, and must not stand in the way of the next."""
    batch = _Batch({arrived.key: state}, known, decided_at)
    repeated = batch.stored.get(arrived.request_id)
    if repeated is not None:
        return batch.result([Outcome(arrived, tuple(events.decode_stored(repeated)), repeated=True)])
    arrived_at = arrival(state, arrived.appended_at, decided_at)
    kind = kinds[arrived.key.kind]
    decision = fail(state, kind, batch.ask(arrived), arrived_at, decided_at, detail=detail)
    return batch.result([Outcome(arrived, batch.keep(arrived, decision, arrived_at), False, decision.reason)])


def _stored(arrived: Arrived, decision: Decision, decided_at: datetime) -> list[events.Stored]:
    """Give the events of a decision their ids: the request's, and their place in it, where they have none of their own."""
    return [
        events.Stored(
            type=fact.type,
            id=fact.id or f"{arrived.request_id}/{place}",
            answers=fact.answers,
            version=fact.version,
            time=decided_at,
            record=f"{arrived.partition}/{arrived.offset}",
            data=msgspec.Raw(events.encode_data(fact.data)),
            pools=msgspec.UNSET if fact.pools is None else list(fact.pools),
            request_id=msgspec.UNSET if fact.id is None else arrived.request_id,
        )
        for place, fact in enumerate(decision.facts)
    ]


def touched(commands: Iterable[Arrived]) -> list[ResourceKey]:
    """Return the resources of the commands, each once, in the order in which they are locked."""
    return sorted({arrived.key for arrived in commands}, key=lambda key: (key.kind, key.resource_id))
