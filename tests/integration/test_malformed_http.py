"""What is no HTTP is answered with a problem too, over raw sockets; fails with aiohttp's own plain text."""

import asyncio
import json

import pytest
from yarl import URL

from tests.installation import Installation
from tests.integration.expectations import check_members

pytestmark = pytest.mark.asyncio(loop_scope="module")

MALFORMED = {
    "a request line that is none": b"what is this\r\n\r\n",
    "a method that cannot be": b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "a header over 8 KiB": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "a path over 8 KiB": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is none": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "a TLS greeting": bytes.fromhex("1603010200010001fc0303") + b"\r\n\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_is_no_http(running: Installation, what: str) -> None:
    """400 as application/problem+json, then the connection ends; the gateway goes on."""
    url = URL(running.gateway_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(MALFORMED[what])
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith("http/1.1 400 ") or lines[0].startswith("http/1.0 400 "), lines[0]
    assert any(line.startswith("content-type: application/problem+json") for line in lines)
    check_members(json.loads(body), 400, "malformed_request")
    async with running.client() as client:
        assert (await client.call("GET", "/healthz")).status == 200
