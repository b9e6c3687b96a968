"""What a worker tells at /metrics, from what its parts count."""

from dataclasses import dataclass

from firmhold import metrics
from firmhold.exposition import Reading, Readings
from topics.producer import ResilientProducer
from workers.assignment import Assignment
from workers.counting import now
from workers.invalidation import Invalidator
from workers.mirror_rebuilding import Rebuilder
from workers.mirroring import Mirror
from workers.payment_watch import PaymentWatch
from workers.pipeline import Pipeline
from workers.purging import Purger
from workers.sweeping import Sweeper


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a worker that count."""

    pipeline: Pipeline
    invalidator: Invalidator
    mirror: Mirror
    rebuilder: Rebuilder
    sweeper: Sweeper
    purger: Purger
    payment_watch: PaymentWatch
    producer: ResilientProducer
    assignment: Assignment


def readings(parts: Parts) -> Readings:
    """Return how each metric of a worker is read."""
    pipeline, counts = parts.pipeline, parts.pipeline.counts
    return {
        metrics.OUTCOMES: lambda: counts.outcomes,
        metrics.PAYMENTS: lambda: counts.payments,
        metrics.PAYMENTS_OPEN: parts.payment_watch.payments,
        metrics.PAYMENTS_OPEN_SECONDS: parts.payment_watch.oldest_seconds,
        metrics.REPEATED: lambda: counts.repeated,
        metrics.DECISION_SECONDS: lambda: counts.decision_seconds,
        metrics.BATCH_SIZE: lambda: counts.batch_size,
        metrics.STAGE: lambda: pipeline.stages.seconds,
        metrics.INBOX: lambda: len(pipeline.inbox),
        metrics.PARTITIONS: lambda: parts.assignment.partitions,
        metrics.RETRIES: lambda: counts.retries,
        metrics.DEAD_LETTERS: lambda: counts.dead_letters,
        metrics.FORBIDDEN: lambda: counts.forbidden,
        metrics.FORWARDED: lambda: counts.forwarded,
        metrics.SKIPPED_INVALIDATIONS: lambda: parts.invalidator.skipped,
        metrics.SKIPPED_MIRROR_WRITES: lambda: parts.mirror.skipped,
        metrics.MIRROR_REBUILT: lambda: parts.rebuilder.rebuilt,
        metrics.MIRROR_REBUILD_SECONDS: lambda: parts.rebuilder.seconds,
        metrics.MIRROR_AGE: lambda: _if_known(parts.rebuilder.age_seconds()),
        metrics.CLOCK_DIFFERENCE: lambda: _if_known(counts.clock_difference.read(now())),
        metrics.EXPIRES: lambda: parts.sweeper.published,
        metrics.SWEEP_AGE: lambda: _if_known(parts.sweeper.age_seconds()),
        metrics.PURGED: lambda: parts.purger.purged,
        metrics.STALLED: lambda: max(0.0, now() - pipeline.last_progress()),
        metrics.PRODUCERS_REPLACED: lambda: parts.producer.replaced,
    }


def _if_known(number: float | None) -> Reading:
    """Leave out what is not known: 0 would be a claim."""
    return {} if number is None else number
