"""What every request goes through: its account's quota, failures that become problems, and being counted.

One function for all of it: each middleware is a coroutine more that every request goes through, and costs it 2 %.
"""

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from firmhold.log_subject import speak_of_nothing
from gateway.context import CONTEXT
from gateway.limiting import quota_of
from gateway.measuring import count_answer
from gateway.problems import (
    BODY_TOO_LARGE,
    INTERNAL,
    MALFORMED_HTTP,
    METHOD_NOT_ALLOWED,
    UNKNOWN_PATH,
    ProblemError,
    instance_of,
)

_log = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a write beyond the account's quota with 429, every failure with a problem, and tell how the account stands.

    What we did not expect is logged and tells nothing of our insides.
    """
    quota = quota_of(request)
    try:
        response = await handler(request) if quota is None or quota.may else quota.refusal(request)
    except ProblemError as error:
        response = _response(request, error)
    except web.HTTPException as fault:
        if fault.status < 400:  # noqa: PLR2004 - redirections are answers
            raise
        response = _response(request, _problem_of(fault))
    except Exception:  # noqa: BLE001 - whatever it is, the client gets a problem and we a log line
        _log.exception("a request failed", method=request.method, path=request.path)
        response = _response(request, ProblemError(INTERNAL, "the fault is ours and was logged"))
    finally:
        speak_of_nothing()
    if quota is not None:
        quota.tell(response)
    count_answer(request, response)
    return response


def _response(request: web.Request, error: ProblemError) -> web.Response:
    return request.app[CONTEXT].problems.response(error, instance_of(request))


def _problem_of(fault: web.HTTPException) -> ProblemError:
    match fault:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(fault.allowed_methods))
            error = ProblemError(METHOD_NOT_ALLOWED, f"{fault.method} is not known here, only {allowed}")
            error.headers["Allow"] = allowed
            return error
        case web.HTTPRequestEntityTooLarge():
            return ProblemError(BODY_TOO_LARGE, "the body is too large")
        case web.HTTPNotFound():
            return ProblemError(UNKNOWN_PATH, "there is nothing at this path")
        case web.HTTPClientError():
            return ProblemError(MALFORMED_HTTP, f"the server cannot take this request: {fault.reason}")
        case _:
            _log.error("a handler gave up", status=fault.status, reason=fault.reason)
            return ProblemError(INTERNAL, "the fault is ours and was logged")
