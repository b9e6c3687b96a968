"""Slots over HTTP: how this kind's calls become commands, and how its holds and resources are shown."""

from typing import Any

import msgspec
from aiohttp import web

from gateway import resources
from gateway.availability_pages import availability_of
from gateway.bodies import HoldBody, QuantityBody, SlotBody, read_body
from gateway.context import CONTEXT
from schema.reads import ResourceReading
from topics.commands import Hold
from topics.events import HoldView
from topics.resources import Counters, Settings

KIND = "slot"
_PATH_OF_ALL = "/slots/availability"


class Slots:
    """How slots are shown; implements `gateway.answers.KindOfAnswers`."""

    takes_orders = False
    needs_token = False
    change_body = QuantityBody

    def hold_members(self, resource_id: str, hold: HoldView) -> dict[str, Any]:
        """Name the slot and how many units."""
        return {"slot_id": resource_id, "quantity": hold.quantity}

    def resource(self, resource_id: str, version: int, settings: Settings, counters: Counters) -> dict[str, Any]:
        """Show the counters and the settings."""
        return {
            "slot_id": resource_id,
            "version": version,
            **msgspec.structs.asdict(counters),
            **msgspec.to_builtins(settings),
        }

    def resource_path(self, resource_id: str) -> str:
        """Return where the slot is."""
        return f"/slots/{resource_id}"

    def availability(self, resource_id: str, reading: ResourceReading) -> dict[str, Any]:
        """Show what is free of a slot."""
        counters = reading.counters
        return {
            "slot_id": resource_id,
            "capacity": counters.capacity,
            "remaining": counters.remaining,
            "held": counters.held,
            "version": reading.version,
        }


def routes() -> list[web.RouteDef]:
    """Return the calls of this kind."""
    return [
        web.post("/slots/{slot_id}/hold", hold_slot),  # first, as aiohttp tries one after the other
        web.get(_PATH_OF_ALL, get_availability),
        web.put("/slots/{slot_id}", put_slot),
        web.get("/slots/{slot_id}", get_slot),
    ]


async def put_slot(request: web.Request) -> web.StreamResponse:
    """Define a slot: create it, or replace its settings."""
    return await resources.define(
        request, KIND, request.match_info["slot_id"], SlotBody, reserved=(_PATH_OF_ALL.rpartition("/")[2],)
    )


async def hold_slot(request: web.Request) -> web.StreamResponse:
    """Hold units of a slot."""
    context = request.app[CONTEXT]
    caller = context.holder(request)
    key = context.key(request, required=True)
    slot_id = resources.known_form(KIND, request.match_info["slot_id"])
    body = await read_body(request, HoldBody)
    command = Hold(resource_id=slot_id, quantity=body.quantity, client_reference=body.client_reference)
    return await resources.hold(request, KIND, command, caller=caller, key=key)


async def get_availability(request: web.Request) -> web.StreamResponse:
    """Show what is free, of the slots that are named or of all, page by page."""
    return await availability_of(request, KIND)


async def get_slot(request: web.Request) -> web.Response:
    """Show a slot as it stands."""
    return await resources.show(request, KIND, request.match_info["slot_id"])
