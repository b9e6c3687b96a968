"""Answers whose head needs no thought: what an answer costs is mostly what aiohttp does for each.

It makes a dictionary of headers, asks it ten questions and writes it out again. Where all of that is known before (HTTP/1.1,
the connection stays, there is a body to send) the bytes are written as they are.
"""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE


class JsonAnswer(web.StreamResponse):
    """An answer with a JSON body. Whoever makes it may add `headers`, which are the names and values that are sent."""

    def __init__(
        self,
        payload: bytes,
        *,
        status: int = 200,
        headers: dict[str, str],
        content_type: str = "application/json",
    ) -> None:
        """All that aiohttp's own would prepare is known."""
        self._payload = payload
        self._status_code = status
        self._own_headers = headers
        self._type = content_type
        self._as_aiohttp_does: web.Response | None = None
        self._writer: AbstractStreamWriter | None = None
        self._is_last = False

    @property
    def status(self) -> int:
        """Return the status."""
        return self._status_code

    @property
    def headers(self) -> Any:  # noqa: ANN401 - a dictionary, where aiohttp's own has one of several values
        """Return what is sent beside the type and length of the body, the date and the server."""
        return self._own_headers

    @property
    def keep_alive(self) -> bool | None:
        """Return whether the connection stays."""
        return True if self._as_aiohttp_does is None else self._as_aiohttp_does.keep_alive

    def __repr__(self) -> str:
        """Name the status."""
        return f"JsonAnswer({self._status_code})"

    def force_close(self) -> None:
        """End the connection with this answer."""
        self._is_last = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Let aiohttp answer where it is not so plain."""
        is_kept = request.keep_alive and not self._is_last
        if request.method != "HEAD" and request.version == HttpVersion11 and is_kept:
            self._writer = request.writer
            return self._writer
        self._as_aiohttp_does = web.Response(
            body=self._payload, status=self._status_code, headers=self._own_headers, content_type=self._type
        )
        if self._is_last:
            self._as_aiohttp_does.force_close()
        return await self._as_aiohttp_does.prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send it."""
        if self._as_aiohttp_does is not None:
            await self._as_aiohttp_does.write_eof(data)
        elif self._writer is not None:
            await self._writer.write_eof(self._head() + self._payload)  # which waits for a client that does not read

    def _head(self) -> bytes:
        own = "".join([f"{name}: {value}\r\n" for name, value in self._own_headers.items()])
        if own.count("\n") != len(self._own_headers) or own.count("\r") != len(self._own_headers) or "\0" in own:
            message = "a header field of an answer has a line break: nothing was sent"
            raise ValueError(message)
        ending = _ending(self._type, int(time.time()))
        return f"{_status_line(self._status_code)}{own}Content-Length: {len(self._payload)}\r\n{ending}".encode()


def json_answer(
    body: Any,  # noqa: ANN401 - whatever msgspec can write
    *,
    status: int = 200,
    headers: dict[str, str],
    content_type: str = "application/json",
) -> JsonAnswer:
    """Return an answer with a JSON body."""
    return JsonAnswer(msgspec.json.encode(body), status=status, headers=headers, content_type=content_type)


def no_store_response(payload: bytes, etag: str | None = None) -> JsonAnswer:
    """Answer with JSON that nobody may store, and with its entity tag if it has one."""
    headers = {"Cache-Control": "no-store"}
    if etag is not None:
        headers["ETag"] = etag
    return JsonAnswer(payload, headers=headers)


@lru_cache
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


@lru_cache(8)
def _ending(content_type: str, second: int) -> str:
    date = formatdate(second, usegmt=True)
    return f"Content-Type: {content_type}\r\nDate: {date}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
