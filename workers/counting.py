"""What a worker did, for its logs and metrics: a few bumps a batch, on the event loop that works, without a lock."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from firmhold.exposition import Histogram
from firmhold.metrics import BATCH_SIZE, DECISION_SECONDS
from topics.dead_letters import Reason
from topics.orders import PaymentEffect
from workers.applying import Applied
from workers.core.batch import Outcome
from workers.reading import Forwarded, Item, Rejected
from workers.refused import refused_payment, reports_payment

ORPHANED = "orphaned"
REFUSED = "refused"
_WINDOW_SECONDS = 60.0


def now() -> float:
    """Return the event loop's time: in a simulation it is not that of the machine."""
    return asyncio.get_running_loop().time()


class Least:
    """The least of the values of the last one to two minutes."""

    def __init__(self) -> None:
        """Begin with none."""
        self._began = 0.0
        self._values: list[float | None] = [None, None]  # of the window before, and of this one

    def note(self, value: float, now: float) -> None:
        """Take in a value; `now` is of a monotonic clock, in seconds."""
        self._turn(now)
        least = self._values[1]
        self._values[1] = value if least is None else min(least, value)

    def read(self, now: float) -> float | None:
        """Return the least, or None if there were no values."""
        self._turn(now)
        return min((value for value in self._values if value is not None), default=None)

    def _turn(self, now: float) -> None:
        windows = int((now - self._began) // _WINDOW_SECONDS)
        if windows:
            self._values = [self._values[1] if windows == 1 else None, None]
            self._began += windows * _WINDOW_SECONDS


def _decision_seconds() -> Histogram:
    return Histogram(DECISION_SECONDS)


def _no_payments() -> Counter[tuple[str, ...]]:
    """Return a 0 for each effect: of a counter that begins with its first 1 no alert could tell that it grew."""
    return Counter({(effect,): 0 for effect in (*(each.value for each in PaymentEffect), ORPHANED, REFUSED)})


@dataclass(slots=True)
class Counts:
    """What a pipeline did; counters are by the labels of their metric."""

    batches: int = 0
    commands: int = 0
    retries: int = 0
    repeated: Counter[tuple[str, ...]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, ...]] = field(default_factory=Counter)
    payments: Counter[tuple[str, ...]] = field(default_factory=_no_payments)
    dead_letters: Counter[tuple[str, ...]] = field(default_factory=Counter)
    forbidden: Counter[tuple[str, ...]] = field(default_factory=Counter)
    forwarded: Counter[tuple[str, ...]] = field(default_factory=Counter)
    batch_size: Histogram = field(default_factory=lambda: Histogram(BATCH_SIZE))
    decision_seconds: defaultdict[tuple[str, ...], Histogram] = field(
        default_factory=lambda: defaultdict(_decision_seconds)
    )
    clock_difference: Least = field(default_factory=Least)
    last_progress: float = field(default_factory=now)

    def count(self, items: Sequence[Item], applied: Applied) -> None:
        """Take in a batch that is decided and stored."""
        self.batches += 1
        self.commands += len(applied.outcomes)
        if applied.outcomes:
            self.batch_size.observe(len(applied.outcomes))
        self._count_outcomes(applied.outcomes)
        if len(items) > len(applied.outcomes):
            self._count_others(items)
        for culprit in applied.culprits:
            self.dead_letters[(culprit.arrived.key.kind, Reason.INTERNAL_ERROR.value)] += 1

    def _count_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        decided = [outcome for outcome in outcomes if not outcome.repeated]
        self.repeated.update((outcome.arrived.key.kind,) for outcome in outcomes if outcome.repeated)
        self.outcomes.update([(outcome.arrived.key.kind, outcome.label()) for outcome in decided])
        self.payments.update([(effect,) for outcome in decided for effect in outcome.payment_effects()])
        # As they are put aside: once more if the worker that decided them died, which told nobody.
        for outcome in outcomes:
            if reports_payment(outcome) and refused_payment(outcome) is not None:
                self.payments[(REFUSED,)] += 1
                self.dead_letters[(outcome.arrived.key.kind, Reason.REFUSED_PAYMENT.value)] += 1
        seconds: defaultdict[str, list[float]] = defaultdict(list)
        for outcome in decided:
            if outcome.events:
                # The last event is the command's own; before it may be those of the steps that were taken for it.
                took = outcome.events[-1].time - outcome.arrived.appended_at
                seconds[outcome.arrived.key.kind].append(took.total_seconds())
            elif outcome.events is None:
                self.dead_letters[(outcome.arrived.key.kind, Reason.TOO_OLD.value)] += 1
        for kind, of_kind in seconds.items():
            self.decision_seconds[(kind,)].observe_all(of_kind)
            self.clock_difference.note(min(of_kind), now())

    def _count_others(self, items: Iterable[Item]) -> None:
        for item in items:
            if isinstance(item, Forwarded):
                self.forwarded[(item.incoming.kind,)] += 1
            elif isinstance(item, Rejected):
                self._count_rejected(item)

    def _count_rejected(self, item: Rejected) -> None:
        if item.reason is None:
            self.forbidden[(item.incoming.kind,)] += 1
        else:
            self.dead_letters[(item.incoming.kind, item.reason.value)] += 1
