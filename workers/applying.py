"""Apply a batch of commands: read, let the core decide, write what is still so. It decides nothing itself.

At first without a lock, in two statements; under locks in a transaction where that is not enough, or somebody was faster.
"""

import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from schema.faults import is_culprit
from schema.rows import Holding, ResourceKey
from schema.store import LockNeededError, Transaction
from schema.writing import RacedError, ResourceWrite, Writes
from workers.core.batch import Arrived, BatchDecision, Outcome, decide_batch, fail_one
from workers.core.decide import PARKING
from workers.core.kinds.registry import KINDS
from workers.crash_points import CrashPoint, Reached
from workers.keeping import Keeper, Noted
from workers.pseudonyms import as_sent
from workers.stages import Stage, Stages
from workers.state_reading import Reading, needs_lock, read_states
from workers.steps import CrowdedError, crowd_of, parts_around, step_of, with_steps

RERUNS_MAX = 10
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


class OpenTransaction(Protocol):
    """The way to open the transaction of a batch: `schema.store.Store.transaction`."""

    def __call__(self, *, is_locking: bool = True) -> AbstractAsyncContextManager[Transaction]:
        """Open it."""


class CoreError(Exception):
    """The core raised: a bug of ours, with one command of the batch as its cause."""


class Applier:
    """Applies batches on a store."""

    def __init__(
        self,
        transaction: OpenTransaction,
        *,
        request_retention: timedelta,
        expiries_max: int,
        reached: Reached,
        parking: timedelta = PARKING,
        buyer_kept: Callable[[str], str] = as_sent,
        keeper: Keeper | None = None,
    ) -> None:
        """Take the way to open a transaction, how long outcomes are kept, how many holds a batch expires, and a hook.

        How long a payment waits for its order, what the audit calls a buyer, and what keeps resources between batches.
        """
        self._transaction = transaction
        self._request_retention = request_retention
        self._culprits: dict[str, Culprit] = {}
        self._expiries_max = expiries_max
        self.stages = Stages()
        self._reached = reached
        self._parking = parking
        self._buyer_kept = buyer_kept
        self._keeper = keeper or Keeper()

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
        """Apply a batch in as few transactions as it can be; raises what any of them raises, and nothing is told then.

        What is decided already by then is found when the batch is tried again.
        """
        waiting: list[Sequence[Arrived]] = [commands]  # the next one last
        applied: list[Applied] = []
        while waiting:
            part = waiting.pop()
            try:
                applied.append(await self._apply_part(part))
            except CrowdedError as crowded:
                if len(part) == 1:
                    waiting += [part, [step_of(part[0], crowded.crowd.steps + 1)]]
                else:
                    waiting += reversed(parts_around(part, crowded.crowd.place))
        outcomes = [outcome for one in applied for outcome in one.outcomes if outcome.arrived.step_of is None]
        return Applied(tuple(outcomes), {key: version for one in applied for key, version in one.versions.items()})

    async def _apply_part(self, commands: Sequence[Arrived]) -> Applied:
        """Try on what is kept, then without a lock, if the commands need none; who was raced takes it, and gets on."""
        kept = self._keeper.take(commands)
        if kept is not None:
            try:
                return _applied(await self._attempt(commands, is_locking=False, kept=kept))
            except RacedError:
                self._keeper.rest()
        if not needs_lock(commands):
            with suppress(LockNeededError, RacedError):
                return _applied(await self._attempt(commands, is_locking=False))
        return await _unraced(partial(self._attempt, commands, is_locking=True))

    async def _attempt(
        self, commands: Sequence[Arrived], *, is_locking: bool, kept: Noted | None = None
    ) -> BatchDecision:
        laps = self.stages.begin()
        async with self._transaction(is_locking=is_locking) as transaction:
            noted = kept or self._keeper.note(await read_states(transaction, commands, self._expiries_max))
            read = noted.reading
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
            if not is_locking:  # what is written is committed
                self._reached(CrashPoint.IN_TRANSACTION)
            written_by = await transaction.write(_writes(decision, self._buyer_kept, read))
            if is_locking:
                self._reached(CrashPoint.IN_TRANSACTION)
        self._keeper.keep(noted, decision, written_by)
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
                read = await read_states(transaction, [arrived], self._expiries_max)
                with _the_core():
                    decision = fail_one(
                        arrived,
                        state=read.states[arrived.key],
                        known=read.known,
                        kinds=KINDS,
                        decided_at=read.decided_at,
                        detail=INTERNAL_ERROR_DETAIL,
                    )
                await transaction.write(_writes(decision, self._buyer_kept, read))
            return with_steps(decision, read.decided)

        return await _unraced(refuse)


async def _unraced(attempt: Callable[[], Awaitable[BatchDecision]]) -> Applied:
    """Try again for as long as somebody else is faster; in the end it counts as a server that does not answer."""
    for _ in range(RERUNS_MAX):
        try:
            decision = await attempt()
        except RacedError:
            continue
        return _applied(decision)
    message = f"a batch was raced {RERUNS_MAX} times in a row"
    raise TimeoutError(message)


def _applied(decision: BatchDecision) -> Applied:
    return Applied(decision.outcomes, dict(decision.versions))


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


def _writes(decision: BatchDecision, buyer_kept: Callable[[str], str], read: Reading) -> Writes:
    return Writes(
        requests=decision.requests,
        resources=[ResourceWrite(key, before, now) for key, (before, now) in decision.resources.items()],
        missing=list({request.key for request in decision.requests} - decision.resources.keys()),
        pools=decision.pools,
        holds=decision.holds,
        orders=decision.orders,
        payments=decision.payments,
        payment_events=decision.payment_events,
        holdings=[(key, _with_buyer(holding, buyer_kept)) for key, holding in decision.holdings],
        holding_updates=decision.holding_updates,
        carried_at=read.decided_at if read.is_carried else None,
    )


def _with_buyer(holding: Holding, buyer_kept: Callable[[str], str]) -> Holding:
    return holding if holding.buyer is None else replace(holding, buyer=buyer_kept(holding.buyer))
