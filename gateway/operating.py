"""Signs of life, and the pages that problem types point to."""

import html

from aiohttp import web

from gateway.context import CONTEXT
from gateway.patience import within
from gateway.problems import KINDS, UNKNOWN_PATH, ProblemError, json_response


def routes() -> list[web.RouteDef]:
    """Return the calls for those who run a gateway."""
    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/problems/{type}", problem_page),
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


async def problem_page(request: web.Request) -> web.Response:
    """Explain a type of problem to a person."""
    kind = KINDS.get(request.match_info["type"])
    if kind is None:
        raise ProblemError(UNKNOWN_PATH, "there is no such type of problem")
    advice = {
        "same_key": "Send the same request again, with the same Idempotency-Key.",
        "new_key": "This answer is final for its key. Change what it says, or try later, with a new Idempotency-Key.",
        "never": "Sending it again will not help.",
    }[kind.retry.value]
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(kind.title)}</title>"
        f"<h1>{html.escape(kind.title)}</h1><p>Type <code>{kind.type}</code>, status {kind.status}, "
        f"retry <code>{kind.retry.value}</code>.</p><p>{advice}</p></html>"
    )
    return web.Response(text=page, content_type="text/html")
