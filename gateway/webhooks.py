"""Payment providers' webhooks: believed by their signature alone, answered as soon as Kafka has what they say.

What is signed is answered 2xx, be it of use or not: a provider cannot mend it, and would send it again for days.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from aiohttp import hdrs, web

from gateway import payment_bodies, standard_webhooks, stripe_events, stripe_signatures
from gateway.context import CONTEXT
from gateway.problems import BAD_SIGNATURE, ProblemError, json_response
from gateway.unusable import Unusable
from topics.cloudevents import trace_parent

FaultOfSignature = Callable[[Mapping[str, str], bytes, Iterable[bytes], float], str | None]
STANDARD_PATH = "/api/payments/webhook"
STRIPE_PATH = "/api/payments/webhook/stripe"


def routes() -> list[web.RouteDef]:
    """Return the calls of payment providers."""
    return [web.post(STANDARD_PATH, standard_webhook), web.post(STRIPE_PATH, stripe_webhook)]


async def standard_webhook(request: web.Request) -> web.Response:
    """Take what a provider that follows Standard Webhooks says of a payment."""
    context = request.app[CONTEXT]
    body = await _signed_body(request, standard_webhooks.fault_of_signature, context.webhook_secrets.standard)
    try:
        command = payment_bodies.command_of(request.headers[standard_webhooks.ID], body)
    except Unusable as why:
        await context.payments.put_aside(payment_bodies.PROVIDER, body, str(why))
    else:
        await context.payments.record(command, trace_parent(request.headers.get("traceparent")))
    return _taken()


async def stripe_webhook(request: web.Request) -> web.Response:
    """Take what Stripe says of a payment."""
    context = request.app[CONTEXT]
    body = await _signed_body(request, stripe_signatures.fault_of_signature, context.webhook_secrets.stripe)
    try:
        command = stripe_events.command_of(body)
    except Unusable as why:
        await context.payments.put_aside(stripe_events.PROVIDER, body, str(why))
    else:
        if command is not None:
            await context.payments.record(command, trace_parent(request.headers.get("traceparent")))
    return _taken()


async def _signed_body(request: web.Request, fault_of_signature: FaultOfSignature, secrets: Iterable[bytes]) -> bytes:
    """Return the body, word for word as it was signed; nothing else is said of it to who cannot sign.

    What is signed are the bytes as they are sent. So what is packed is not unpacked, and what is too long is not read: no
    signature of it can be right, and no provider sends it.
    """
    fault = "" if _is_plain(request) else "what has a Content-Encoding is not as it was signed"
    if not fault:
        limits = request.app[CONTEXT].limits
        try:
            body = await request.clone(client_max_size=limits.webhook_bytes_max).read()
        except web.HTTPRequestEntityTooLarge:
            fault = f"what has more than {limits.webhook_bytes_max} bytes is not read"
        except web.RequestPayloadError:
            fault = "the body is broken off"
        else:
            told = fault_of_signature(request.headers, body, secrets, time.time())
            if told is None:
                return body
            raise _unbelieved(request, told)
    error = _unbelieved(request, fault)
    error.ends_connection = True  # what is left of the body is not waited for
    raise error


def _is_plain(request: web.Request) -> bool:
    codings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, [])).lower().split(",")
    return {coding.strip() for coding in codings} <= {"", "identity"}


def _unbelieved(request: web.Request, fault: str) -> ProblemError:
    error = ProblemError(BAD_SIGNATURE, f"{fault}: nothing was recorded")
    error.headers["WWW-Authenticate"] = "Stripe-Signature" if request.path == STRIPE_PATH else "Standard-Webhooks"
    return error


def _taken() -> web.Response:
    return json_response({"message": "ok"}, headers={"Cache-Control": "no-store"})
