"""Signs of life, and which version it is that lives."""

import platform
from importlib.metadata import version as distribution_version

from aiohttp import web

from gateway.context import CONTEXT
from gateway.patience import within
from gateway.problems import ProblemError, json_response


def routes() -> list[web.RouteDef]:
    """Return the calls for those who run a gateway."""
    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/version", version),
    ]


async def healthz(request: web.Request) -> web.Response:
    """Say that the process answers."""
    del request
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Say whether commands can be taken: events are followed, Postgres answers."""
    context = request.app[CONTEXT]
    checks = {"events": context.reader.is_reading(), "postgres": await _postgres_answers(request)}
    return json_response({"ready": all(checks.values()), **checks}, status=200 if all(checks.values()) else 503)


async def _postgres_answers(request: web.Request) -> bool:
    context = request.app[CONTEXT]
    try:
        return await within(context.limits.read_seconds, context.reads.answers(), "Postgres")
    except ProblemError:
        return False


async def version(request: web.Request) -> web.Response:
    """Say which version this is, and what runs it."""
    del request
    return json_response({"version": distribution_version("firmhold"), "python": platform.python_version()})
