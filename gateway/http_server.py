"""The HTTP server with problems for what aiohttp itself refuses, before any handler: it answers in plain text.

aiohttp has no public way to say how: private names of its 3.14 are used here, and the tests would notice.
"""

from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.context import CONTEXT
from gateway.problems import INTERNAL, MALFORMED_HTTP, ProblemError, Problems

_log = structlog.get_logger(__name__)
_INTERNAL_SERVER_ERROR = 500


class Runner(web.AppRunner):
    """Runs an application as web.AppRunner does."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(self.app[CONTEXT].problems, server)


class _Server(web.Server):
    def __init__(self, problems: Problems, server: web.Server) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            loop=server._loop,  # noqa: SLF001 - see the module
            **server._kwargs,  # noqa: SLF001 - the same
        )
        self._problems = problems

    def __call__(self) -> web.RequestHandler:
        return _Handler(self._problems, self, loop=self._loop, **self._kwargs)


class _Handler(web.RequestHandler):
    __slots__ = ("_problems",)

    def __init__(self, problems: Problems, server: web.Server, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(server, **options)
        self._problems = problems

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
        return response
