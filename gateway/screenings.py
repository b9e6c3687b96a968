"""Screenings and their seats over HTTP: how this kind's calls become commands, and how its holds and resources are shown."""

import gzip
from typing import Any

import msgspec
from aiohttp import web

from gateway import resources
from gateway.answers import token_shown
from gateway.availability_pages import availability_of
from gateway.bodies import RequestBody, read_body, read_reference
from gateway.context import CONTEXT, Context, min_version
from gateway.patience import within
from gateway.problems import KINDS, WRONG_TOKEN, ProblemError, json_response
from gateway.seat_bodies import ScreeningBody, SeatsChangeBody, SeatsHoldBody
from gateway.seat_maps import SeatMap
from schema.reads import ResourceReading
from schema.rows import ResourceKey
from topics.commands import Cancel, Hold
from topics.events import HoldView
from topics.resources import Counters, Settings
from topics.seating import area_of, is_seat_id, row_and_number

KIND = "screening"
_SEAT_HOLD = "/screenings/{screening_id}/seats/{seat}/hold"


class Screenings:
    """How screenings are shown; implements `gateway.answers.KindOfAnswers`."""

    takes_orders = False
    needs_token = True
    change_body = SeatsChangeBody

    def hold_members(self, resource_id: str, hold: HoldView) -> dict[str, Any]:
        """Name the screening, the seats row by row, and how many places in which areas."""
        areas = {pool: area_of(pool) for pool in hold.units}
        return {
            "screening_id": resource_id,
            "seats": sorted((pool for pool, area in areas.items() if area is None), key=row_and_number),
            "areas": {area: hold.units[pool] for pool, area in areas.items() if area is not None},
        }

    def resource(self, resource_id: str, version: int, settings: Settings, counters: Counters) -> dict[str, Any]:
        """Show the counters, the settings and the plan."""
        shown = msgspec.to_builtins(settings)
        plan = {"rows": [], "areas": [], "focal": None} | shown.pop("plan", {})
        return {"screening_id": resource_id, "version": version, **msgspec.structs.asdict(counters), **shown, **plan}

    def resource_path(self, resource_id: str) -> str:
        """Return where the screening is."""
        return f"/screenings/{resource_id}"

    def availability(self, resource_id: str, reading: ResourceReading) -> dict[str, Any]:
        """Show how much is free of a screening, seats and places together."""
        counters = reading.counters
        return {
            "screening_id": resource_id,
            "title": reading.settings.title,
            "capacity": counters.capacity,
            "remaining": counters.remaining,
            "held": counters.held,
            "version": reading.version,
        }


def routes() -> list[web.RouteDef]:
    """Return the calls of this kind."""
    return [
        web.get("/screenings", get_screenings),
        web.put("/screenings/{screening_id}", put_screening),
        web.get("/screenings/{screening_id}", get_screening),
        web.get("/screenings/{screening_id}/seats", get_seats),
        web.post("/screenings/{screening_id}/holds", hold_seats),
        web.post(_SEAT_HOLD, hold_seat),
        web.get(_SEAT_HOLD, get_seat_hold),
        web.delete(_SEAT_HOLD, give_seat_back),
    ]


async def get_screenings(request: web.Request) -> web.StreamResponse:
    """Show how much is free, of the screenings that are named or of all, page by page."""
    return await availability_of(request, KIND)


async def put_screening(request: web.Request) -> web.StreamResponse:
    """Define a screening: create it, or replace its plan and settings."""
    return await resources.define(request, KIND, request.match_info["screening_id"], ScreeningBody)


async def get_screening(request: web.Request) -> web.StreamResponse:
    """Show a screening as it stands, with its plan."""
    return await resources.show(request, KIND, request.match_info["screening_id"])


async def get_seats(request: web.Request) -> web.Response:
    """Show the map, or tell who has it that it is still so."""
    context = request.app[CONTEXT]
    context.caller(request)
    key = _screening(request)
    reading = context.seat_maps.of(key.resource_id, min_version(request))
    seat_map = await within(context.limits.read_seconds, reading, f"the seats of screening {key.resource_id}")
    if seat_map is None:
        raise resources.unknown(KIND, key.resource_id)
    return _response(request, seat_map)


