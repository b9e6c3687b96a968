"""The HTTP server with problems for what aiohttp itself refuses, before any handler: it answers in plain text.

An expectation that is not known is passed over, as RFC 9110 (10.1.1) allows: aiohttp's 417 would be plain text too, and counted
nowhere. What strangers send that is no HTTP is no fault of ours: it is counted, and logged for who debugs.

aiohttp has no public way to say how: private names of its 3.14 are used here, and the tests would notice.
"""

from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.context import CONTEXT
from gateway.measuring import ANSWERS, answer_of_no_route
from gateway.problems import INTERNAL, MALFORMED_HTTP, ProblemError, Problems

_log = structlog.get_logger(__name__)
_INTERNAL_SERVER_ERROR = 500


class Runner(web.AppRunner):
    """Runs an application as web.AppRunner does."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(self.app, server)


class _Server(web.Server):
    def __init__(self, app: web.Application, server: web.Server) -> None:
        make = server.request_factory

        def make_request(message: RawRequestMessage, *rest: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own
            return make(_without_strange_expectation(message), *rest)

        super().__init__(
            server.request_handler,
            request_factory=make_request,
            loop=server._loop,  # noqa: SLF001 - see the module
            **server._kwargs,  # noqa: SLF001 - the same
        )
        self._app = app

    def __call__(self) -> web.RequestHandler:
        return _Handler(self._app, self, loop=self._loop, **self._kwargs)


def _without_strange_expectation(message: RawRequestMessage) -> RawRequestMessage:
    expectation = message.headers.get(hdrs.EXPECT)
    if expectation is None or expectation.lower() == "100-continue":
        return message
    headers = CIMultiDict(message.headers)
    del headers[hdrs.EXPECT]
    return message._replace(headers=CIMultiDictProxy(headers))


class _Handler(web.RequestHandler):
    __slots__ = ("_answers", "_problems")

    def __init__(self, app: web.Application, server: web.Server, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(server, **options)
        self._problems: Problems = app[CONTEXT].problems
        self._answers = app[ANSWERS]

    def log_exception(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - aiohttp's own
        """Log a fault of ours with its traceback; what the client sent wrong is no news, and he could fill the log with it."""
        if isinstance(more.get("exc_info"), (BadHttpMessage, web.RequestPayloadError)):
            _log.debug("what a client sent cannot be read", fault=type(more["exc_info"]).__name__)
        else:
            super().log_exception(*args, **more)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log as aiohttp does, and answer with a problem; the connection is closed.

        What is no HTTP is not logged with its exception, which quotes it: an Authorization header, say.
        """
        if isinstance(exc, HttpProcessingError):
            _log.info("a request is no HTTP", fault=type(exc).__name__, remote=request.remote)
        else:
            self.log_exception("Error handling request from %s", request.remote, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        del message  # aiohttp's words; the answer has our own
        if status >= _INTERNAL_SERVER_ERROR:
            error = ProblemError(INTERNAL, "the fault is ours and was logged")
        else:
            detail = "the request line or a header field cannot be read, or is longer than 8 KiB"
            error = ProblemError(MALFORMED_HTTP, detail)
        response = self._problems.response(error, "/")
        response.force_close()
        self._answers[answer_of_no_route(response.status)] += 1
        return response
