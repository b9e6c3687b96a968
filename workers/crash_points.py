"""The named points between the steps of a batch at which a test may let the worker die. Nothing sets a hook in production."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from topics.producer import SendAll


class CrashPoint(Enum):
    """Where a batch is: in the transaction it is decided, and nothing of it is committed.

    The point after half of the events is in the sending itself: see `Hooks.around_sending`.
    """

    BEFORE_TRANSACTION = "before_transaction"
    IN_TRANSACTION = "in_transaction"
    AFTER_COMMIT = "after_commit"
    AFTER_INVALIDATION = "after_invalidation"
    AFTER_HALF_OF_EVENTS = "after_half_of_events"
    AFTER_EVENTS = "after_events"
    BEFORE_ACK = "before_ack"


Reached = Callable[[CrashPoint], None]


def _go_on(point: CrashPoint) -> None:
    del point


def _as_it_is(send_all: SendAll) -> SendAll:
    return send_all


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a test passes to a worker that it starts itself; no setting can."""

    reached: Reached = _go_on
    around_sending: Callable[[SendAll], SendAll] = _as_it_is
