"""What the peers have in common: the command line, the server, and the body of a hold, member for member Firmhold's."""

import argparse
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from firmhold.memory import tune_memory

_SECRET = b"secret of the peers"
_LIFETIME = timedelta(hours=1)


class HoldBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for."""

    quantity: int = 1


class SlotBody(msgspec.Struct):
    """What a slot is made of; other settings are not known here."""

    capacity: int


read_hold = msgspec.json.Decoder(HoldBody).decode
read_slot = msgspec.json.Decoder(SlotBody).decode


def hold_id_of(slot_id: str, key: str) -> str:
    """Return the id of the hold that this key places."""
    return f"hold_slot~{slot_id}~{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def body_of_hold(slot_id: str, hold_id: str, quantity: int) -> bytes:
    """Return the answer of a hold that is granted now."""
    now = datetime.now(UTC)
    token = hmac.digest(_SECRET, hold_id.encode(), "sha256").hex()
    return msgspec.json.encode(
        {
            "id": hold_id,
            "slot_id": slot_id,
            "quantity": quantity,
            "status": "held",
            "granted_at": now,
            "expires_at": now + _LIFETIME,
            "expires_latest_at": now + _LIFETIME,
            "client_reference": None,
            "hold_token": token,
            "links": {
                "self": f"/holds/{hold_id}",
                "request": f"/requests/req{hold_id.removeprefix('hold')}",
                "slot": f"/slots/{slot_id}",
            },
        }
    )


def answer(body: bytes, status: int = 201) -> web.Response:
    """Return an answer with a JSON body."""
    return web.Response(body=body, status=status, content_type="application/json")


def sold_out() -> web.Response:
    """Return the answer to who came too late."""
    return answer(b'{"title": "Sold out", "status": 409}', 409)


def arguments() -> argparse.ArgumentParser:
    """Return the options that all have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    return parser


def serve(
    port: int, routes: list[web.RouteDef], context: Callable[[web.Application], AsyncIterator[None]] | None = None
) -> None:
    """Serve until SIGTERM, on uvloop, and with all else that a gateway has to be fast."""
    tune_memory()
    app = web.Application()
    app.add_routes([web.get("/readyz", _ready), *routes])
    if context is not None:
        app.cleanup_ctx.append(context)
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=loop, backlog=4096)


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text=aiohttp.__version__)
