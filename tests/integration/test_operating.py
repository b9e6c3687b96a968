"""For those who run it: metrics, version, pages, and many definitions at once."""

import asyncio
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from gateway.problems import KINDS
from tests.installation import Client, Installation
from tests.integration.expectations import fresh, problem, silence

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def page(client: Client, path: str) -> str:
    """Return the text of a page."""
    async with client.session.get(path) as response:
        assert response.status == 200, path
        return await response.text()


async def test_the_pages_load_nothing_and_lead_on(alice: Client) -> None:
    """The start page's links exist but for what comes with the cache; each problem has its page."""
    start, problems = await page(alice, "/"), await page(alice, "/problems")
    for text in (start, problems):
        assert re.findall(r"(?:src|href)=['\"]?(?:https?:)?//", text) == []
    links = set(re.findall(r"href=([^ >]+)", start)) - {"/slots/availability", "/api/products"}
    assert {"/problems", "/healthz", "/readyz", "/version", "/metrics"} == links
    for link in links:
        assert await page(alice, link)
    for kind in KINDS.values():
        assert f"/problems/{kind.type}>" in problems
        assert kind.type in await page(alice, f"/problems/{kind.type}")
    problem(await alice.call("GET", "/problems/none"), 404, "unknown_path")


async def test_version(alice: Client) -> None:
    """It names the version of the package, and of Python."""
    body = (await alice.call("GET", "/version")).body
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", body["version"])
    assert body["python"].startswith("3.")


def values(text: str) -> dict[str, float]:
    """Read the samples of an exposition."""
    samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


async def test_metrics_tell_what_happened(alice: Client, running: Installation) -> None:
    """Of the gateway and of a worker, each by its name in the one list; fails if a metric is not read any more."""
    slot = fresh("metrics")
    async with silence() as silent:
        url = await running.start_gateway(
            until="healthz",
            FIRMHOLD_KAFKA=silent.address,
            FIRMHOLD_PUBLISH_TIMEOUT_SECONDS="0.2",
        )
        async with running.client(url=url) as client:
            problem(await client.hold(slot), 503, "outcome_unknown")
            problem(await client.hold(slot), 503, "not_taken")
            told = values(await page(client, "/metrics"))
    assert told['firmhold_answers_total{method="POST",route="/slots/{slot_id}/hold",status="503"}'] == 2
    assert told['firmhold_not_taken_total{cause="log_silent"}'] == 1
    assert (told["firmhold_log_silent"], told["firmhold_publications_in_flight"]) == (1, 0)
    await alice.define(slot, 1)
    for status in (201, 409):
        assert (await alice.hold(slot)).status == status
    port = re.search(r'"probe_port": ?(\d+)', running.processes[0].output())
    assert port is not None
    async with running.client(url=f"http://127.0.0.1:{port[1]}") as client:
        text = await page(client, "/metrics")
    told = values(text)
    assert told['firmhold_commands_total{outcome="hold.placed"}'] >= 1
    assert told['firmhold_commands_total{outcome="sold_out"}'] >= 1
    assert told["firmhold_batches_total"] >= 1


async def test_define_many(alice: Client, running: Installation, tmp_path: Path) -> None:
    """All good lines are defined, each faulty one is told with its number, a repeat changes nothing."""
    name = uuid.uuid4().hex[:8]
    good = [f'{{"id": "{name}-{number}", "capacity": {number}}}' for number in range(1, 41)]
    file = tmp_path / "slots.ndjson"
    file.write_text("\n".join([*good, '{"id": "x", "capacity": -1}', '{"id": "y"']))
    first, again = [await define(running, str(file)) for _ in range(2)]
    for done in (first, again):
        assert done.returncode == 1
        assert "40 defined, 2 failed" in done.stderr
        assert re.search(r"line 41: slot x: /capacity: .*422", done.stderr), done.stderr
        assert "line 42: this is no JSON" in done.stderr
    assert first.stdout.count("defined") == again.stdout.count("by an earlier run") == 40
    shown = (await alice.call("GET", f"/slots/{name}-40")).body
    assert (shown["capacity"], shown["version"]) == (40, 1)
    csv = await define(running, "-", f"id,capacity,title\n{name}-1,7,A room\n")
    assert (csv.returncode, csv.stdout) == (0, f"slot {name}-1: defined\n1 defined, 0 failed\n")
    assert (await alice.call("GET", f"/slots/{name}-1")).body["title"] == "A room"


async def define(running: Installation, file: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `firmhold define`."""
    environment = {**running.environment, "FIRMHOLD_URL": running.gateway_url}
    command = [sys.executable, "-m", "firmhold.cli", "define", file]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, input=text, capture_output=True, text=True, check=False, timeout=60
    )
