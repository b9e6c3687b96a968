"""What must have happened in a set of runs, so that their passing means something."""

from collections.abc import Mapping

from topics.refusals import PRECEDENCE
from workers.crash_points import CrashPoint

# A culprit is not simulated (tests/faults/test_culprits.py), nor are plans of seats; what is forbidden is turned away and not
# refused.
_NOT_SIMULATED = {"internal_error", "forbidden", "unknown_pool"}

WANTED = (
    *(f"died {point.value}" for point in CrashPoint),
    *(f"audited: request.refused {reason}" for reason in PRECEDENCE if reason not in _NOT_SIMULATED),
    *(
        f"audited: hold.{change}"
        for change in ("placed", "changed", "extended", "confirmed", "cancelled", "expired", "unchanged")
    ),
    *(
        f"audited: order.{change}"
        for change in ("placed", "paid", "recovered", "cancelled", "refund_required", "refunded", "unchanged")
    ),
    *(f"audited: payment.{change}" for change in ("recorded", "unchanged", "orphaned")),
    "audited: refund.required",
    "audited: payments refused and put aside",
    "sent: a payment before its order",
    "sent: a payment of another order",
    "sent: a word under another claim",
    "killed between two steps",
    "stopped in order",
    "resumed as a zombie",
    "zombie about to commit",
    "raced by another worker",
    "decided without reading",
    "kept what was so no more",
    "rebalance seen by a worker",
    "commit of a generation that was over",
    "broker's clock stepped",
    "Expire of a sweeper",
    "postgres away",
    "postgres: answer lost",
    "postgres: LockNotAvailableError",
    "kafka: answer lost",
    "redis: request lost",
    "cache flushed",
    "gateway killed",
    "gateway paused",
    "audited: reads of slots",
    "audited: reads of lists",
    "sent: the same record again",
    "sent: a used key, same slot",
    "sent: a used key, another slot",
    "sent: a batch record",
    "sent: a key for several slots at once",
    "sent: a new slot, new",
    "sent: a new slot, annex",
    "sent: a rush",
    "sent: decided where it lies",
    "died with a command between its steps",
    "audited: steps",
    "audited: commands with several steps",
    "audited: an Expire that left a part",
    "audited: repeated commands",
    "audited: repeated events",
    "audited: misplaced",
    "audited: claims used for two requests",
)


def missing(counts: Mapping[str, int]) -> list[str]:
    """Return what never happened."""
    return [what for what in WANTED if not counts.get(what)]
