"""Resources of every kind over HTTP: defined, held, read. What is special about a kind's calls is in its own file."""

from collections.abc import Collection

import msgspec
from aiohttp import web

from gateway.answers import Style, etag
from gateway.availability_pages import free_of_one
from gateway.bodies import ResourceBody, not_in_body, read_body
from gateway.callers import Caller, Scope, buyer_of
from gateway.context import CONTEXT, condition_of, min_version
from gateway.patience import within
from gateway.problems import KINDS, ProblemError, json_response
from schema.rows import ResourceKey
from topics.commands import Hold
from topics.identifiers import is_resource_id


async def define(
    request: web.Request,
    kind: str,
    resource_id: str,
    body_type: type[ResourceBody],
    *,
    reserved: Collection[str] = (),
) -> web.StreamResponse:
    """Define a resource: create it, or replace its settings. `reserved` are ids that are paths of their own."""
    context = request.app[CONTEXT]
    caller = context.caller(request)
    caller.require(Scope.ADMIN)
    if resource_id in reserved:
        raise not_in_body(f"a {kind} cannot be called {resource_id}: that path is another call's")
    if not is_resource_id(resource_id):
        raise not_in_body(f"a {kind} id has 1 to 64 of A-Z a-z 0-9 . _ - and is not . or ..")
    key = context.key(request, required=False)
    body = await read_body(request, body_type)
    command = body.definition(resource_id, **condition_of(request)._asdict())
    return await context.give(request, kind, command, caller=caller, key=key)


async def hold(
    request: web.Request, kind: str, command: Hold, *, caller: Caller, key: str, style: Style | None = None
) -> web.StreamResponse:
    """Hold units for whom the request names; `style` is how this call shows the hold, if not as `GET /holds/{id}` does."""
    command = msgspec.structs.replace(command, buyer=buyer_of(caller, request.headers))
    return await request.app[CONTEXT].give(request, kind, command, caller=caller, key=key, style=style)


async def show(request: web.Request, kind: str, resource_id: str) -> web.Response:
    """Show a resource as it stands, from Postgres: whatever version Min-Version asks for, nothing newer is known."""
    context = request.app[CONTEXT]
    context.caller(request)
    min_version(request)
    key = ResourceKey(kind, known_form(kind, resource_id))
    reading = await within(context.limits.read_seconds, context.reads.resource(key), f"{kind} {resource_id}")
    if reading is None:
        raise unknown(kind, resource_id)
    body = context.answers.resource(kind, resource_id, reading.version, reading.settings, reading.counters)
    return json_response(body, headers={"ETag": etag(reading.version), "Cache-Control": "no-store"})


async def show_free(request: web.Request, kind: str, resource_id: str) -> web.StreamResponse:
    """Show what is free of a resource, read through the cache."""
    request.app[CONTEXT].caller(request)
    response = await free_of_one(request, kind, known_form(kind, resource_id))
    if response is None:
        raise unknown(kind, resource_id)
    return response


def known_form(kind: str, resource_id: str) -> str:
    """Return the id; what cannot be one names no resource."""
    if not is_resource_id(resource_id):
        raise unknown(kind, resource_id)
    return resource_id


def unknown(kind: str, resource_id: str) -> ProblemError:
    """Return the problem of a resource that does not exist."""
    return ProblemError(KINDS["not_found"], f"there is no {kind} {resource_id[:64]}")
