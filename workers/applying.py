"""Apply a batch of commands in one Postgres transaction: lock, read, let the core decide, write. It decides nothing itself."""

import traceback
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schema.faults import is_culprit
from schema.rows import Hold, Resource, ResourceKey
from schema.store import Claim, Decided, RacedError, ResourceWrite, Transaction, Writes
from topics import commands as commands_
from topics.identifiers import hold_id_of, order_id_of, request_id_of
from topics.signatures import account_of
from workers.core.batch import Arrived, BatchDecision, Known, Outcome, decide_batch, fail_one, touched
from workers.core.decide import PARKING
from workers.core.kinds.registry import KINDS
from workers.core.state import State
from workers.crash_points import CrashPoint, Reached
from workers.stages import Stage, Stages
from workers.steps import CrowdedError, crowd_of, step_of, with_steps

RERUNS_MAX = 10
EXPIRIES_LEAST = 100
INTERNAL_ERROR_DETAIL = "the command could not be decided; it was put aside for an operator"


@dataclass(frozen=True, slots=True)
class Culprit:
    """A command that made us fail, with the traceback for its dead letter; `is_refused` if that could be stored."""

    arrived: Arrived
    traceback: str
    is_refused: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch came to: outcomes in the order of its commands, versions for the cache, culprits put aside."""

    outcomes: tuple[Outcome, ...]
    versions: dict[ResourceKey, int]
    culprits: tuple[Culprit, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    decided_at: datetime
    decided: list[Decided]
    known: Known
    states: dict[ResourceKey, State]
    due_max: int


class CoreError(Exception):
    """The core raised: a bug of ours, with one command of the batch as its cause."""


class Applier:
    """Applies batches on a store."""

    def __init__(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Transaction]],
        *,
        request_retention: timedelta,
        expiries_max: int,
        reached: Reached,
        parking: timedelta = PARKING,
    ) -> None:
        """Take the way to open a transaction, how long outcomes are kept, how many holds a batch expires, and a hook.

        And how long a payment waits for its order.
        """
        self._transaction = transaction
        self._request_retention = request_retention
        self._culprits: dict[str, Culprit] = {}
        self._expiries_max = expiries_max
        self.stages = Stages()
        self._reached = reached
        self._parking = parking

    async def apply(self, commands: Sequence[Arrived]) -> Applied:
        """Decide and store a batch; raises only what is transient or not understood.

        A batch in which one command makes us fail is rolled back and run one by one, in order.
        """
        if not self._culprits:
            try:
                return await self._apply_together(commands)
            except Exception as fault:
                if not _has_culprit(fault):
                    raise
        return await self._apply_one_by_one(commands)

    async def _apply_together(self, commands: Sequence[Arrived]) -> Applied:
        while True:
            try:
                return await _unraced(lambda: self._in_transaction(commands))
            except CrowdedError as crowded:
                if len(commands) > 1:
                    return await self._apply_in_parts(commands, crowded.crowd.place)
                step = step_of(commands[0], crowded.crowd.steps + 1)
            await self._take(step)

    async def _take(self, step: Arrived) -> None:
        await _unraced(lambda: self._in_transaction([step]))

    async def _apply_in_parts(self, commands: Sequence[Arrived], place: int) -> Applied:
        """Apply what is before the command at `place`, then that one alone, then the rest."""
        parts = [commands[:place], commands[place : place + 1], commands[place + 1 :]]
        applied = [await self._apply_together(part) for part in parts if part]
        versions = {key: version for one in applied for key, version in one.versions.items()}
        return Applied(tuple(outcome for one in applied for outcome in one.outcomes), versions)

    async def _in_transaction(self, commands: Sequence[Arrived]) -> BatchDecision:
        laps = self.stages.begin()
        async with self._transaction() as transaction:
            read = await _read(transaction, commands, self._expiries_max)
            crowd = crowd_of(commands, read.states, read.decided, read.decided_at, read.due_max)
            if crowd is not None:
                raise CrowdedError(crowd)
            laps.end(Stage.READ)
            # A step comes too late if its command was decided meanwhile: nobody would tell of it any more.
            wanted = [arrived for arrived in commands if arrived.step_of not in read.known.events]
            with _the_core():
                decision = decide_batch(
                    wanted,
                    states=read.states,
                    known=read.known,
                    kinds=KINDS,
                    decided_at=read.decided_at,
                    request_retention=self._request_retention,
                    parking=self._parking,
                )
            laps.end(Stage.DECIDE)
            await transaction.write(_writes(decision))
            self._reached(CrashPoint.IN_TRANSACTION)
        laps.end(Stage.COMMIT)
        self._reached(CrashPoint.AFTER_COMMIT)
        return with_steps(decision, read.decided)

    async def _apply_one_by_one(self, commands: Sequence[Arrived]) -> Applied:
        outcomes: list[Outcome] = []
        versions: dict[ResourceKey, int] = {}
        for arrived in commands:
            try:
                applied = await self._apply_together([arrived])
            except Exception as fault:
                if not _has_culprit(fault):
                    raise
                applied = await self._put_aside(arrived, fault)
            outcomes += applied.outcomes
            versions |= applied.versions
        culprits, self._culprits = tuple(self._culprits.values()), {}
        return Applied(tuple(outcomes), versions, culprits)

    async def _put_aside(self, arrived: Arrived, fault: Exception) -> Applied:
        """Refuse a culprit; where even that fails it has no outcome, and its claim is free: it must not stop us for ever."""
        # Kept over attempts: a later command's passing fault must not lose the traceback of this one.
        self._culprits[arrived.request_id] = Culprit(arrived, _traceback(fault))
        try:
            return await self._refuse_culprit(arrived)
        except Exception as second:
            if not _has_culprit(second):
                raise
            self._culprits[arrived.request_id] = Culprit(arrived, _traceback(second), is_refused=False)
            return Applied((Outcome(arrived, (), repeated=False),), {})

    async def _refuse_culprit(self, arrived: Arrived) -> Applied:
        """Store the refusal before any later command of the resource is decided."""

        async def refuse() -> BatchDecision:
            async with self._transaction() as transaction:
                read = await _read(transaction, [arrived], self._expiries_max)
                with _the_core():
                    decision = fail_one(
                        arrived,
                        state=read.states[arrived.key],
                        known=read.known,
                        decided_at=read.decided_at,
                        detail=INTERNAL_ERROR_DETAIL,
                    )
                await transaction.write(_writes(decision))
            return with_steps(decision, read.decided)

        return await _unraced(refuse)


async def _unraced(attempt: Callable[[], Awaitable[BatchDecision]]) -> Applied:
    """Try again for as long as somebody else is faster; in the end it counts as a server that does not answer."""
    for _ in range(RERUNS_MAX):
        try:
            decision = await attempt()
        except RacedError:
            continue
        return Applied(decision.outcomes, dict(decision.versions))
    message = f"a batch was raced {RERUNS_MAX} times in a row"
    raise TimeoutError(message)


@contextmanager
def _the_core() -> Iterator[None]:
    """Tell what the core raises from what Postgres does."""
    try:
        yield
    except Exception as fault:
        message = f"the core failed: {fault!r}"
        raise CoreError(message) from fault


def _traceback(fault: Exception) -> str:
    return "".join(traceback.format_exception(fault))


def _has_culprit(fault: Exception) -> bool:
    return isinstance(fault, CoreError) or is_culprit(fault)


async def _read(transaction: Transaction, commands: Sequence[Arrived], expiries_max: int) -> _Read:
    """Lock, then read: what was committed while we waited for the locks is seen."""
    keys = touched(commands)
    resources = await transaction.lock(keys)
    decided_at, decided = await transaction.clock_and_decided(
        [
            Claim(arrived.source, arrived.claim_id, request_id)
            for arrived in commands
            for request_id in (arrived.request_id, arrived.step_of)
            if request_id is not None
        ]
    )
    missing = [key for key in keys if key not in resources]
    if missing and decided and await transaction.lock(missing):
        # What does not exist cannot be locked: it was created after we looked for it, by who runs the same commands. Of
        # those we now know as decided; what follows them must not be decided as if they had not been.
        message = f"one of {len(missing)} resources was created while the batch was read"
        raise RacedError(message)
    until = _until(resources, decided_at)
    pools, have_due_orders = await transaction.pools(keys, until) if resources else ({}, set())
    due_max = max(min(EXPIRIES_LEAST, expiries_max), expiries_max // max(1, len(resources)))
    holds = await _holds(transaction, commands, resources, until, due_max) if resources else {}
    buyers = {
        (arrived.key, buyer)
        for arrived in commands
        if (buyer := getattr(arrived.command, "buyer", None)) is not None and arrived.key in resources
    }
    live = await transaction.live_holds_of(buyers) if buyers else {}
    states = {key: State(key, resources.get(key), pools.get(key, {})) for key in keys}
    for key, holds_of_resource in holds.items():
        states[key].add(holds_of_resource)
    await _read_orders(transaction, commands, states, _Due(have_due_orders, until, due_max))
    await _read_refused(transaction, commands, states)
    for (key, buyer), holds_of_buyer in live.items():
        states[key].live_holds_of[buyer] = holds_of_buyer
    known = Known(
        events={row.request_id: row.events for row in decided},
        owners={(row.source, row.claim_id): row.request_id for row in decided if row.owns_claim},
    )
    return _Read(decided_at, decided, await _know_payments(transaction, commands, known), states, due_max)


async def _holds(
    transaction: Transaction,
    commands: Sequence[Arrived],
    resources: Mapping[ResourceKey, Resource],
    until: datetime,
    due_max: int,
) -> dict[ResourceKey, list[Hold]]:
    """Read what is due on any arrival of the batch, and the holds that its commands name or would place.

    A resource may have a hundred thousand holds that ended at one instant: a transaction expires so many at most, oldest
    first, and stays short whatever ended. See `workers.steps` for what decides a command though more is due.
    """
    named = {hold_id for arrived in commands if (hold_id := _named(arrived)) is not None}
    return await transaction.holds(list(resources), until, named, due_max)


def _until(resources: Mapping[ResourceKey, Resource], decided_at: datetime) -> datetime:
    """Return the latest arrival that the batch may have.

    After a failover Postgres's clock may be behind an arrival that is stored already, and arrivals never go back.
    """
    return max([decided_at, *(resource.last_arrived_at for resource in resources.values())])


@dataclass(frozen=True, slots=True)
class _Due:
    """Which resources have orders or payments that are over, by when, and how many of these a batch ends."""

    keys: Collection[ResourceKey]
    until: datetime
    due_max: int


async def _read_orders(
    transaction: Transaction, commands: Sequence[Arrived], states: Mapping[ResourceKey, State], due: _Due
) -> None:
    """Read orders and payments where commands ask for them, or where some are over; most batches have none of either."""
    named = {order_id for arrived in commands if (order_id := _named_order(arrived)) is not None}
    keys = {arrived.key for arrived in commands if _named_order(arrived) is not None} | {*due.keys}
    if not keys:
        return
    for key, row in await transaction.orders(keys, due.until, named, due.due_max):
        states[key].add([row])


def _named_order(arrived: Arrived) -> str | None:
    match arrived.command:
        case commands_.PlaceOrder():
            return order_id_of(arrived.request_id)
        case commands_.CancelOrder() | commands_.RecordPayment() as command:
            return command.order_id
        case _:
            return None


async def _know_payments(transaction: Transaction, commands: Sequence[Arrived], known: Known) -> Known:
    """Add what is known of the payments that the batch reports, wherever they live: a payment is counted once."""
    named = {
        (command.provider, command.payment_id, command.event_id)
        for arrived in commands
        if isinstance(command := arrived.command, commands_.RecordPayment)
    }
    if not named:
        return known
    found = await transaction.known_payments(named)
    return replace(
        known,
        order_of_payment={(it.provider, it.payment_id): it.order_id for it in found if it.order_id is not None},
        payment_of_event={(it.provider, it.event_id): it.recorded_of for it in found if it.recorded_of is not None},
    )


def _named(arrived: Arrived) -> str | None:
    match arrived.command:
        case commands_.Hold():
            return hold_id_of(arrived.request_id)
        case commands_.DefineResource() | commands_.Expire() | commands_.CancelOrder() | commands_.RecordPayment():
            return None
        case command:
            return command.hold_id


async def _read_refused(
    transaction: Transaction, commands: Sequence[Arrived], states: Mapping[ResourceKey, State]
) -> None:
    """Read why a named hold does not exist, where it was asked for and refused: on that very resource."""
    missing = {
        request_id_of(arrived.command.hold_id)
        for arrived in commands
        if isinstance(arrived.command, commands_.OfHold) and arrived.command.hold_id not in states[arrived.key].holds
    }
    if not missing:
        return
    for row in await transaction.refused(missing):
        if row.key in states:
            states[row.key].refused[hold_id_of(row.request_id)] = (account_of(row.source), row.reason)


def _writes(decision: BatchDecision) -> Writes:
    return Writes(
        requests=decision.requests,
        resources=[ResourceWrite(key, expected, row) for key, (expected, row) in decision.resources.items()],
        pools=decision.pools,
        holds=decision.holds,
        orders=decision.orders,
        payments=decision.payments,
        payment_events=decision.payment_events,
    )
