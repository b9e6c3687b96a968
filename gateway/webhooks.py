"""Payment providers' webhooks: believed by their signature alone, answered as soon as Kafka has what they say.

What is signed is answered 2xx, be it of use or not: a provider cannot mend it, and would send it again for days.
"""

import time

from aiohttp import web

from gateway import payment_bodies, standard_webhooks, stripe_events, stripe_signatures
from gateway.bodies import read_bytes
from gateway.context import CONTEXT
from gateway.problems import BAD_SIGNATURE, ProblemError, json_response
from gateway.unusable import Unusable
from topics.cloudevents import trace_parent

STANDARD_PATH = "/api/payments/webhook"
STRIPE_PATH = "/api/payments/webhook/stripe"


def routes() -> list[web.RouteDef]:
    """Return the calls of payment providers."""
    return [web.post(STANDARD_PATH, standard_webhook), web.post(STRIPE_PATH, stripe_webhook)]


async def standard_webhook(request: web.Request) -> web.Response:
    """Take what a provider that follows Standard Webhooks says of a payment."""
    context, body = request.app[CONTEXT], await read_bytes(request)
    secrets = context.webhook_secrets.standard
    fault = standard_webhooks.fault_of_signature(request.headers, body, secrets, time.time())
    if fault is not None:
        raise _unbelieved(fault, "Standard-Webhooks")
    try:
        command = payment_bodies.command_of(request.headers[standard_webhooks.ID], body)
    except Unusable as why:
        await context.payments.put_aside(payment_bodies.PROVIDER, body, str(why))
    else:
        await context.payments.record(command, trace_parent(request.headers.get("traceparent")))
    return _taken()


async def stripe_webhook(request: web.Request) -> web.Response:
    """Take what Stripe says of a payment."""
    context, body = request.app[CONTEXT], await read_bytes(request)
    secrets = context.webhook_secrets.stripe
    fault = stripe_signatures.fault_of_signature(request.headers, body, secrets, time.time())
    if fault is not None:
        raise _unbelieved(fault, "Stripe-Signature")
    try:
        command = stripe_events.command_of(body)
    except Unusable as why:
        await context.payments.put_aside(stripe_events.PROVIDER, body, str(why))
    else:
        if command is not None:
            await context.payments.record(command, trace_parent(request.headers.get("traceparent")))
    return _taken()


def _unbelieved(fault: str, scheme: str) -> ProblemError:
    error = ProblemError(BAD_SIGNATURE, f"{fault}: nothing was recorded")
    error.headers["WWW-Authenticate"] = scheme
    return error


def _taken() -> web.Response:
    return json_response({"message": "ok"}, headers={"Cache-Control": "no-store"})
