"""The pages for people: what this is, and what each type of problem means. They load nothing from anywhere."""

import html
from collections.abc import Iterable

from aiohttp import web

from gateway.problems import KINDS, UNKNOWN_PATH, Kind, ProblemError
from topics.refusals import Retry

_ADVICE = {
    Retry.SAME_KEY: "Send the same request again, with the same Idempotency-Key, after Retry-After where there is one.",
    Retry.NEW_KEY: "This answer is final for its key. Change what it says, or try later, with a new Idempotency-Key.",
    Retry.NEVER: "Sending it again will not help.",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}"
)


def routes() -> list[web.RouteDef]:
    """Return the pages."""
    return [
        web.get("/", start_page),
        web.get("/problems", problems_page),
        web.get("/problems/{type}", problem_page),
    ]


async def start_page(request: web.Request) -> web.Response:
    """Say what this is and where to look."""
    del request
    return _page(
        "Firmhold",
        "<p>A reservation engine: whatever can be reserved is held for a while, then made firm or given back, "
        "and never sold twice.</p><ul>"
        "<li><a href=/slots/availability>The slots and what is free</a></li>"
        "<li><a href=/api/products>The products and what is left of them</a></li>"
        "<li><a href=/problems>Every problem this service answers with, and what to do</a></li>"
        "<li><a href=/healthz>Does it live</a>, <a href=/readyz>is it ready</a>, <a href=/version>which version</a>, "
        "<a href=/metrics>metrics</a></li></ul>",
    )


async def problems_page(request: web.Request) -> web.Response:
    """List the closed catalogue of problems."""
    del request
    return _page(
        "Problems", f"<table><tr><th>Type<th>Status<th>Retry<th>Meaning{''.join(_rows(KINDS.values()))}</table>"
    )


def _rows(kinds: Iterable[Kind]) -> Iterable[str]:
    for kind in kinds:
        yield (
            f"<tr><td><a href=/problems/{kind.type}>{kind.type}</a><td>{kind.status}"
            f"<td>{kind.retry.value}<td>{html.escape(kind.title)}"
        )


async def problem_page(request: web.Request) -> web.Response:
    """Explain a type of problem."""
    kind = KINDS.get(request.match_info["type"])
    if kind is None:
        raise ProblemError(UNKNOWN_PATH, "there is no such type of problem")
    return _page(
        kind.title,
        f"<p>Type <code>{kind.type}</code>, status {kind.status}, retry <code>{kind.retry.value}</code>.</p>"
        f"<p>{_ADVICE[kind.retry]}</p><p><a href=/problems>All problems</a></p>",
    )


def _page(title: str, body: str) -> web.Response:
    title = html.escape(title)
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>{body}</html>\n"
    )
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(text=text, content_type="text/html", headers=headers)
