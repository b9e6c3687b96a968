"""Metrics as Prometheus scrapes them. The parts count for themselves, without locks; here it is read when somebody asks.

A reading is a number or a histogram, or, where a metric has labels, one for each combination of their values.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from firmhold.metrics import Metric, Type

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Histogram:
    """How many values were how large. Of one event loop: counting takes no lock, as prometheus_client's own would."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, metric: Metric) -> None:
        """Count below each of the metric's bounds, and above the last."""
        self._bounds = metric.bounds
        self._counts = [0] * (len(metric.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def observe_all(self, values: Iterable[float]) -> None:
        """Count many values at once, at the cost of sorting them. Below 0, where two clocks differ, counts as 0."""
        ordered = sorted(values)
        below = 0
        for place, bound in enumerate(self._bounds):
            up_to = bisect_right(ordered, bound, below)
            self._counts[place] += up_to - below
            below = up_to
        self._counts[-1] += len(ordered) - below
        self.sum += sum(ordered) if ordered and ordered[0] >= 0 else sum(max(0.0, value) for value in ordered)

    def buckets(self) -> list[tuple[str, float]]:
        """Return each upper bound with the number of values up to it."""
        count, buckets = 0, []
        for bound, here in zip((*self._bounds, float("inf")), self._counts, strict=True):
            count += here
            buckets.append((_text(bound), float(count)))
        return buckets


def _text(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(float(bound))


Reading = float | Histogram | Mapping[tuple[str, ...], float] | Mapping[tuple[str, ...], Histogram]
Readings = Mapping[Metric, Callable[[], Reading]]


class Exposition:
    """Writes what these metrics read at the time they are asked for, and how the process does."""

    def __init__(self, readings: Readings) -> None:
        """Know how each metric is read."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(_Readings(readings))

    def text(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self._registry)


Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_FAMILIES: Mapping[Type, type[Family]] = {
    Type.COUNTER: CounterMetricFamily,
    Type.GAUGE: GaugeMetricFamily,
    Type.HISTOGRAM: HistogramMetricFamily,
}


class _Readings(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Family]:
        for metric, read in self._readings.items():
            family = _FAMILIES[metric.type](metric.name, metric.help, labels=metric.labels)
            for values, number in _by_labels(read()):
                if isinstance(family, HistogramMetricFamily):
                    assert isinstance(number, Histogram), metric.name  # noqa: S101 - a metric is what its list says
                    family.add_metric(values, number.buckets(), number.sum)
                else:
                    assert not isinstance(number, Histogram), metric.name  # noqa: S101 - the same
                    family.add_metric(values, number)
            yield family


def _by_labels(reading: Reading) -> Iterable[tuple[tuple[str, ...], float | Histogram]]:
    return list(reading.items()) if isinstance(reading, Mapping) else [((), reading)]
