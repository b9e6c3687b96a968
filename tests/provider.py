"""A payment provider, as a test needs it: it signs what it says as Standard Webhooks and Stripe have it, and sends it."""

import base64
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from gateway import standard_webhooks, stripe_signatures

SECRET = b"a webhook secret of tests"
OLD_SECRET = b"the webhook secret before"
STRIPE_SECRET = b"whsec_of_stripe"
ENVIRONMENT = {
    "FIRMHOLD_WEBHOOK_SECRET": " ".join(
        f"whsec_{base64.b64encode(secret).decode()}" for secret in (SECRET, OLD_SECRET)
    ),
    "FIRMHOLD_STRIPE_SECRET": STRIPE_SECRET.decode(),
}
STANDARD_PATH = "/api/payments/webhook"
STRIPE_PATH = "/api/payments/webhook/stripe"


@dataclass(frozen=True)
class Webhook:
    """An event of a provider, the same however often it is sent; each try is signed anew."""

    path: str
    body: bytes
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")

    def headers(self, secret: bytes = b"", *, age_seconds: float = 0) -> dict[str, str]:
        """Sign it, as of so many seconds ago."""
        timestamp = str(int(time.time() - age_seconds))
        if self.path == STRIPE_PATH:
            signature = stripe_signatures.sign(secret or STRIPE_SECRET, timestamp, self.body)
            return {stripe_signatures.SIGNATURE: signature}
        signature = standard_webhooks.sign(secret or SECRET, self.id, timestamp, self.body)
        return {
            standard_webhooks.ID: self.id,
            standard_webhooks.TIMESTAMP: timestamp,
            standard_webhooks.SIGNATURE: signature,
        }


def webhook(order_id: str, status: str = "paid", payment_id: str = "", **more: Any) -> Webhook:  # noqa: ANN401 - JSON
    """Return what a provider that follows Standard Webhooks says of a payment."""
    body = {"payment_idempotency_key": payment_id or uuid.uuid4().hex, "order_id": order_id, "status": status}
    return Webhook(STANDARD_PATH, msgspec.json.encode(body | more))


def stripe_event(type_name: str, told: dict[str, Any]) -> Webhook:
    """Return an event of Stripe's about an object."""
    event_id = f"evt_{uuid.uuid4().hex}"
    event = {"id": event_id, "object": "event", "type": type_name, "data": {"object": told}}
    return Webhook(STRIPE_PATH, msgspec.json.encode(event), event_id)


def intent(order_id: str, amount: int, currency: str = "eur") -> dict[str, Any]:
    """Return a PaymentIntent of Stripe's, paid."""
    return {
        "id": f"pi_{uuid.uuid4().hex}",
        "object": "payment_intent",
        "amount": amount,
        "amount_received": amount,
        "currency": currency,
        "metadata": {"order_id": order_id},
    }


async def send(
    session: aiohttp.ClientSession, url: str, hook: Webhook, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], aiohttp.ClientResponse]:
    """Send a webhook once, signed now unless headers are given; return status, body and the response."""
    async with session.post(f"{url}{hook.path}", data=hook.body, headers=headers or hook.headers()) as response:
        return response.status, await response.json(content_type=None), response
