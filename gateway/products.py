"""Products over HTTP: how this kind's calls become commands, and how its holds and resources are shown."""

from typing import Any, Final

import msgspec
from aiohttp import web

from gateway import resources
from gateway.answers import picked
from gateway.availability_pages import availability_of
from gateway.bodies import ProductBody, ProductHoldBody, QuantityBody, RequestBody, not_in_body, read_body
from gateway.context import CONTEXT
from gateway.unusable import KIND_OF_ORDERS
from schema.reads import ResourceReading
from topics.commands import MAX_UNITS, Hold
from topics.events import HoldView
from topics.resources import Counters, Settings

KIND: Final = KIND_OF_ORDERS


class Products:
    """How products are shown; implements `gateway.answers.KindOfAnswers`."""

    takes_orders = True
    needs_token = False
    change_body = QuantityBody

    def hold_members(self, resource_id: str, hold: HoldView) -> dict[str, Any]:
        """Name the product, how many units, and what one costs."""
        return {"product_id": resource_id, "qty": hold.quantity, "price": hold.unit_price, "currency": hold.currency}

    def resource(self, resource_id: str, version: int, settings: Settings, counters: Counters) -> dict[str, Any]:
        """Show what is free, and the settings."""
        shown = msgspec.to_builtins(settings)
        return {**_free(resource_id, version, settings, counters), **shown.pop("sale", {}), **shown}

    def resource_path(self, resource_id: str) -> str:
        """Return where the product is."""
        return f"/api/products/{resource_id}"

    def availability(self, resource_id: str, reading: ResourceReading) -> dict[str, Any]:
        """Show what is free of a product, and its price."""
        return _free(resource_id, reading.version, reading.settings, reading.counters)


def _free(product_id: str, version: int, settings: Settings, counters: Counters) -> dict[str, Any]:
    sale = settings.terms
    return {
        "id": product_id,
        "name": None if sale is None else sale.name,
        "price": None if sale is None else sale.price,
        "currency": None if sale is None else sale.currency,
        "stock": counters.remaining,
        "stock_available": max(0, counters.capacity - counters.taken),
        "stock_reserved": counters.held,
        "version": version,
    }


def routes() -> list[web.RouteDef]:
    """Return the calls of this kind."""
    return [
        web.get("/api/products", get_products),
        web.put("/api/products/{product_id}", put_product),
        web.get("/api/products/{product_id}", get_product),
        web.post("/api/holds", hold_by_body),
        web.post("/api/holds/{product_id}/{quantity}", hold_by_path),
    ]


async def put_product(request: web.Request) -> web.StreamResponse:
    """Define a product: put it up for sale, or replace its settings."""
    return await resources.define(request, KIND, request.match_info["product_id"], ProductBody)


async def get_products(request: web.Request) -> web.StreamResponse:
    """Show the products that are named or all, page by page."""
    return await availability_of(request, KIND)


async def get_product(request: web.Request) -> web.StreamResponse:
    """Show a product as the list has it."""
    return await resources.show_free(request, KIND, request.match_info["product_id"])


async def hold_by_body(request: web.Request) -> web.StreamResponse:
    """Hold units of the product that the body names."""
    context = request.app[CONTEXT]
    caller = context.holder(request)
    key = context.key(request, required=False)
    body = await read_body(request, ProductHoldBody)
    command = Hold(resource_id=body.product_id, quantity=body.qty, client_reference=body.client_reference)
    return await resources.hold(request, KIND, command, caller=caller, key=key, style=_hold)


async def hold_by_path(request: web.Request) -> web.StreamResponse:
    """Hold so many units of the product as the path says."""
    context = request.app[CONTEXT]
    caller = context.holder(request)
    key = context.key(request, required=False)
    product_id = resources.known_form(KIND, request.match_info["product_id"])
    quantity = _quantity(request.match_info["quantity"])
    body = await read_body(request, RequestBody)
    command = Hold(resource_id=product_id, quantity=quantity, client_reference=body.client_reference)
    return await resources.hold(request, KIND, command, caller=caller, key=key, style=_message_of_hold)


def _hold(hold: dict[str, Any]) -> dict[str, Any]:
    return {"hold_id": hold["id"], **picked(hold, "product_id", "qty", "expires_at", "hold_token")}


def _message_of_hold(hold: dict[str, Any]) -> dict[str, Any]:
    return {"message": "hold created", "success": True, "hold": picked(hold, "id", "qty", "expires_at")}


def _quantity(text: str) -> int:
    """Read a quantity from a path: a whole number as it is written."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_UNITS)) and 1 <= int(text) <= MAX_UNITS:
        return int(text)
    raise not_in_body(f"the quantity in the path is a whole number from 1 to {MAX_UNITS}")