async def hold_seats(request: web.Request) -> web.StreamResponse:
    """Hold seats by name or side by side, and places in areas, all or nothing."""
    context = request.app[CONTEXT]
    caller = context.holder(request)
    key = context.key(request, required=True)
    screening = _screening(request)
    body = await read_body(request, SeatsHoldBody)
    command = Hold(resource_id=screening.resource_id, client_reference=body.client_reference, **body.wish())
    return await resources.hold(request, KIND, command, caller=caller, key=key)


async def hold_seat(request: web.Request) -> web.StreamResponse:
    """Hold the seat of the path."""
    context = request.app[CONTEXT]
    caller = context.holder(request)
    key = context.key(request, required=False)
    screening = _screening(request)
    seat = _seat(request, screening)
    body = await read_body(request, RequestBody)
    command = Hold(resource_id=screening.resource_id, client_reference=body.client_reference, seats=(seat,))
    return await resources.hold(request, KIND, command, caller=caller, key=key)


async def get_seat_hold(request: web.Request) -> web.Response:
    """Tell whether somebody holds the seat of the path, and until when; never who, nor whether there is such a seat."""
    context = request.app[CONTEXT]
    context.caller(request)
    screening = _screening(request)
    seat = _seat(request, screening)
    reading = context.seat_mirror.held_until(screening.resource_id, seat, min_version(request))
    until = await within(context.limits.read_seconds, reading, f"seat {seat}")
    return json_response({"held": until is not None, "expires_at": until}, headers={"Cache-Control": "no-store"})


async def give_seat_back(request: web.Request) -> web.StreamResponse:
    """Give the seat of the path back, out of the hold whose token is shown; whoever shows none is told nothing.

    What cannot be a seat's id is in no hold, and is answered so: Postgres is not asked, as it takes no NUL.
    """
    context = request.app[CONTEXT]
    caller = context.holder(request)
    key = context.key(request, required=False)
    reference = read_reference(request)
    screening, seat = _screening(request), request.match_info["seat"]
    shown = token_shown(request)
    hold_id = None
    if shown is not None and is_seat_id(seat):
        hold_id = await _hold_of(context, screening, seat, shown)
    if hold_id is None:
        raise ProblemError(WRONG_TOKEN, f"seat {seat[:32]} is given back by who shows the token that it was held with")
    command = Cancel(
        resource_id=screening.resource_id,
        hold_id=hold_id,
        token_hash=shown,
        seats=(seat,),
        client_reference=reference,
    )
    return await context.give(request, KIND, command, caller=caller, key=key)


async def _hold_of(context: Context, screening: ResourceKey, seat: str, token_hash: str) -> str | None:
    """Return the id of the hold with this token that has the seat, or had it: a repeat of this call is known again."""
    reading = context.reads.hold_of_seat(screening, seat, token_hash)
    return await within(context.limits.read_seconds, reading, f"the hold of seat {seat}")


def _response(request: web.Request, seat_map: SeatMap) -> web.Response:
    """Return the map as the client takes it; one tag for both forms makes it a weak one (RFC 9110, 8.8.3.3)."""
    headers = {"ETag": f'W/"{seat_map.tag}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if _has(request, seat_map.tag):
        return web.Response(status=304, headers=headers)
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=seat_map.compressed, content_type="application/json", headers=headers)
    return web.Response(body=gzip.decompress(seat_map.compressed), content_type="application/json", headers=headers)


def _has(request: web.Request, tag: str) -> bool:
    """Tell whether the client has what bears this tag; `*` is whatever there is, `"*"` a tag (aiohttp gives both as one)."""
    is_any = request.headers.get("If-None-Match", "").strip() == "*"
    return is_any or any(one.value == tag for one in request.if_none_match or ())


def _takes_gzip(request: web.Request) -> bool:
    """Tell whether Accept-Encoding names gzip, and not as what the client cannot take."""
    for coding in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = coding.replace(" ", "").partition(";")
        if name == "gzip":
            return weight.rstrip("0.") != "q="
    return False


def _screening(request: web.Request) -> ResourceKey:
    return ResourceKey(KIND, resources.known_form(KIND, request.match_info["screening_id"]))


def _seat(request: web.Request, screening: ResourceKey) -> str:
    """Return the seat of the path; what cannot be one is none of the screening's."""
    seat = request.match_info["seat"]
    if not is_seat_id(seat):
        raise _unknown_seat(screening, seat)
    return seat


def _unknown_seat(screening: ResourceKey, seat: str) -> ProblemError:
    return ProblemError(
        KINDS["unknown_pool"], f"screening {screening.resource_id} has no seat {seat[:32]}", in_the_way=[seat[:32]]
    )
