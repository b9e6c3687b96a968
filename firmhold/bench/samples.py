"""What was measured: every latency is kept, so that percentiles are exact and none is an average of averages."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

PERCENTILES = (50.0, 99.0, 99.9)


@dataclass(slots=True)
class Samples:
    """Latencies in seconds of what ended within `seconds`, and the bodies of the answers."""

    seconds: float = 0.0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    bodies: list[bytes] = field(default_factory=list)

    def add(self, latency_seconds: float, body: bytes) -> None:
        """Count one answer."""
        self.latencies.append(latency_seconds)
        self.bodies.append(body)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one measurement; latencies in milliseconds."""

    count: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float


def figures_of(latencies_seconds: Sequence[float], seconds: float) -> Figures:
    """Return rate and percentiles (nearest rank); zeros if nothing was answered."""
    ordered = sorted(latencies_seconds)
    p50, p99, p999 = (1000 * _percentile(ordered, percent) for percent in PERCENTILES)
    return Figures(
        count=len(ordered),
        seconds=seconds,
        per_second=len(ordered) / seconds,
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
    )


def _percentile(ordered: Sequence[float], percent: float) -> float:
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, min(len(ordered) - 1, int(rank) - 1))]


def median(values: Sequence[float]) -> float:
    """Return the middle one; of an even number the mean of both in the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
