"""The leanest HTTP/1.1 client that is still one: keep-alive, one request at a time on each connection, nothing pipelined.

It shares the processors with what it measures, and aiohttp's client costs more than the constant handler that it asks
(docs/performance.md has both). It reads answers with a Content-Length only, which all that is measured here sends.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
_TIMEOUT_SECONDS = 60.0


class NotHttpError(Exception):
    """The answer cannot be read, or the connection ended before it was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """A connection on which one request at a time is on its way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; uvloop's is one without being an instance."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whoever waits."""
        self._fail(f"the connection ended: {exc!r}")

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NotHttpError(why))

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer; raises NotHttpError."""
        if self._transport is None or self._transport.is_closing():
            raise NotHttpError("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Answer when all of the answer is there."""
        received = self._received = self._received + data if self._received else data
        head_end = received.find(_END_OF_HEAD)
        if head_end < 0:
            return
        head = received[:head_end].lower()
        at = head.find(_LENGTH)
        if at < 0:
            self._fail(f"an answer without Content-Length: {head[:200]!r}")
            return
        length = int(head[at + len(_LENGTH) :].partition(b"\r\n")[0])
        body_at = head_end + len(_END_OF_HEAD)
        if len(received) < body_at + length:
            return
        self._received = received[body_at + length :]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(int(received[9:12]), received[body_at : body_at + length]))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()


async def connect(url: str, count: int) -> list[Connection]:
    """Open so many connections to the host of a URL."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    made: list[Connection] = []
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        for _ in range(count):
            _, connection = await loop.create_connection(Connection, parts.hostname or "", parts.port or 80)
            made.append(connection)
    return made


def requests_of(url: str, method: str, headers: Mapping[str, str]) -> Callable[[str, str, bytes], bytes]:
    """Return a maker of requests, given path, more header lines (each with its CRLF) and body; the rest is made once."""
    host = urlsplit(url).netloc
    fixed = "".join(f"{name}: {text}\r\n" for name, text in {"Host": host, **headers}.items())

    def request(path: str, lines: str, body: bytes) -> bytes:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n{fixed}{lines}{length}\r\n".encode() + body

    return request


def close_all(connections: Sequence[Connection]) -> None:
    """End connections."""
    for connection in connections:
        connection.close()
