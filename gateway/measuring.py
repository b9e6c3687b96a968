"""What a gateway measures, and `GET /metrics`."""

from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from firmhold import metrics
from firmhold.exposition import CONTENT_TYPE, Exposition, Readings
from gateway.broadcast_channel import Cause as SnapshotCause
from gateway.cache import Source
from gateway.context import CONTEXT, Context
from gateway.publishing import Publisher
from gateway.shedding import Cause
from topics.catalogue import KINDS
from topics.producer import ResilientProducer

ANSWERS: web.AppKey[Counter[tuple[str, ...]]] = web.AppKey("answers", Counter)
EXPOSITION: web.AppKey[Exposition] = web.AppKey("exposition", Exposition)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def measure(app: web.Application, producer: ResilientProducer) -> None:
    """Prepare what the application measures; its context must be there."""
    app[ANSWERS] = Counter()
    app[EXPOSITION] = Exposition(_readings(app[CONTEXT], app[ANSWERS], producer))
    app.add_routes([web.get("/metrics", get_metrics)])


def _readings(context: Context, answers: Counter[tuple[str, ...]], producer: ResilientProducer) -> Readings:
    publisher = context.submitter.publisher
    return {
        metrics.ANSWERS: lambda: answers,
        metrics.OUTCOME_SECONDS: lambda: context.submitter.outcome_seconds,
        metrics.PUBLISH_SECONDS: lambda: publisher.seconds,
        metrics.WAITERS: lambda: len(context.waiters),
        metrics.TOLD: lambda: _told(context),
        metrics.EVENTS_LEFT: lambda: _events_left(context),
        metrics.LISTENERS: lambda: len(context.broadcast),
        metrics.SNAPSHOTS: lambda: _snapshots(context),
        metrics.LISTENERS_DROPPED: lambda: context.broadcast.dropped,
        metrics.NOT_TAKEN: lambda: _not_taken(publisher),
        metrics.PUBLICATIONS: lambda: publisher.in_flight,
        metrics.LOG_SILENT: lambda: float(publisher.is_silent),
        metrics.LAG: lambda: publisher.lag,
        metrics.BACKLOG_AGE: publisher.backlog_seconds,
        metrics.LAG_READ_SECONDS: publisher.lag_read_seconds,
        metrics.CACHE_READS: lambda: _cache_reads(context),
        metrics.UNUSABLE_WEBHOOKS: lambda: _by_one_label(context.payments.put_aside_of),
        metrics.MIRROR_READS: lambda: _mirror_reads(context),
        metrics.PRODUCERS_REPLACED: lambda: producer.replaced,
    }


def _told(context: Context) -> Mapping[tuple[str, ...], float]:
    return {("prompt",): context.prompt_listener.told, ("event",): context.reader.told}


def _events_left(context: Context) -> Mapping[tuple[str, ...], float]:
    return {(kind,): context.catalogue.events(kind) in context.reader.dozing for kind in KINDS}


def _not_taken(publisher: Publisher) -> Mapping[tuple[str, ...], float]:
    return {(cause.value,): publisher.refusals[cause] for cause in Cause}


def _snapshots(context: Context) -> Mapping[tuple[str, ...], float]:
    return {(cause.value,): context.broadcast.snapshots[cause] for cause in SnapshotCause}


def _by_one_label(counts: Mapping[str, int]) -> Mapping[tuple[str, ...], float]:
    return {(label,): count for label, count in counts.items()}


def _cache_reads(context: Context) -> Mapping[tuple[str, ...], float]:
    reads = {kind: availability.reads() for kind, availability in context.availability.items()}
    reads["seat_map"] = context.seat_maps.reads()
    return {(kind, source.value): of_kind[source] for kind, of_kind in reads.items() for source in Source}


def _mirror_reads(context: Context) -> Mapping[tuple[str, ...], float]:
    return {(source.value,): reads for source, reads in context.seat_mirror.reads.items()}


async def get_metrics(request: web.Request) -> web.Response:
    """Show the metrics as Prometheus reads them."""
    return web.Response(body=request.app[EXPOSITION].text(), headers={"Content-Type": CONTENT_TYPE})


def answer_of_no_route(status: int) -> tuple[str, str, str]:
    """Return what is counted of an answer to something that was no request, or of none that is known."""
    return ("other", "none", str(status))


def count_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Count the answer by its route, never by its path: ids are without number, and so are a stranger's methods."""
    resource = request.match_info.route.resource
    route = "none" if resource is None else resource.canonical
    method = request.method if request.method in _METHODS else "other"
    request.app[ANSWERS][(method, route, str(response.status))] += 1
