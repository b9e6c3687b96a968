"""What a gateway measures, and `GET /metrics`. The cache's counters join `_readings`."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from firmhold import metrics
from gateway.context import CONTEXT, Context
from gateway.shedding import Cause

ANSWERS: web.AppKey[Counter[tuple[str, ...]]] = web.AppKey("answers", Counter)
EXPOSITION: web.AppKey[metrics.Exposition] = web.AppKey("exposition", metrics.Exposition)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def measure(app: web.Application) -> None:
    """Prepare what the application measures; its context must be there."""
    app[ANSWERS] = Counter()
    app[EXPOSITION] = metrics.Exposition(_readings(app[CONTEXT], app[ANSWERS]))
    app.add_routes([web.get("/metrics", get_metrics)])


def _readings(
    context: Context, answers: Counter[tuple[str, ...]]
) -> Mapping[metrics.Metric, Callable[[], metrics.Reading]]:
    publisher = context.submitter.publisher
    return {
        metrics.ANSWERS: lambda: answers,
        metrics.WAITERS: lambda: len(context.waiters),
        metrics.NOT_TAKEN: lambda: {(cause.value,): publisher.refusals[cause] for cause in Cause},
        metrics.PUBLICATIONS: lambda: publisher.in_flight,
        metrics.LOG_SILENT: lambda: float(publisher.is_silent),
        metrics.BACKLOG_AGE: publisher.backlog_seconds,
    }


async def get_metrics(request: web.Request) -> web.Response:
    """Show the metrics as Prometheus reads them."""
    return web.Response(body=request.app[EXPOSITION].text(), headers={"Content-Type": metrics.CONTENT_TYPE})


def answer_of_no_route(status: int) -> tuple[str, str, str]:
    """Return what is counted of an answer to something that was no request, or of none that is known."""
    return ("other", "none", str(status))


@web.middleware
async def count_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the answer by its route, never by its path: ids are without number, and so are a stranger's methods."""
    response = await handler(request)
    resource = request.match_info.route.resource
    route = "none" if resource is None else resource.canonical
    method = request.method if request.method in _METHODS else "other"
    request.app[ANSWERS][(method, route, str(response.status))] += 1
    return response
