"""Slots over HTTP: how this kind's calls become commands, and how its holds and resources are shown."""

from typing import Any

import msgspec
from aiohttp import web

from gateway.answers import etag
from gateway.availability_pages import availability_of
from gateway.bodies import HoldBody, SlotBody, not_in_body, read_body, refuse_contradictions
from gateway.callers import Scope, buyer_of
from gateway.context import CONTEXT, condition_of, min_version
from gateway.patience import within
from gateway.problems import KINDS, ProblemError, json_response
from schema.reads import ResourceReading
from schema.rows import ResourceKey
from topics.commands import DefineResource, Hold
from topics.events import HoldView
from topics.identifiers import is_resource_id
from topics.resources import ClaimAt, Counters, Settings

KIND = "slot"


class Slots:
    """How slots are shown; implements `gateway.answers.KindOfAnswers`."""

    def hold_members(self, resource_id: str, hold: HoldView) -> dict[str, Any]:
        """Name the slot and how many units."""
        return {"slot_id": resource_id, "quantity": hold.quantity}

    def resource(self, resource_id: str, version: int, settings: Settings, counters: Counters) -> dict[str, Any]:
        """Show the counters and the settings."""
        return {
            "slot_id": resource_id,
            "version": version,
            **msgspec.structs.asdict(counters),
            **msgspec.structs.asdict(settings),
        }

    def resource_path(self, resource_id: str) -> str:
        """Return where the slot is."""
        return f"/slots/{resource_id}"


def routes() -> list[web.RouteDef]:
    """Return the calls of this kind."""
    return [
        web.get("/slots/availability", get_availability),
        web.put("/slots/{slot_id}", put_slot),
        web.get("/slots/{slot_id}", get_slot),
        web.post("/slots/{slot_id}/hold", hold_slot),
    ]


async def put_slot(request: web.Request) -> web.Response:
    """Define a slot: create it, or replace its settings."""
    context = request.app[CONTEXT]
    caller = context.caller(request)
    caller.require(Scope.ADMIN)
    slot_id = request.match_info["slot_id"]
    if slot_id == "availability":
        raise not_in_body("a slot cannot be called availability: GET /slots/availability is the list of all")
    if not is_resource_id(slot_id):
        raise not_in_body("a slot id has 1 to 64 of A-Z a-z 0-9 . _ - and is not . or ..")
    key = context.key(request, required=False)
    body = await read_body(request, SlotBody)
    command = DefineResource(
        resource_id=slot_id,
        **condition_of(request)._asdict(),
        **body.model_dump(exclude={"claim_at"}),
        claim_at=ClaimAt(body.claim_at),
    )
    refuse_contradictions(command)
    return await context.give(request, KIND, command, caller=caller, key=key)


async def hold_slot(request: web.Request) -> web.Response:
    """Hold units of a slot."""
    context = request.app[CONTEXT]
    caller = context.caller(request)
    caller.require(Scope.HOLD)
    key = context.key(request, required=True)
    slot_id = _known_form(request)
    body = await read_body(request, HoldBody)
    command = Hold(
        resource_id=slot_id,
        quantity=body.quantity,
        client_reference=body.client_reference,
        buyer=buyer_of(caller, request.headers),
    )
    return await context.give(request, KIND, command, caller=caller, key=key)


def availability(slot_id: str, reading: ResourceReading) -> dict[str, Any]:
    """Show what is free of a slot."""
    counters = reading.counters
    return {
        "slot_id": slot_id,
        "capacity": counters.capacity,
        "remaining": counters.remaining,
        "held": counters.held,
        "version": reading.version,
    }


async def get_availability(request: web.Request) -> web.Response:
    """Show what is free, of the slots that are named or of all, page by page."""
    return await availability_of(request, KIND)


async def get_slot(request: web.Request) -> web.Response:
    """Show a slot as it stands, from Postgres: whatever version Min-Version asks for, nothing newer is known."""
    context = request.app[CONTEXT]
    context.caller(request)
    min_version(request)
    slot_id = _known_form(request)
    reading = await within(
        context.limits.read_seconds, context.reads.resource(ResourceKey(KIND, slot_id)), f"slot {slot_id}"
    )
    if reading is None:
        raise _unknown(slot_id)
    body = context.answers.resource(KIND, slot_id, reading.version, reading.settings, reading.counters)
    return json_response(body, headers={"ETag": etag(reading.version), "Cache-Control": "no-store"})


def _known_form(request: web.Request) -> str:
    """Return the slot id of the path; what cannot be an id names no slot."""
    slot_id = request.match_info["slot_id"]
    if not is_resource_id(slot_id):
        raise _unknown(slot_id)
    return slot_id


def _unknown(slot_id: str) -> ProblemError:
    return ProblemError(KINDS["not_found"], f"there is no slot {slot_id[:64]}")
