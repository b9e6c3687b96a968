"""This API as OpenAPI 3.1 (`/openapi.json`), and as a page for people (`/docs`), both made from `gateway.calls`."""

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import version as distribution_version
from typing import Any

import msgspec
from aiohttp import web

from gateway import schemas
from gateway.bodies import Body
from gateway.calls import CALLS
from gateway.context import CONTEXT
from gateway.describing import Answer, Call
from gateway.pages import marked, page_of
from gateway.problems import CONTENT_TYPE, KINDS
from gateway.schemas import HEADERS, OF_PATHS, PARAMETERS, Schema, reference

_IN_PATH = re.compile(r"{(\w+)}")
_RETRY_LATER = frozenset((429, 503))
_UNAUTHENTICATED = 401


def routes() -> list[web.RouteDef]:
    """Return the calls that tell of all calls."""
    return [web.get("/openapi.json", get_document), web.get("/docs", get_page)]


async def get_document(request: web.Request) -> web.Response:
    """Return the document."""
    body = msgspec.json.encode(document(request.app[CONTEXT].problems.base_url))
    return web.Response(body=body, content_type="application/json")


async def get_page(request: web.Request) -> web.Response:
    """Return the page."""
    del request
    return page_of("The HTTP API", "".join(_page(CALLS)))


def problems_of(call: Call) -> tuple[str, ...]:
    """Return all types of problems that a call may be answered with."""
    return (*call.problems, *(() if call.is_public else ("unauthenticated",)), "internal")


def document(url: str) -> dict[str, Any]:
    """Return the document of the installation at this URL."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for call in CALLS:
        paths[call.path][call.method.lower()] = _operation(call)
    bodies = {body.__name__: body for call in CALLS for body in call.bodies}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Firmhold",
            "version": distribution_version("firmhold"),
            "description": "Whatever can be reserved is held for a while, then made firm or given back, never sold twice.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(call.tag for call in CALLS)],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.schemas() | dict(_schemas_of(bodies.values())),
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(call),
        "tags": [call.tag],
        "summary": call.summary,
        "parameters": [
            *_path_parameters(call),
            *({"$ref": f"#/components/parameters/{name}"} for name in call.parameters),
        ],
        "responses": dict(_responses(call)),
    }
    if call.bodies:
        ways = [reference(body.__name__) for body in call.bodies]
        content = {"application/json": {"schema": ways[0] if len(ways) == 1 else {"anyOf": ways}}}
        needed = any(any(_fields_of(body).values()) for body in call.bodies)
        operation["requestBody"] = {"content": content, "required": needed}
    if call.is_public:
        operation["security"] = []
    return operation


def _schemas_of(bodies: Iterable[type[Body] | type[msgspec.Struct]]) -> Iterator[tuple[str, Schema]]:
    """Yield the schema of each body, and of what it is made of."""
    for body in bodies:
        if issubclass(body, Body):
            schema = body.model_json_schema(ref_template=schemas.REFERENCE.replace("{name}", "{model}"))
            yield from schema.pop("$defs", {}).items()
            yield body.__name__, schema
        else:
            yield from msgspec.json.schema_components([body], ref_template=schemas.REFERENCE)[1].items()


def _fields_of(body: type[Body] | type[msgspec.Struct]) -> dict[str, bool]:
    """Return the fields of a body, and whether each is required."""
    if issubclass(body, Body):
        return {name: field.is_required() for name, field in body.model_fields.items()}
    return {field.name: field.required for field in msgspec.structs.fields(body)}


def _name(call: Call) -> str:
    """Return a name that a program may have for the call: `postSlotsBySlotIdHold`, `getProblemsByType`."""
    steps = [step.capitalize() for step in re.split(r"[/.]", call.path) if step]
    named = [
        f"By{match[1].title().replace('_', '')}" if (match := _IN_PATH.match(step.lower())) else step for step in steps
    ]
    return f"{call.method.lower()}{''.join(named) or 'Start'}"


def _path_parameters(call: Call) -> Iterator[Schema]:
    for name in _IN_PATH.findall(call.path):
        yield {"name": name, "in": "path", "required": True, "schema": OF_PATHS[name]}


def _responses(call: Call) -> Iterator[tuple[str, Any]]:
    for status, answer in call.answers.items():
        yield str(status), _success(answer)
    by_status: dict[int, list[str]] = defaultdict(list)
    for name in problems_of(call):
        by_status[KINDS[name].status].append(name)
    for status, names in sorted(by_status.items()):
        if status not in call.answers:
            headers = ("Retry-After",) if status in _RETRY_LATER or "not_open_yet" in names else ()
            headers = ("WWW-Authenticate",) if status == _UNAUTHENTICATED else headers
            links = ", ".join(f"[{name}](/problems/{name})" for name in names)
            yield str(status), _response(links, CONTENT_TYPE, reference("Problem"), headers)


def _success(answer: Answer) -> dict[str, Any]:
    name, is_list, _ = answer.schema.partition("[]")
    schema: Schema = reference(name) if name else {"type": "string"}
    schema = {"type": "array", "items": schema} if is_list else schema
    return _response(answer.meaning, answer.content_type, schema, answer.headers)


def _response(meaning: str, content_type: str, schema: Schema, headers: Iterable[str]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": meaning}
    if content_type:
        response["content"] = {content_type: {"schema": schema}}
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return response | ({"headers": named} if named else {})


def _page(calls: Iterable[Call]) -> Iterator[str]:
    yield "<p>For programs: <a href=/openapi.json>openapi.json</a>. What is said of no call is said of all: "
    yield "<code>Authorization: Bearer</code> with your key, JSON in and out, times in RFC 3339, every 4xx and 5xx a "
    yield "<a href=/problems>problem</a> (RFC 9457), <code>HEAD</code> as <code>GET</code>.</p>"
    tag = ""
    for call in calls:
        if call.tag != tag:
            tag = call.tag
            yield f"<h2>{html.escape(tag)}</h2>"
        yield f"<h3><code>{call.method} {html.escape(call.path)}</code></h3><p>{marked(call.summary)}.</p><table>"
        for name in call.parameters:
            parameter = PARAMETERS[name]
            needed = " (required)" if parameter["required"] else ""
            yield f"<tr><td>{parameter['in']} <code>{parameter['name']}</code>{needed}<td>{marked(parameter['description'])}"
        for body in call.bodies:
            yield from (_field(name, is_required) for name, is_required in _fields_of(body).items())
        for status, answer in call.answers.items():
            yield f"<tr><td>{status}<td>{marked(answer.meaning)}"
        yield from (_problem(name) for name in problems_of(call))
        yield "</table>"


def _field(name: str, is_required: bool) -> str:
    return f"<tr><td>body <code>{name}</code>{' (required)' if is_required else ''}<td>"


def _problem(name: str) -> str:
    kind = KINDS[name]
    return f"<tr><td>{kind.status} <a href=/problems/{name}>{name}</a><td>{html.escape(kind.title)}"
