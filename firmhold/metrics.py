"""Every metric by name, with what to conclude from it. docs/metrics.md is written from this list, and a test compares them.

Who counts is elsewhere; how it is written for Prometheus is in `firmhold.exposition`. Adding a metric: name it here, and
read it in `gateway/measuring.py` or `workers/measuring.py`.
"""

from dataclasses import dataclass
from enum import Enum


class Type(Enum):
    """How a metric behaves: a counter only grows, a gauge is what is now, a histogram sorts what happened by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


GATEWAY, WORKER = "gateway", "worker"

# Up to 10 ms in small steps: an idle system answers within them. Then to 15 s, where holds are refused for a backlog.
LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
# A stage of a batch takes a fraction of a millisecond for a lone command; Postgres ends each transaction after 15 s.
STAGE_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0)
# Up to FIRMHOLD_BATCH_COMMANDS_MAX, 500 by default.
BATCH_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 1_000)


@dataclass(frozen=True, slots=True)
class Metric:
    """A name, its type, who tells it, what to conclude, and the names of its labels; bounds are those of a histogram."""

    name: str
    type: Type
    told_by: tuple[str, ...]
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


ANSWERS = Metric(
    "firmhold_answers",
    Type.COUNTER,
    (GATEWAY,),
    "HTTP answers. Many 503: the log or Postgres is away, or see firmhold_not_taken. Many 429: an account's quota is small.",
    ("method", "route", "status"),
)
OUTCOME_SECONDS = Metric(
    "firmhold_outcome_seconds",
    Type.HISTOGRAM,
    (GATEWAY,),
    "End to end: from a command's coming in over HTTP to its outcome, where that came while its client waited. Slow, and "
    "firmhold_publish_seconds is not: the workers are the bottleneck.",
    ("kind",),
    LATENCY_SECONDS,
)
PUBLISH_SECONDS = Metric(
    "firmhold_publish_seconds",
    Type.HISTOGRAM,
    (GATEWAY,),
    "Until Kafka acknowledged a command; under load up to 60 ms of waiting for others of its resource are part of it. Slower "
    "than that: Kafka's disks, or its replication, are the bottleneck.",
    bounds=LATENCY_SECONDS,
)
WAITERS = Metric(
    "firmhold_waiters",
    Type.GAUGE,
    (GATEWAY,),
    "Requests that wait for their outcome now. Near FIRMHOLD_WAITERS_MAX writes are answered 202 at once: look at the workers.",
)
TOLD = Metric(
    "firmhold_told",
    Type.COUNTER,
    (GATEWAY,),
    "Requests that waited and were told their outcome, by which way. prompt: Redis, at once; event: Kafka, some milliseconds "
    "later, up to half a second where events were left unread (firmhold_events_left). More than a few by events: workers or "
    "this gateway do not reach Redis, or commands come to Kafka from elsewhere.",
    ("way",),
)
EVENTS_LEFT = Metric(
    "firmhold_events_left",
    Type.GAUGE,
    (GATEWAY,),
    "Whether the events of a kind are left unread, as Redis tells all who wait: 1 saves a tenth of a gateway's time. 0 for "
    "long while requests are made: Redis is away or outcomes take long; of screenings, whose broadcasts need them: always.",
    ("kind",),
)
LISTENERS = Metric(
    "firmhold_listeners",
    Type.GAUGE,
    (GATEWAY,),
    "Who listens to the broadcasts of screenings now. At FIRMHOLD_LISTENERS_MAX more are answered 503: start more gateways.",
)
SNAPSHOTS = Metric(
    "firmhold_snapshots",
    Type.COUNTER,
    (GATEWAY,),
    "Snapshots sent to listeners, by why. new, plan: as it should be; behind, unknown, ahead: they came again too late, or from "
    "another gateway or database; gap, reader: events were missed, look at Kafka; database: it is another one, or was restarted.",
    ("cause",),
)
LISTENERS_DROPPED = Metric(
    "firmhold_listeners_dropped",
    Type.COUNTER,
    (GATEWAY,),
    "Listeners whose streams were ended as they took nothing for FIRMHOLD_STREAM_STUCK_SECONDS. Many: the network, or the "
    "proxy before the gateway.",
)
NOT_TAKEN = Metric(
    "firmhold_not_taken",
    Type.COUNTER,
    (GATEWAY,),
    "Commands refused unpublished. queue_full: Kafka is too slow for this gateway; log_silent: Kafka is away; "
    "backlog: the workers do not keep up, start more.",
    ("cause",),
)
PUBLICATIONS = Metric(
    "firmhold_publications_in_flight",
    Type.GAUGE,
    (GATEWAY,),
    "Commands on their way to Kafka now. Steadily above a few hundred: Kafka acknowledges slowly.",
)
LOG_SILENT = Metric(
    "firmhold_log_silent",
    Type.GAUGE,
    (GATEWAY,),
    "1 while Kafka acknowledges nothing and commands are refused. Wake somebody.",
)
LAG = Metric(
    "firmhold_lag_records",
    Type.GAUGE,
    (GATEWAY,),
    "Records of commands in the log whose offset no worker has committed (one may carry several commands of a resource), told "
    "with every worker down, too. Growing for minutes: the workers are down, stuck or too few. Not there: Kafka does not say, "
    "see firmhold_lag_read_seconds.",
    ("kind",),
)
BACKLOG_AGE = Metric(
    "firmhold_backlog_age_seconds",
    Type.GAUGE,
    (GATEWAY,),
    "For how long the oldest undecided command of all partitions has been waiting, as far as this gateway saw it: a gateway "
    "that starts counts from then on. Growing: the workers are down, stuck or too few.",
)
LAG_READ_SECONDS = Metric(
    "firmhold_lag_read_seconds",
    Type.GAUGE,
    (GATEWAY,),
    "How long ago the committed offsets were read. Above ten seconds lag and backlog age are not known: Kafka is away.",
)
CACHE_READS = Metric(
    "firmhold_cache_reads",
    Type.COUNTER,
    (GATEWAY,),
    "Availability, and maps of screenings (seat_map), by where it came from. hit: the cache; shared: what another read "
    "meanwhile; loaded: Postgres, then cached; stale: an old value, as another's reading took too long; bypassed: Postgres "
    "alone. Many bypassed: Redis is away. Few hits: resources change faster than they are read.",
    ("kind", "source"),
)
UNUSABLE_WEBHOOKS = Metric(
    "firmhold_webhooks_unusable",
    Type.COUNTER,
    (GATEWAY,),
    "Signed webhooks put on the .dlq as unusable_webhook: of a type that is not used here, or without an order. Those of "
    "payments are paid money that is recorded nowhere; send this gateway only the types of event that it uses.",
    ("provider",),
)
MIRROR_READS = Metric(
    "firmhold_mirror_reads",
    Type.COUNTER,
    (GATEWAY,),
    "Whether a seat is held, by where the answer came from: mirror, or postgres as the mirror was not whole or not there. "
    "Many postgres: Redis is away, or the workers are, see firmhold_mirror_age_seconds.",
    ("source",),
)

OUTCOMES = Metric(
    "firmhold_commands",
    Type.COUNTER,
    (WORKER,),
    "Commands decided, by the event that answered them or the reason of the refusal. Any internal_error is a bug of ours.",
    ("kind", "outcome"),
)
PAYMENTS = Metric(
    "firmhold_payments",
    Type.COUNTER,
    (WORKER,),
    "What providers' events came to. Any refused: paid money that is recorded nowhere (its product is not there, its payment "
    "is another order's), see the dead letters `refused_payment`. Many parked: webhooks overtake the orders. What needs "
    "somebody is counted by firmhold_payments_open.",
    ("effect",),
)
PAYMENTS_OPEN = Metric(
    "firmhold_payments_open",
    Type.GAUGE,
    (WORKER,),
    "Payments that need somebody, as Postgres has them: every worker tells the same, so take the maximum. orphaned: money whose "
    "order did not come in FIRMHOLD_PARKED_PAYMENT_SECONDS, give it back; mismatched: of another currency, or of nothing, "
    "look at it (`firmhold requests show` with its order); refund_required: told by `refund.required` and not reported as "
    "given back yet; parked: waits for its order, as it may; refused: recorded nowhere, of the last 24 hours. `firmhold audit` "
    "names each. Not there: Postgres is away, or the watch is off.",
    ("need",),
)
PAYMENTS_OPEN_SECONDS = Metric(
    "firmhold_payments_open_seconds",
    Type.GAUGE,
    (WORKER,),
    "For how long the oldest of these has needed it, 0 if there is none. parked well above FIRMHOLD_PARKED_PAYMENT_SECONDS: "
    "workers or sweeper are away, so nobody raises its alarm; refund_required above days: whoever gives money back does not.",
    ("need",),
)
REPEATED = Metric(
    "firmhold_commands_repeated",
    Type.COUNTER,
    (WORKER,),
    "Commands decided before and answered again: clients that retry, workers that died.",
    ("kind",),
)
DECISION_SECONDS = Metric(
    "firmhold_decision_seconds",
    Type.HISTOGRAM,
    (WORKER,),
    "From a command's arrival in the log (Kafka's clock) to its decision (Postgres's clock), repeats left out. Slow with "
    "small batches: Postgres is slow, see firmhold_stage_seconds; slow with large ones: start more workers.",
    ("kind",),
    LATENCY_SECONDS,
)
BATCH_SIZE = Metric(
    "firmhold_batch_commands",
    Type.HISTOGRAM,
    (WORKER,),
    "Commands of one batch, and so of one transaction. It grows under load, as it should; steadily at the maximum "
    "(FIRMHOLD_BATCH_COMMANDS_MAX): start more workers.",
    bounds=BATCH_COMMANDS,
)
STAGE = Metric(
    "firmhold_stage_seconds",
    Type.HISTOGRAM,
    (WORKER,),
    "The stages of a batch. read (locks included) or commit slow: Postgres, or another worker holds the rows; decide slow: "
    "this machine's processor; invalidate slow: Redis; emit slow: Kafka.",
    ("stage",),
    STAGE_SECONDS,
)
INBOX = Metric(
    "firmhold_inbox_records",
    Type.GAUGE,
    (WORKER,),
    "Records read and not begun. Steadily at FIRMHOLD_INBOX_EVENTS_MAX: this worker has more than it can decide.",
)
PARTITIONS = Metric(
    "firmhold_partitions_assigned",
    Type.GAUGE,
    (WORKER,),
    "Partitions of command topics that this worker decides. Their sum over all workers is the number there is (three topics "
    "of FIRMHOLD_PARTITIONS); less for more than a minute: a worker is missing. 0 on one: there are more workers than of use.",
)
RETRIES = Metric(
    "firmhold_batch_retries",
    Type.COUNTER,
    (WORKER,),
    "Batches tried again as Postgres did not answer. Growing steadily: Postgres is away.",
)
DEAD_LETTERS = Metric(
    "firmhold_dead_letters",
    Type.COUNTER,
    (WORKER,),
    "Records put on a .dlq topic, by reason. internal_error is a bug of ours; refused_payment: paid money that is recorded "
    "nowhere; too_old: the workers were down for long; any other: a producer sends what is no command, its record says why.",
    ("kind", "reason"),
)
FORBIDDEN = Metric(
    "firmhold_commands_forbidden",
    Type.COUNTER,
    (WORKER,),
    "Commands whose signature does not allow them; answered, never decided. A producer has a wrong key, or somebody tries.",
    ("kind",),
)
FORWARDED = Metric(
    "firmhold_records_forwarded",
    Type.COUNTER,
    (WORKER,),
    "Records found on a wrong partition: a producer does not use the Java partitioner.",
    ("kind",),
)
SKIPPED_INVALIDATIONS = Metric(
    "firmhold_invalidations_skipped",
    Type.COUNTER,
    (WORKER,),
    "Batches whose invalidation Redis did not take: reads are old until their TTL ends.",
)
SKIPPED_MIRROR_WRITES = Metric(
    "firmhold_mirror_writes_skipped",
    Type.COUNTER,
    (WORKER,),
    "Batches whose held seats Redis did not take: they are written as soon as it answers, see firmhold_mirror_rebuilt_total.",
)
MIRROR_REBUILT = Metric(
    "firmhold_mirror_rebuilt",
    Type.COUNTER,
    (WORKER,),
    "Screenings whose held seats were written to Redis anew, from Postgres. All of them when a worker starts, and every "
    "FIRMHOLD_MIRROR_ANEW_SECONDS; many more: Redis loses keys, or workers die.",
)
MIRROR_REBUILD_SECONDS = Metric(
    "firmhold_mirror_rebuild_seconds",
    Type.HISTOGRAM,
    (WORKER,),
    "Rebuilding the mirror of up to four screenings. Slow: Postgres, or a Redis that is busy. Nobody waits for it.",
    bounds=STAGE_SECONDS,
)
MIRROR_AGE = Metric(
    "firmhold_mirror_age_seconds",
    Type.GAUGE,
    (WORKER,),
    "For how long this worker has not finished a look at all markers of the mirror. Above FIRMHOLD_MIRROR_MARKER_SECONDS on "
    "every worker: markers end, and gateways ask Postgres who holds a seat. Not there: it is off.",
)
CLOCK_DIFFERENCE = Metric(
    "firmhold_clock_difference_seconds",
    Type.GAUGE,
    (WORKER,),
    "How far Postgres's clock is ahead of Kafka's at most: the shortest firmhold_decision_seconds of the last one to two "
    "minutes, below zero where it is behind. Beyond 1 either way on a system that keeps up: mend NTP. Not there: no command "
    "was decided.",
)
EXPIRES = Metric(
    "firmhold_sweeper_expires",
    Type.COUNTER,
    (WORKER,),
    "Expire commands that the sweeper published, for holds whose time was over and that nobody touched. Many: buyers leave.",
)
SWEEP_AGE = Metric(
    "firmhold_sweeper_age_seconds",
    Type.GAUGE,
    (WORKER,),
    "For how long the sweeper has not finished a look. Above a few times FIRMHOLD_SWEEP_SECONDS: idle expiries are told late, "
    "decisions are right all the same. Not there: the sweeper is off.",
)
PURGED = Metric(
    "firmhold_requests_purged",
    Type.COUNTER,
    (WORKER,),
    "Old outcomes forgotten. None for days on a system older than FIRMHOLD_REQUEST_RETENTION_DAYS: its table only grows.",
)
STALLED = Metric(
    "firmhold_stalled_seconds",
    Type.GAUGE,
    (WORKER,),
    "For how long there has been something to do and nothing got done. Above a minute: Postgres, Kafka or a bug.",
)

PRODUCERS_REPLACED = Metric(
    "firmhold_producers_replaced",
    Type.COUNTER,
    (GATEWAY, WORKER),
    "Kafka producers given up after a send that failed. Growing: Kafka is away, or comes and goes.",
)

ALL = tuple(one for one in list(globals().values()) if isinstance(one, Metric))


def metrics_table() -> str:
    """Return docs/metrics.md: what `firmhold metrics` prints."""
    rows = (
        f"| `{shown_name(one)}` | {one.type.value} | {_code(one.labels)} | {', '.join(one.told_by)} | {one.help} |"
        for one in ALL
    )
    return "\n".join((_HEAD, *rows)) + "\n"


def shown_name(metric: Metric) -> str:
    """Return the name as Prometheus stores it; a histogram's ends in _bucket, _sum and _count."""
    return f"{metric.name}_total" if metric.type is Type.COUNTER else metric.name


def _code(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


_HEAD = """\
# Metrics

Gateways tell theirs at `/metrics`, workers at `/metrics` of their probe (`FIRMHOLD_WORKER_PORT`), in Prometheus's format,
with those of the process (`process_…`, `python_info`). This table is printed by `firmhold metrics`, and a test compares it
with the code. [alerts.yml](alerts.yml) has rules to begin with.

| metric | type | labels | told by | what to conclude |
| --- | --- | --- | --- | --- |"""
