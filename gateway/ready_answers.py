"""Answers whose head needs no thought: what a read of the cache costs is mostly what aiohttp does for each answer.

It makes a dictionary of headers, asks it ten questions and writes it out again. Where all of that is known before (HTTP/1.1,
the connection stays, there is a body to send) the bytes are written as they are.
"""

import time
from email.utils import formatdate
from functools import lru_cache

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.http import SERVER_SOFTWARE

from gateway.problems import json_response

_HEAD = (
    "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\nDate: %s\r\n"
    f"Server: {SERVER_SOFTWARE}\r\n\r\n"
)


class _ReadyAnswer(web.StreamResponse):
    """200 with these bytes, head and all, to a request whose connection stays."""

    def __init__(self, request: web.Request, message: bytes) -> None:
        """All that aiohttp's own would prepare is in the message."""
        self._to = request
        self._message = message

    @property
    def status(self) -> int:
        """Return 200."""
        return 200

    @property
    def keep_alive(self) -> bool:
        """Return that the connection stays."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send it."""
        await self._to.writer.write(self._message + data)
        await self._to.writer.write_eof()


def no_store_response(request: web.Request, payload: bytes, etag: str | None = None) -> web.StreamResponse:
    """Answer with JSON that nobody may store, and with its entity tag if it has one."""
    if request.method != "GET" or request.version != HttpVersion11 or not request.keep_alive:
        headers = {"Cache-Control": "no-store"} | ({} if etag is None else {"ETag": etag})
        return json_response(msgspec.Raw(payload), headers=headers)
    head = _HEAD % ("" if etag is None else f"ETag: {etag}\r\n", len(payload), _date_of(int(time.time())))
    return _ReadyAnswer(request, head.encode() + payload)


@lru_cache(1)
def _date_of(second: int) -> str:
    return formatdate(second, usegmt=True)
