"""A payment provider to try things out with, where FIRMHOLD_DEMO_PROVIDER is on: it sends its webhook here, over HTTP.

What it says is signed with this installation's own secret and goes the way of every provider's webhook. Whoever can call
it can pay any order with no money, so it is off unless `make up` turns it on, and refused beside API keys.
"""

import secrets
import time
from typing import Annotated, Literal

import msgspec
from aiohttp import ClientSession, web
from pydantic import Field
from yarl import URL

from gateway import payment_bodies, standard_webhooks
from gateway.bodies import Body, read_body
from gateway.context import CONTEXT
from gateway.problems import json_response
from gateway.webhooks import STANDARD_PATH
from topics.commands import AMOUNT_MAX


class DemoBody(Body):
    """Body of `POST /demo/payments`: which order, and what the provider is to say of it."""

    order_id: str
    status: Literal["paid", "failed", "processing", "refunded"] = "paid"
    payment_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    amount: Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")] | None = None
    return_units: bool = False


def routes() -> list[web.RouteDef]:
    """Return the call that plays a provider."""
    return [web.post("/demo/payments", play)]


async def play(request: web.Request) -> web.Response:
    """Send the webhook; return the payment's id, and what the webhook was answered."""
    asked = await read_body(request, DemoBody)
    payment_id = asked.payment_id or f"demo-{secrets.token_hex(8)}"
    told = payment_bodies.PaymentBody(payment_idempotency_key=payment_id, **asked.model_dump(exclude={"payment_id"}))
    body = msgspec.json.encode(told)
    webhook_id, timestamp = f"demo-{secrets.token_hex(16)}", str(int(time.time()))
    secret = request.app[CONTEXT].webhook_secrets.standard[0]
    headers = {
        standard_webhooks.ID: webhook_id,
        standard_webhooks.TIMESTAMP: timestamp,
        standard_webhooks.SIGNATURE: standard_webhooks.sign(secret, webhook_id, timestamp, body),
    }
    async with ClientSession() as session, session.post(_own(request), data=body, headers=headers) as response:
        answer = msgspec.json.decode(await response.read())
        shown = {"payment_id": payment_id, "webhook_id": webhook_id, "webhook_answer": answer}
        return json_response(shown, status=response.status, headers={"Cache-Control": "no-store"})


def _own(request: web.Request) -> URL:
    """Return where the webhook is: at the address that this request came in by, whatever its Host says."""
    host, port = request.get_extra_info("sockname")[:2]
    return URL.build(scheme="http", host=host, port=port, path=STANDARD_PATH)
