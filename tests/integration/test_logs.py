"""What processes write while things go well and badly: every line parses, names what it is about, and has no secret in it."""

import asyncio
import base64
import json
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.installation import Installation, Process, eventually, free_port, installation
from tests.integration.expectations import fresh, problem
from tests.servers import Urls
from topics.commands import DefineResource

SECRETS = {
    "FIRMHOLD_SECRET": "secret-of-the-installation",
    "FIRMHOLD_ADMIN_KEY": "admin-key-of-tests",
    "FIRMHOLD_API_KEYS": "alice:key-of-alice:hold+trusted,bob:key-of-bob:hold",
    "FIRMHOLD_SIGNING_KEYS": f"erp:{base64.b64encode(b'secret of the erp system').decode()}:hold:erp/",
}
WRONG = "wrong-password"  # of servers that do not let us in, or are not there


@pytest_asyncio.fixture
async def running(servers: Urls, postgres_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    """Give an installation with a gateway and a worker that write JSON."""
    async with installation(servers, postgres_url, tmp_path, **SECRETS) as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


def secrets_of(running: Installation) -> set[str]:
    """Return what must not be found in any output."""
    keys = re.findall(r":([^:,]+):", ",".join((SECRETS["FIRMHOLD_API_KEYS"], SECRETS["FIRMHOLD_SIGNING_KEYS"])))
    password = urlsplit(running.postgres).password
    assert password
    return {SECRETS["FIRMHOLD_SECRET"], SECRETS["FIRMHOLD_ADMIN_KEY"], WRONG, password, *keys}


async def hold_and_be_refused(running: Installation) -> set[str]:
    """Hold with a key and a token, and be turned away with others; return the tokens and wrong keys."""
    slot, told = fresh(), {"wrong-key-of-mallory", "wrong-token-" + uuid.uuid4().hex}
    mallory, token = sorted(told)
    async with running.client() as alice, running.client(key=mallory) as stranger, running.client("key-of-bob") as bob:
        await alice.define(slot, 2)
        held = await alice.hold(slot)
        assert held.status == 201
        told.add(held.body["hold_token"])
        path = f"/holds/{held.body['id']}"
        problem(await stranger.hold(slot), 401, "unauthenticated")
        for tried, status in ((token, 404), (held.body["hold_token"], 200)):
            headers = {"Hold-Token": tried, "Prefer": "wait=30"}
            assert (await bob.call("POST", f"{path}/confirm", headers=headers)).status == status
    return told


async def send_no_http(running: Installation) -> set[str]:
    """Send requests with an Authorization header that no parser takes; return its key, which no setting knows."""
    url = urlsplit(running.gateway_url)
    key = uuid.uuid4().hex
    for line in (b"Authorization : Bearer %s", b"Authorization: Bearer %s\x00", b"Authorization Bearer %s"):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + line % key.encode() + b"\r\n\r\n")
        assert b"400" in (await reader.read()).splitlines()[0]
        writer.close()
    return {key}


async def fail_inside(running: Installation) -> None:
    """Make a gateway fail in the middle of a request, in both forms of logs: a table is not there."""
    readable = await running.start_gateway(FIRMHOLD_LOG_FORMAT="console")
    async with running.database() as database:
        await database.execute("alter table requests rename to requests_away")
        for url in (running.gateway_url, readable):
            async with running.client(url=url) as alice:
                asked = "/requests/req_slot~somewhere~" + "a" * 32
                problem(await alice.call("GET", asked, headers={"Hold-Token": WRONG}), 500, "internal")
        await database.execute("alter table requests_away rename to requests")


async def go_without(running: Installation, redis: str) -> None:
    """Run a gateway whose Redis wants no password, and a worker whose Postgres is away."""
    host = urlsplit(redis).netloc
    url = await running.start_gateway(FIRMHOLD_REDIS=f"redis://:{WRONG}@{host}/0")
    async with running.client(url=url) as alice:
        assert (await alice.call("GET", "/slots/availability")).status == 200
    nobody = f"postgresql://me:{WRONG}@127.0.0.1:{free_port()}/none"
    await running.processes[0].stop()
    worker = await running.start_worker(FIRMHOLD_POSTGRES=nobody)
    await eventually(lambda: "could not look for what is due" in worker.output())


