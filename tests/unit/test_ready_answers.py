"""Answers that are written as they are say what aiohttp's own would, and leave to it what is not so plain."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

import pytest
from aiohttp import web

from gateway.ready_answers import JsonAnswer, no_store_response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAYLOAD = b'{"remaining":1}'
TAG = '"7"'


@asynccontextmanager
async def connected(handle: Handler) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve with this handler, and connect."""
    app = web.Application()
    app.add_routes([web.get("/free", handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        yield reader, writer
        writer.close()
    finally:
        await runner.cleanup()


async def asked(*requests: str, tag: str | None = TAG, answer: Callable[[], JsonAnswer] | None = None) -> bytes:
    """Return all that comes back on one connection, which the last request ends."""

    async def handle(request: web.Request) -> web.StreamResponse:
        del request
        return no_store_response(PAYLOAD, tag) if answer is None else answer()

    async with connected(handle) as (reader, writer):
        writer.write("".join(requests).encode())
        return await asyncio.wait_for(reader.read(), 5)


def request(line: str = "GET /free HTTP/1.1", *headers: str) -> str:
    """Return a request without a body."""
    return "\r\n".join((line, "Host: firmhold", *headers, "", ""))


def parts_of(answer: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Return the status line, the header fields without what tells of time and connection, and the rest."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    line, _, fields = head.partition(b"\r\n")
    headers = dict(BytesParser().parsebytes(fields + b"\r\n\r\n").items())
    age = datetime.now(UTC) - parsedate_to_datetime(headers.pop("Date"))
    assert abs(age) < timedelta(seconds=30)
    headers.pop("Connection", None)
    return line, headers, rest


LAST = request("GET /free HTTP/1.1", "Connection: close")


@pytest.mark.parametrize("tag", [None, TAG])
async def test_a_ready_answer_says_what_aiohttps_own_says(tag: str | None) -> None:
    """The same status, header fields and body, and the connection stays for the next, which came with the first.

    Seen to fail with a Content-Length that counts one byte more, and without the ETag.
    """
    both = await asked(request(), LAST, tag=tag)
    line, headers, rest = parts_of(both)
    assert rest.startswith(PAYLOAD)
    assert (line, headers) == parts_of(rest.removeprefix(PAYLOAD))[:2]
    assert rest.endswith(PAYLOAD)
    assert rest.count(PAYLOAD) == 2
    assert headers.get("ETag") == tag
    assert headers["Cache-Control"] == "no-store"


async def test_every_status_and_header_is_said_as_aiohttps_own_says_it() -> None:
    """A problem too, and what was added to an answer after it was made."""

    def answer() -> JsonAnswer:
        made = JsonAnswer(PAYLOAD, status=409, headers={"Retry-After": "3"}, content_type="application/problem+json")
        made.headers["RateLimit"] = '"second";r=1'
        return made

    both = await asked(request(), LAST, answer=answer)
    line, headers, rest = parts_of(both)
    assert (line, headers) == parts_of(rest.removeprefix(PAYLOAD))[:2]
    assert line == b"HTTP/1.1 409 Conflict"
    assert (headers["Retry-After"], headers["RateLimit"]) == ("3", '"second";r=1')
    assert headers["Content-Type"] == "application/problem+json"


async def test_a_client_that_does_not_read_is_waited_for() -> None:
    """So that what waits for him does not grow. Seen to fail with an answer that is written without waiting."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        return no_store_response(b"x" * 16_384)

    async with connected(handle) as (reader, writer), asyncio.timeout(20):
        writer.transport.pause_reading()  # type: ignore[attr-defined] # the stubs know of writing only
        writer.write((request() * 3_000 + LAST).encode())
        while not (requests and requests[0].protocol.writing_paused):  # noqa: ASYNC110 - aiohttp has no event for it
            await asyncio.sleep(0)
        taken = len(requests)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(requests) == taken
        writer.transport.resume_reading()  # type: ignore[attr-defined] # as above
        assert len(await reader.read()) > 3_001 * 16_384
    assert len(requests) == 3_001


@pytest.mark.parametrize("header", ["a\r\nSet-Cookie: b", "a\nb", "a\0"])
async def test_no_header_field_holds_another(header: str) -> None:
    """Whatever it was made of: there is no answer at all then. Seen to fail without looking."""
    assert b"Set-Cookie" not in await asked(LAST, answer=lambda: JsonAnswer(b"{}", headers={"Location": header}))
    both = await asked(request(), answer=lambda: JsonAnswer(b"{}", headers={"Location": header}))
    assert b"200 OK" not in both


async def test_an_answer_may_end_the_connection() -> None:
    """As aiohttp's own does. Seen to fail (the second is answered, too) where that is not looked at."""

    def answer() -> JsonAnswer:
        made = no_store_response(PAYLOAD)
        made.force_close()
        return made

    assert (await asked(request(), LAST, answer=answer)).count(PAYLOAD) == 1


async def test_what_is_not_plain_is_left_to_aiohttp() -> None:
    """HEAD has no body; HTTP/1.0 is told that the connection ends; so is who asked for that.

    Seen to fail on answering HEAD as GET, and an HTTP/1.0 client as one of 1.1.
    """
    head, _, rest = (await asked(request("HEAD /free HTTP/1.1"), LAST)).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(PAYLOAD)}\r\n".encode() in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n"), "the next answer follows at once"
    old = await asked(request("GET /free HTTP/1.0"))
    assert old.startswith(b"HTTP/1.0 200 OK\r\n")
    kept = await asked(request("GET /free HTTP/1.0", "Connection: keep-alive"), request("GET /free HTTP/1.0"))
    assert kept.count(b"HTTP/1.0 200 OK\r\n") == 2
    assert b"Connection: close\r\n" in await asked(LAST)
