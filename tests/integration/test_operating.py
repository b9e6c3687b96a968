"""For those who run it: metrics, version, pages, and many definitions at once."""

import asyncio
import json
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
    links = set(re.findall(r"href=([^ >]+)", start)) - {"/slots/availability", "/screenings", "/api/products"}
    assert {"/docs", "/openapi.json", "/problems", "/healthz", "/readyz", "/version", "/metrics"} == links
    for link in links:
        assert await page(alice, link)
    for kind in KINDS.values():
        assert f"/problems/{kind.type}>" in problems
        assert kind.type in await page(alice, f"/problems/{kind.type}")
    problem(await alice.call("GET", "/problems/none"), 404, "unknown_path")


async def test_the_policy_of_keys_is_at_the_types_of_its_problems(alice: Client, running: Installation) -> None:
    """With the settings of this gateway; seen to fail with the type's page as it was, which told of no policy."""
    url = await running.start_gateway(until="healthz", FIRMHOLD_REQUEST_RETENTION_DAYS="29", FIRMHOLD_KEY_FORMAT="uuid")
    async with running.client(url=url) as client:
        for name in ("idempotency_key_missing", "idempotency_key_malformed", "idempotency_key_reused"):
            text = await page(client, f"/problems/{name}")
            for said in (
                "belongs to the account",
                "kept for at least 29 days",
                "must be a UUID",
                "joins it",
                "still free",
            ):
                assert said in text, (name, said)
        assert "29 days" not in await page(client, "/problems/sold_out")


async def test_the_api_tells_of_itself(alice: Client, running: Installation) -> None:
    """A document for programs, under this gateway's address, and a page that loads nothing and names every call."""
    described = (await alice.call("GET", "/openapi.json")).body
    assert described["servers"] == [{"url": running.gateway_url}]
    text = await page(alice, "/docs")
    assert re.findall(r"(?:src|href)=['\"]?(?:https?:)?//", text) == []
    for path, methods in described["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in text
    for link in set(re.findall(r"href=([^ >]+)", text)):
        assert await page(alice, link)


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
    assert told['firmhold_commands_total{kind="slot",outcome="hold.placed"}'] >= 1
    assert told['firmhold_commands_total{kind="slot",outcome="sold_out"}'] >= 1
    assert told["firmhold_batch_commands_count"] >= 1


async def test_define_many(alice: Client, running: Installation, tmp_path: Path) -> None:
    """All good lines are defined, each faulty one is told with its number; a run that goes on gives nothing twice."""
    name = uuid.uuid4().hex[:8]
    good = [f'{{"id": "{name}-{number}", "capacity": {number}}}' for number in range(1, 41)]
    file = tmp_path / "slots.ndjson"
    file.write_text("\n".join([*good, '{"id": "x", "capacity": -1}', '{"id": "y"']))
    first = await define(running, str(file))
    assert "40 defined, 2 failed" in first.stderr
    resume = re.search(r"--run (\w+)", first.stdout)
    assert resume is not None
    again = await define(running, str(file), "--run", resume[1])
    assert "0 defined, 40 defined before in this run, 2 failed" in again.stderr
    for done in (first, again):
        assert done.returncode == 1
        assert re.search(r"line 41: slot x: /capacity: .*422", done.stderr), done.stderr
        assert "line 42: this is no JSON" in done.stderr
    assert first.stdout.count(": defined\n") == again.stdout.count(": defined before in this run") == 40
    shown = (await alice.call("GET", f"/slots/{name}-40")).body
    assert (shown["capacity"], shown["version"]) == (40, 1)
    csv = await define(running, "-", text=f"id,capacity,title\n{name}-1,7,A room\n")
    assert csv.returncode == 0
    assert csv.stdout.endswith(f"slot {name}-1: defined\n1 defined, 0 failed\n")
    assert (await alice.call("GET", f"/slots/{name}-1")).body["title"] == "A room"


async def test_define_products(alice: Client, running: Installation) -> None:
    """From NDJSON and CSV, where a name of digits stays a text; what a product lacks is told with its line."""
    name = uuid.uuid4().hex[:8]
    lines = (
        f'{{"kind": "product", "id": "{name}-1", "stock": 5, "price": 12900, "currency": "EUR", "name": "Runner"}}',
        f'{{"kind": "product", "id": "{name}-2", "stock": 5, "currency": "EUR"}}',
    )
    done = await define(running, "-", text="\n".join(lines))
    assert done.returncode == 1
    assert f"product {name}-1: defined" in done.stdout
    assert re.search(rf"line 2: product {name}-2: /price: .*422", done.stderr), done.stderr
    csv = await define(running, "-", text=f"kind,id,stock,price,currency,name\nproduct,{name}-3,7,500,EUR,501\n")
    assert csv.returncode == 0, csv.stderr
    shown = (await alice.call("GET", "/api/products", params={"ids": f"{name}-1,{name}-2,{name}-3"})).body
    assert [(one["name"], one["price"], one["stock"]) for one in shown] == [("Runner", 12900, 5), ("501", 500, 7)]


async def test_define_takes_screenings(alice: Client, running: Installation) -> None:
    """Plans are JSON, in a cell of CSV too; a bad one is told with its place."""
    name = fresh("hall")
    rows = [{"row": "A", "seats": 3, "blocked": [2]}]
    lines = (
        json.dumps({"kind": "screening", "id": f"{name}-1", "rows": rows, "focal": "A1"}),
        json.dumps({"kind": "screening", "id": f"{name}-2", "rows": rows, "focal": "B1"}),
    )
    done = await define(running, "-", text="\n".join(lines))
    assert f"screening {name}-1: defined" in done.stdout
    assert re.search(rf"line 2: screening {name}-2: /focal: .*422", done.stderr), done.stderr
    cell = json.dumps(rows).replace('"', '""')
    csv = await define(running, "-", text=f'kind,id,rows,title\nscreening,{name}-3,"{cell}",12\n')
    assert csv.returncode == 0, csv.stderr
    shown = [(await alice.call("GET", f"/screenings/{name}-{number}")).body for number in (1, 3)]
    assert [(one["rows"], one["capacity"], one["title"]) for one in shown] == [(rows, 2, None), (rows, 2, "12")]


async def test_define_again_restores_what_the_file_says(alice: Client, running: Installation, tmp_path: Path) -> None:
    """Each run is one of its own; seen to fail with a run that every call of the command was part of."""
    slot = fresh("again")
    file = tmp_path / "slots.csv"
    file.write_text(f"id,capacity\n{slot},5\n")
    for changed in (9, 11):
        done = await define(running, str(file))
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 defined, 0 failed")
        assert (await alice.call("GET", f"/slots/{slot}")).body["capacity"] == 5
        assert (await alice.define(slot, changed)).status == 200


async def define(running: Installation, file: str, *options: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run `firmhold define`."""
    environment = {**running.environment, "FIRMHOLD_URL": running.gateway_url}
    command = [sys.executable, "-m", "firmhold.cli", "define", file, *options]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, input=text, capture_output=True, text=True, check=False, timeout=60
    )
