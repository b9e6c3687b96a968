"""Every metric by name, with what to conclude from it. The parts count for themselves; here they are written for Prometheus.

A reading is a number or, where a metric has labels, a number for each combination of their values.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
Reading = float | Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, what to conclude, and the names of its labels; a counter only grows."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    is_counter: bool = True


ANSWERS = Metric(
    "firmhold_answers",
    "HTTP answers. Many 503: the log or Postgres is away, or see firmhold_not_taken. Many 429: an account's quota is small.",
    ("method", "route", "status"),
)
WAITERS = Metric(
    "firmhold_waiters",
    "Requests that wait for their outcome now. Near FIRMHOLD_WAITERS_MAX writes are answered 202 at once: look at the workers.",
    is_counter=False,
)
NOT_TAKEN = Metric(
    "firmhold_not_taken",
    "Commands refused unpublished. queue_full: Kafka is too slow for this gateway; log_silent: Kafka is away; "
    "backlog: the workers do not keep up, start more.",
    ("cause",),
)
PUBLICATIONS = Metric(
    "firmhold_publications_in_flight",
    "Commands on their way to Kafka now. Steadily above a few hundred: Kafka acknowledges slowly.",
    is_counter=False,
)
LOG_SILENT = Metric(
    "firmhold_log_silent",
    "1 while Kafka acknowledges nothing and commands are refused. Wake somebody.",
    is_counter=False,
)
BACKLOG_AGE = Metric(
    "firmhold_backlog_age_seconds",
    "Age of the oldest undecided command of all partitions. Growing: the workers are down, stuck or too few.",
    is_counter=False,
)

OUTCOMES = Metric(
    "firmhold_commands",
    "Commands decided, by the event that answered them or the reason of the refusal. Any internal_error is a bug of ours.",
    ("outcome",),
)
PAYMENTS = Metric(
    "firmhold_payments",
    "What providers' events came to. Any orphaned: money whose order did not come in FIRMHOLD_PARKED_PAYMENT_SECONDS, wake "
    "somebody; any mismatched: look at that payment (`firmhold requests show`). Many parked: webhooks overtake the orders.",
    ("effect",),
)
REPEATED = Metric(
    "firmhold_commands_repeated", "Commands decided before and answered again: clients that retry, workers that died."
)
BATCHES = Metric(
    "firmhold_batches", "Transactions. Commands by batches is the size of a batch: it grows under load, as it should."
)
RETRIES = Metric(
    "firmhold_batch_retries", "Batches tried again as Postgres did not answer. Growing steadily: Postgres is away."
)
DEAD_LETTERS = Metric(
    "firmhold_records_rejected", "Records that were not decided, dead-lettered or forbidden: read the .dlq topics."
)
FORWARDED = Metric(
    "firmhold_records_forwarded", "Records found on a wrong partition: a producer does not use the Java partitioner."
)
SKIPPED_INVALIDATIONS = Metric(
    "firmhold_invalidations_skipped",
    "Batches whose invalidation Redis did not take: reads are old until their TTL ends.",
)
STALLED = Metric(
    "firmhold_stalled_seconds",
    "For how long there has been something to do and nothing got done. Above a minute: Postgres, Kafka or a bug.",
    is_counter=False,
)


class Exposition:
    """Writes what these metrics read at the time they are asked for, and how the process does."""

    def __init__(self, readings: Mapping[Metric, Callable[[], Reading]]) -> None:
        """Know how each metric is read."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(_Readings(readings))

    def text(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self._registry)


class _Readings(Collector):
    def __init__(self, readings: Mapping[Metric, Callable[[], Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for metric, read in self._readings.items():
            family_type = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
            family = family_type(metric.name, metric.help, labels=metric.labels)
            reading = read()
            for values, number in (reading if isinstance(reading, Mapping) else {(): reading}).items():
                family.add_metric(values, number)
            yield family
