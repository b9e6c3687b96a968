"""What is no HTTP is answered with a problem too, over raw sockets; fails with aiohttp's own plain text."""

import asyncio
import json

import pytest
from yarl import URL

from tests.installation import ALICE_KEY, Client, Installation, eventually
from tests.integration.expectations import check_members, fresh, problem

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


async def test_an_expectation_of_nobody_s_is_passed_over(running: Installation, alice: Client) -> None:
    """Known path or unknown: answered as without it, and counted. Seen to fail with aiohttp's 417 in plain text."""
    expecting = {"Expect": "nonsense"}
    reply = await alice.call("GET", "/slots/availability", headers=expecting)
    assert (reply.status, reply.response.content_type) == (200, "application/json")
    problem(await alice.call("GET", f"/{fresh('nothing')}", headers=expecting), 404, "unknown_path")
    async with alice.session.get("/metrics", headers=expecting) as response:
        assert 'route="none",status="404"' in await response.text()
    continued = await alice.call("PUT", f"/slots/{fresh()}", data=b'{"capacity": 1}', expect100=True)
    problem(continued, 403, "insufficient_scope")


async def test_what_strangers_send_wrong_is_counted_and_no_fault_of_ours(running: Installation, alice: Client) -> None:
    """No line above debug, and so no alert, for a body that is no gzip or a request that is no HTTP.

    Seen to fail with aiohttp's own `log_exception`, which tells each with a traceback as an error.
    """
    url = await running.start_gateway()
    process = running.processes[-1]
    async with running.client(url=url) as client:
        headers = {"Idempotency-Key": "k", "Content-Encoding": "gzip"}
        for _ in range(2):
            reply = await client.call("POST", f"/slots/{fresh()}/hold", data=b"no gzip at all", headers=headers)
            problem(reply, 400, "malformed_json")
        place = URL(url)
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(f"GET /version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ALICE_KEY}\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"200"
        writer.write(MALFORMED["two lengths"])
        assert b" 400 " in await reader.read()
        writer.close()

        async def is_counted() -> bool:
            async with client.session.get("/metrics") as response:
                return 'method="other",route="none",status="400"} 1' in await response.text()

        await eventually(is_counted, what="the malformed request is counted")
    assert await process.stop() == 0
    lines = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] in {"warning", "error", "critical"}] == []
    assert "Traceback" not in process.output()
