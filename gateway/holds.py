"""Holds of every kind over HTTP, by their ids."""

import hmac

from aiohttp import web

from gateway.answers import token_hash, token_shown
from gateway.bodies import ExtendBody, RequestBody, read_body, read_reference
from gateway.callers import Caller
from gateway.context import CONTEXT
from gateway.patience import within
from gateway.problems import KINDS, ProblemError, json_response
from schema.rows import Hold
from topics import commands
from topics.events import HoldView
from topics.identifiers import HOLD, RoutedId, parse
from topics.resources import HoldStatus


def routes() -> list[web.RouteDef]:
    """Return the calls about holds."""
    return [
        web.get("/holds/{hold_id}", get_hold),
        web.patch("/holds/{hold_id}", change_hold),
        web.delete("/holds/{hold_id}", cancel_hold),
        web.post("/holds/{hold_id}/confirm", confirm_hold),
        web.post("/holds/{hold_id}/extend", extend_hold),
    ]


async def get_hold(request: web.Request) -> web.Response:
    """Show a hold to its owner, where that is enough, or to who has its token; to anyone else it is unknown."""
    context = request.app[CONTEXT]
    caller = context.caller(request)
    place = _place(request)
    found = await within(context.limits.read_seconds, context.reads.hold(str(place)), "the hold")
    account = None if context.answers.needs_token(place.kind) else caller.account
    if found is None or not _may_see(account, request.headers.get("Hold-Token"), found[0]):
        raise _unknown(str(place))
    hold, is_over = found
    body = context.answers.hold(place, _view(hold, is_over=is_over), is_owner=hold.account == caller.account)
    return json_response(body, headers={"Cache-Control": "no-store"})


async def confirm_hold(request: web.Request) -> web.StreamResponse:
    """Make a hold firm."""
    caller, place = request.app[CONTEXT].holder(request), _place(request)
    body = await read_body(request, RequestBody)
    command = commands.Confirm(
        resource_id=place.resource_id,
        hold_id=str(place),
        token_hash=token_shown(request),
        client_reference=body.client_reference,
    )
    return await _give(request, place, command, caller)


async def cancel_hold(request: web.Request) -> web.StreamResponse:
    """Give a hold back."""
    caller, place = request.app[CONTEXT].holder(request), _place(request)
    command = commands.Cancel(
        resource_id=place.resource_id,
        hold_id=str(place),
        token_hash=token_shown(request),
        client_reference=read_reference(request),
    )
    return await _give(request, place, command, caller)


async def extend_hold(request: web.Request) -> web.StreamResponse:
    """Let a hold live longer."""
    caller, place = request.app[CONTEXT].holder(request), _place(request)
    body = await read_body(request, ExtendBody)
    command = commands.Extend(
        resource_id=place.resource_id,
        hold_id=str(place),
        token_hash=token_shown(request),
        seconds=body.seconds,
        client_reference=body.client_reference,
    )
    return await _give(request, place, command, caller)


async def change_hold(request: web.Request) -> web.StreamResponse:
    """Change what a hold claims."""
    caller, place = request.app[CONTEXT].holder(request), _place(request)
    body = await read_body(request, request.app[CONTEXT].answers.change_body(place.kind))
    command = commands.ChangeHold(
        resource_id=place.resource_id,
        hold_id=str(place),
        token_hash=token_shown(request),
        client_reference=body.client_reference,
        **body.changes(),
    )
    return await _give(request, place, command, caller)


async def _give(request: web.Request, place: RoutedId, command: commands.OfHold, caller: Caller) -> web.StreamResponse:
    context = request.app[CONTEXT]
    key = context.key(request, required=False)
    return await context.give(request, place.kind, command, caller=caller, key=key)


def _place(request: web.Request) -> RoutedId:
    """Read the hold id of the path; what cannot be one names no hold."""
    hold_id = request.match_info["hold_id"]
    place = parse(hold_id, HOLD)
    if place is None or not request.app[CONTEXT].answers.knows(place.kind):
        raise _unknown(hold_id)
    return place


def _unknown(hold_id: str) -> ProblemError:
    return ProblemError(KINDS["hold_not_found"], f"there is no hold {hold_id[:200]}, or it is not yours")


def _may_see(account: str | None, token: str | None, hold: Hold) -> bool:
    """Tell whether a hold is the caller's: by its account (None: no account will do), or by its token."""
    if hold.account == account:
        return True
    if token is None or hold.token_hash is None:
        return False
    return hmac.compare_digest(token_hash(token), hold.token_hash)


def _view(hold: Hold, *, is_over: bool) -> HoldView:
    """Show a hold whose time is over as expired, whether or not a worker has come to it."""
    return HoldView(
        id=hold.hold_id,
        status=HoldStatus.EXPIRED if is_over else hold.status,
        quantity=hold.quantity,
        units=hold.units,
        granted_at=hold.granted_at,
        expires_at=hold.expires_at,
        expires_latest_at=hold.expires_latest_at,
        ended_at=hold.expires_at if is_over else hold.ended_at,
        client_reference=hold.client_reference,
        unit_price=hold.unit_price,
        currency=hold.currency,
        order_id=hold.order_id,
    )
