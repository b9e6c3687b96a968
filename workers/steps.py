"""How long the steps of a batch take, for the metrics. It measures and decides nothing."""

import time
from enum import Enum

from firmhold.exposition import Histogram
from firmhold.metrics import STEP


class Step(Enum):
    """What a batch goes through, in this order. A step that fails is not told; it is a retry."""

    READ = "read"
    DECIDE = "decide"
    COMMIT = "commit"
    INVALIDATE = "invalidate"
    EMIT = "emit"


class Steps:
    """The lengths of all steps so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: dict[tuple[str, ...], Histogram] = {(step.value,): Histogram(STEP) for step in Step}

    def begin(self) -> "Laps":
        """Begin to measure one step after the other."""
        return Laps(self)


class Laps:
    """The steps of one batch."""

    def __init__(self, steps: Steps) -> None:
        """Begin with the first step now."""
        self._steps = steps
        self._began = time.perf_counter()

    def end(self, step: Step) -> None:
        """Count what has ended; the next step begins now."""
        now = time.perf_counter()
        self._steps.seconds[(step.value,)].observe(now - self._began)
        self._began = now
