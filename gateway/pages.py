"""The pages for people: what this is, and what each type of problem means. They load nothing from anywhere."""

import html
import re
from collections.abc import Iterable

from aiohttp import web

from gateway.context import CONTEXT
from gateway.key_policy import OF_KEYS, policy
from gateway.problem_texts import advice_of, text_of
from gateway.problems import KINDS, UNKNOWN_PATH, Kind, ProblemError

_CODE = re.compile(r"`([^`]+)`")
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
    return page_of(
        "Firmhold",
        "<p>A reservation engine: whatever can be reserved is held for a while, then made firm or given back, "
        "and never sold twice.</p><ul>"
        "<li><a href=/slots/availability>The slots and what is free</a></li>"
        "<li><a href=/screenings>The screenings and how much is free</a></li>"
        "<li><a href=/api/products>The products and what is left of them</a></li>"
        "<li><a href=/docs>Every call of the API</a>, and as <a href=/openapi.json>OpenAPI</a></li>"
        "<li><a href=/problems>Every problem this service answers with, and what to do</a></li>"
        "<li><a href=/healthz>Does it live</a>, <a href=/readyz>is it ready</a>, <a href=/version>which version</a>, "
        "<a href=/metrics>metrics</a></li></ul>",
    )


async def problems_page(request: web.Request) -> web.Response:
    """List the closed catalogue of problems."""
    del request
    return page_of(
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
    return page_of(
        kind.title,
        f"<p>Type <code>{kind.type}</code>, status {kind.status}, retry <code>{kind.retry.value}</code>.</p>"
        f"{_paragraph(text_of(kind))}{_paragraph(advice_of(kind))}"
        f"{_policy(request) if kind.type in OF_KEYS else ''}<p><a href=/problems>All problems</a></p>",
    )


def _policy(request: web.Request) -> str:
    limits = request.app[CONTEXT].limits
    parts = policy(limits.retention_days, uuid_only=limits.uuid_keys_only)
    return "<h2>Idempotency-Key</h2>" + "".join(
        f"<h3>{html.escape(name)}</h3>{_paragraph(text)}" for name, text in parts.items()
    )


def _paragraph(text: str) -> str:
    return f"<p>{marked(text)}</p>"


def marked(text: str) -> str:
    """Return a text as HTML; what is in backticks is code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(text, quote=False))


def page_of(title: str, body: str) -> web.Response:
    """Return a page of HTML that may load nothing."""
    title = html.escape(title)
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>{body}</html>\n"
    )
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(text=text, content_type="text/html", headers=headers)
