"""How long the stages of a batch take, for the metrics. It measures and decides nothing."""

import time
from enum import Enum

from firmhold.exposition import Histogram
from firmhold.metrics import STAGE


class Stage(Enum):
    """What a batch goes through, in this order. A stage that fails is not told; it is a retry."""

    READ = "read"
    DECIDE = "decide"
    COMMIT = "commit"
    INVALIDATE = "invalidate"
    EMIT = "emit"


class Stages:
    """The lengths of all stages so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: dict[tuple[str, ...], Histogram] = {(stage.value,): Histogram(STAGE) for stage in Stage}

    def begin(self) -> "Laps":
        """Begin to measure one stage after the other."""
        return Laps(self)


class Laps:
    """The stages of one batch."""

    def __init__(self, stages: Stages) -> None:
        """Begin with the first stage now."""
        self._stages = stages
        self._began = time.perf_counter()

    def end(self, stage: Stage) -> None:
        """Count what has ended; the next stage begins now."""
        now = time.perf_counter()
        self._stages.seconds[(stage.value,)].observe(now - self._began)
        self._began = now
