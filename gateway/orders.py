"""Orders over HTTP: placed on a hold, shown with their payments, called off. It names no kind of what is sold."""

from typing import Any

from aiohttp import web

from gateway.answers import Style, picked, token_shown
from gateway.bodies import OrderBody, RequestBody, invalid, not_in_body, read_body, read_reference
from gateway.context import CONTEXT, Context
from gateway.patience import within
from gateway.problems import KINDS, Fault, ProblemError, json_response
from schema.money import order_view, overdue
from topics.commands import CancelOrder, PlaceOrder
from topics.identifiers import HOLD, ORDER, RoutedId, parse


def routes() -> list[web.RouteDef]:
    """Return the calls about orders."""
    return [
        web.post("/api/orders", order_by_body),
        web.post("/api/orders/{hold_id}/{product_id}", order_by_path),
        web.get("/api/orders/{order_id}", get_order),
        web.delete("/api/orders/{order_id}", cancel_order),
    ]


async def order_by_body(request: web.Request) -> web.StreamResponse:
    """Place an order on the hold that the body names."""
    request.app[CONTEXT].holder(request)
    body = await read_body(request, OrderBody)
    place = _place_of_hold(request, body.hold_id, "/hold_id")
    return await _order(request, place, body, _order_members)


async def order_by_path(request: web.Request) -> web.StreamResponse:
    """Place an order on the hold that the path names, which must be of the product that it names too."""
    request.app[CONTEXT].holder(request)
    place = _place_of_hold(request, request.match_info["hold_id"], "")
    product_id = request.match_info["product_id"]
    if place.resource_id != product_id:
        raise not_in_body(f"the hold is not of {place.kind} {product_id[:64]}, but of {place.resource_id}")
    return await _order(request, place, await read_body(request, RequestBody), _message_of_order)


async def get_order(request: web.Request) -> web.Response:
    """Show an order with its payments to its account; to anyone else it is unknown."""
    context = request.app[CONTEXT]
    caller = context.caller(request)
    place = _place_of_order(context, request)
    found = await within(context.limits.read_seconds, context.reads.order(str(place)), "the order")
    if found is None or found[0].account != caller.account:
        raise _unknown_order(str(place))
    order, is_over, payments = found
    if is_over:  # whether or not a worker has come to it
        order, payments = overdue(order, payments)
    body = context.answers.order(place, order_view(order, payments), payments)
    return json_response(body, headers={"Cache-Control": "no-store"})


async def cancel_order(request: web.Request) -> web.StreamResponse:
    """Call an order off."""
    context = request.app[CONTEXT]
    caller = context.holder(request)
    place = _place_of_order(context, request)
    command = CancelOrder(
        resource_id=place.resource_id,
        order_id=str(place),
        token_hash=token_shown(request),
        client_reference=read_reference(request),
    )
    key = context.key(request, required=False)
    return await context.give(request, place.kind, command, caller=caller, key=key)


async def _order(request: web.Request, place: RoutedId, body: RequestBody, style: Style) -> web.StreamResponse:
    context = request.app[CONTEXT]
    command = PlaceOrder(
        resource_id=place.resource_id,
        hold_id=str(place),
        token_hash=token_shown(request),
        client_reference=body.client_reference,
    )
    key = context.key(request, required=False)
    return await context.give(request, place.kind, command, caller=context.holder(request), key=key, style=style)


def _order_members(order: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "hold_id", "status", "amount", "currency", "payment_due_at", "created_at", "updated_at")
    return picked(order, *names)


def _message_of_order(order: dict[str, Any]) -> dict[str, Any]:
    shown = picked(order, "id", "hold_id", "status", "created_at", "updated_at")
    return {"message": "order created", "success": True, "order": shown}


def _place_of_hold(request: web.Request, hold_id: str, pointer: str) -> RoutedId:
    """Read a hold id; what cannot be one names no hold, and not every hold can be ordered."""
    place = parse(hold_id, HOLD)
    answers = request.app[CONTEXT].answers
    if place is None or not answers.knows(place.kind):
        raise ProblemError(KINDS["hold_not_found"], f"there is no hold {hold_id[:200]}, or it is not yours")
    if not answers.takes_orders(place.kind):
        raise invalid([Fault(f"no order is placed on the hold of a {place.kind}: confirm it", pointer)])
    return place


def _place_of_order(context: Context, request: web.Request) -> RoutedId:
    order_id = request.match_info["order_id"]
    place = parse(order_id, ORDER)
    if place is None or not context.answers.takes_orders(place.kind):
        raise _unknown_order(order_id)
    return place


def _unknown_order(order_id: str) -> ProblemError:
    return ProblemError(KINDS["order_not_found"], f"there is no order {order_id[:200]}, or it is not yours")