async def send_strange_records(running: Installation) -> None:
    """Write a command that is not allowed, with secrets in its value."""
    async with running.producer() as upstream:
        await upstream.send(upstream.record(DefineResource(resource_id=fresh(), capacity=1, title=WRONG)))
    await eventually(lambda: "a record is not decided" in running.processes[0].output())


async def run_tools(running: Installation) -> dict[str, str]:
    """Run the commands that tell of their servers, each in front of one that it cannot use; return what they said."""
    nobody = f"127.0.0.1:{free_port()}"
    url = running.postgres.replace(urlsplit(running.postgres).password or "", WRONG)
    tries = {
        "doctor, nobody there": (("doctor",), f"postgresql://me:{WRONG}@{nobody}/none"),
        "doctor, not let in": (("doctor",), url),
        "migrate, nobody there": (("migrate",), f"postgresql://me:{WRONG}@{nobody}/none"),
        "migrate, not let in": (("migrate",), url),
        "a password that is no part of a URL": (("doctor",), f"postgresql://me:12/{WRONG}@{nobody}/none"),
        "a port that is none": (("migrate",), f"postgresql://me@host:{WRONG}/none"),
        "worker, no URL": (("worker",), f"host=db password={WRONG}"),
    }

    def run(arguments: tuple[str, ...], postgres: str) -> str:
        redis = f"redis://:{WRONG}@{nobody}/0"
        done = subprocess.run(
            [sys.executable, "-m", "firmhold.cli", *arguments],
            env={**running.environment, "FIRMHOLD_POSTGRES": postgres, "FIRMHOLD_REDIS": redis},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    said = await asyncio.gather(*(asyncio.to_thread(run, *one) for one in tries.values()))
    return dict(zip(tries, said, strict=True))


def lines_of(process: Process) -> list[dict[str, Any]]:
    """Return what a process wrote, line by line, as the JSON that each must be."""
    return [json.loads(line) for line in process.output().splitlines()]


@pytest.mark.chaos
@pytest.mark.timeout(300)  # some twenty processes, one or two cores
async def test_no_secret_is_in_any_output(running: Installation, servers: Urls) -> None:
    """Of gateways, workers and tools, whatever goes wrong; and a failure says which request it was about.

    Seen to fail with aiohttp's own log of a request that is no HTTP, and where no request id is bound.
    """
    told = await hold_and_be_refused(running) | await send_no_http(running)
    await send_strange_records(running)
    await fail_inside(running)
    await go_without(running, servers.redis)
    outputs = await run_tools(running)
    for number, process in enumerate(running.processes):
        await process.stop()
        outputs[f"process {number}: {process.log.name}"] = process.output()
    assert all(outputs.values())
    for secret in secrets_of(running) | told:
        assert [name for name, text in outputs.items() if secret in text] == [], secret
    as_json = [process for process in running.processes if not process.output().startswith("2")]
    assert len(as_json) == len(running.processes) - 1
    lines = [line for process in as_json for line in lines_of(process)]
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    (failed,) = [line for line in lines if line["event"] == "a request failed"]
    assert (failed["request_id"], failed["resource"]) == ("req_slot~somewhere~" + "a" * 32, "somewhere")
    assert "UndefinedTableError" in failed["exception"]
    rejected = next(line for line in lines if line["event"] == "a record is not decided")
    assert (rejected["reason"], rejected["kind"]) == ("forbidden", "slot")
    assert rejected["resource"]


async def test_chatter_is_told_in_numbers(servers: Urls, postgres_url: str, tmp_path: Path) -> None:
    """While Kafka is away its client repeats itself: a few lines of each message, and how many more there were."""
    more = {"FIRMHOLD_LOG_REPEATS_MAX": "2", "FIRMHOLD_LOG_REPEAT_SECONDS": "1", "FIRMHOLD_LOG_PROBE_MS": "20"}
    async with installation(servers, postgres_url, tmp_path, **more) as one:
        await one.start_gateway(until="healthz", FIRMHOLD_KAFKA=f"127.0.0.1:{free_port()}")
        (gateway,) = one.processes
        await eventually(lambda: gateway.output().count('"left_out"') > 2)
        await gateway.stop()
        lines = lines_of(gateway)
    chatter = [line for line in lines if line["logger"].startswith("aiokafka")]
    told = [line for line in chatter if "left_out" in line]
    assert told
    assert all(line["left_out"] > 0 and line["like"] for line in told)
    assert len(chatter) < sum(line["left_out"] for line in told)
