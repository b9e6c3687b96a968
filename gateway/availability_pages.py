"""Availability over HTTP: the resources that are named, or all of a kind page by page."""

from urllib.parse import urlencode

import msgspec
from aiohttp import web

from gateway.answers import etag
from gateway.availability import Page
from gateway.bodies import bad_parameter
from gateway.context import CONTEXT, Context, min_version
from gateway.patience import shared, within
from gateway.problems import json_response
from gateway.ready_answers import no_store_response
from topics.identifiers import is_resource_id


async def availability_of(request: web.Request, kind: str) -> web.StreamResponse:
    """Answer with the resources that `?ids=` names, leaving out those that do not exist, or with a page of all.

    A page has `?limit=` resources at most, from behind the id `?after=`; where there are more, `Link` says where.
    """
    context = request.app[CONTEXT]
    context.caller(request)
    version_least = min_version(request)
    asked = _ids_asked(request, context.limits.ids_asked_max)
    page = await _page(request, context, kind) if asked is None else Page(asked, has_more=False)
    found = await shared(context.availability[kind].of(page.ids, version_least), "what is free")
    if not page.has_more:
        return no_store_response(msgspec.json.encode(found))
    query = urlencode({**request.query, "after": page.ids[-1]})
    link = f'<{request.path}?{query}>; rel="next"'
    return json_response(found, headers={"Cache-Control": "no-store", "Link": link})


async def free_of_one(request: web.Request, kind: str, resource_id: str) -> web.StreamResponse | None:
    """Answer with one resource as the list has it; None if there is none."""
    context = request.app[CONTEXT]
    reading = context.availability[kind].of([resource_id], min_version(request))
    found = await shared(reading, f"{kind} {resource_id}")
    if not found:
        return None
    version = _versioned.decode(found[0]).version
    return no_store_response(bytes(found[0]), etag(version))


class _Versioned(msgspec.Struct):
    version: int


_versioned = msgspec.json.Decoder(_Versioned)


async def _page(request: web.Request, context: Context, kind: str) -> Page:
    page_max = context.limits.page_max
    text = request.query.get("limit", str(page_max))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= page_max:  # noqa: PLR2004
        raise bad_parameter("limit", f"is a whole number from 1 to {page_max}")
    after = request.query.get("after", "")
    if after and not is_resource_id(after):
        raise bad_parameter("after", "is the id that the page begins behind, as the Link of the page before has it")
    reading = context.availability[kind].page(after, int(text))
    return await within(context.limits.read_seconds, reading, "what is free")


def _ids_asked(request: web.Request, ids_max: int) -> list[str] | None:
    """Return the ids that are named, each once; None if the request names none."""
    if "ids" not in request.query:
        return None
    if "after" in request.query or "limit" in request.query:
        raise bad_parameter("ids", "does not go with after or limit: all that it names comes at once")
    ids = list(dict.fromkeys(",".join(request.query.getall("ids")).split(",")))
    if len(ids) > ids_max:
        raise bad_parameter("ids", f"names {len(ids)} at once; ask for at most {ids_max}")
    for one in ids:
        if not is_resource_id(one):
            raise bad_parameter(
                "ids", f"has {one[:64]!r}, which is no id: 1 to 64 of A-Z a-z 0-9 . _ -, separated by commas"
            )
    return ids
