"""Up, down, crashes and what is left of them: with stand-ins for gateway and worker, on real servers."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from firmhold.local.console import Progress
from firmhold.local.places import CHECKOUT, Places
from firmhold.local.ports import LOOPBACK, next_free
from firmhold.local.processes import Identity, Record, start_child
from firmhold.local.servers import clean_up, forget, own
from firmhold.local.stack import QUICK_DEATHS_MAX, Ended, Stack, StartAgain
from tests.servers import Urls

READY = "firmhold ready on"


class Launcher:
    """A launcher in a process of its own, read line by line."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.local.launcher", str(root)],
            cwd=CHECKOUT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.output: IO[str] = self.process.stdout

    def read_until(self, words: str) -> str:
        """Read on until a line has these words; returns what was read."""
        lines = []
        for line in self.output:
            lines.append(line)
            if words in line:
                return "".join(lines)
        raise AssertionError(f"{words!r} was not said:\n{''.join(lines)}")

    def end(self) -> int:
        """Stop it as Ctrl-C does; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.output.close()
        return code


Launch = Callable[..., Launcher]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for a stack's things; nothing of it runs or lies about afterwards."""
    yield tmp_path / "local"
    places = places_at(tmp_path / "local")
    clean_up(places)
    forget(places)


@pytest.fixture
def launch(root: Path) -> Iterator[Launch]:
    """Start launchers in the root, each on a gateway port that is free."""
    launched: list[Launcher] = []

    def start(**environment: str) -> Launcher:
        port = str(next_free(21080))
        launched.append(Launcher(root, {"FIRMHOLD_PORT": port, **environment}))
        return launched[-1]

    yield start
    for each in launched:
        each.end()


@pytest.fixture
def given(servers: Urls) -> dict[str, str]:
    """Name the session's Kafka and Postgres, so that only Redis is started."""
    return {"FIRMHOLD_KAFKA": servers.kafka, "FIRMHOLD_POSTGRES": servers.postgres, "FIRMHOLD_REDIS": ""}


def places_at(root: Path) -> Places:
    """Name the launcher's places."""
    return Places(root=root, downloads=CHECKOUT / ".local" / "downloads")


def recorded(root: Path) -> dict[str, Identity]:
    """Identify the children that the launcher has on record."""
    records = [Record.read(path) for path in (root / "run").glob("*.json")]
    return {record.name: record.identity for record in records if record is not None}


def exported(root: Path) -> dict[str, str]:
    """Read stack.env."""
    lines = (root / "stack.env").read_text().splitlines()
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines)
    return {name: value.strip("'") for name, value in pairs}


@pytest.mark.serial
def test_killed_launcher_is_cleaned_up_after_by_the_next(launch: Launch, root: Path) -> None:
    """Kill -9 of the launcher leaves all running; the next one ends that, starts anew, and Ctrl-C leaves nothing."""
    first = launch()
    assert "topics create" in first.read_until(READY)
    left = recorded(root)
    assert set(left) == {"kafka", "postgres", "redis", "gateway", "worker"}
    first.process.kill()
    first.process.wait(10)
    assert all(identity.is_alive() for identity in left.values())

    second = launch()
    assert "left behind" in second.read_until(READY)
    assert not any(identity.is_alive() for identity in left.values())
    now = recorded(root)
    assert second.end() == 0
    assert not any(identity.is_alive() for identity in now.values())
    assert recorded(root) == {}


def test_other_programs_find_the_servers_while_it_is_up(launch: Launch, root: Path, given: dict[str, str]) -> None:
    """stack.env names all URLs while the stack is up, for its owner only, and is gone afterwards."""
    up = launch(**given)
    said = up.read_until(READY)
    assert "kafka answers at its given URL" in said
    environment = exported(root)
    assert environment["FIRMHOLD_KAFKA"] == given["FIRMHOLD_KAFKA"]
    assert environment["FIRMHOLD_URL"] in said
    assert environment["FIRMHOLD_REDIS"].startswith("redis://:")
    assert (root / "stack.env").stat().st_mode & 0o077 == 0
    assert up.end() == 0
    assert not (root / "stack.env").exists()


def test_another_shell_is_told_what_our_processes_are_told(tmp_path: Path) -> None:
    """What sh reads from stack.env is what gateway and worker got, whatever signs are in it; their own ports are not."""
    places = places_at(tmp_path)
    places.make()
    urls = {f"FIRMHOLD_{name}": f'{name} it\'s "$HOME" `x` \\' for name in ("KAFKA", "POSTGRES", "REDIS")}
    stack = Stack(places, {**urls, "FIRMHOLD_SECRET": "a'b $c", "FIRMHOLD_TOPIC_PREFIX": "t."}, Progress())
    stack._write_environment_file()
    done = subprocess.run(
        ["/bin/sh", "-c", '. "$0"; exec env -0', str(places.environment_file)],
        env={"PATH": os.defpath},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pairs = dict(line.split("=", 1) for line in done.stdout.split("\0") if line.startswith("FIRMHOLD_"))
    own = {"FIRMHOLD_HOST", "FIRMHOLD_PORT", "FIRMHOLD_WORKER_PORT"}
    told = {name: value for name, value in stack._environment().items() if name.startswith("FIRMHOLD_")}
    assert pairs == {name: value for name, value in told.items() if name not in own}
    assert {"FIRMHOLD_PARTITIONS", "FIRMHOLD_REPLICATION", "FIRMHOLD_SECRET", "FIRMHOLD_ADMIN_KEY"} <= pairs.keys()
    assert {"FIRMHOLD_WEBHOOK_SECRET", "FIRMHOLD_STRIPE_SECRET", "FIRMHOLD_DEMO_PROVIDER"} <= pairs.keys()
    assert places.environment_file.stat().st_mode & 0o077 == 0


def test_second_up_in_the_same_place_refuses_and_does_no_harm(
    launch: Launch, root: Path, given: dict[str, str]
) -> None:
    """The second says who is there; the first goes on."""
    first = launch(**given)
    first.read_until(READY)
    before = recorded(root)
    second = launch(**given)
    assert f"process {first.process.pid}" in second.read_until("already up")
    assert second.process.wait(10) == 1
    assert recorded(root) == before
    assert all(identity.is_alive() for identity in before.values())


def test_dead_worker_is_started_again(launch: Launch, root: Path, given: dict[str, str]) -> None:
    """A program that ends is started again, and that is said."""
    up = launch(**given)
    up.read_until(READY)
    port = int(exported(root)["FIRMHOLD_URL"].rpartition(":")[2])
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    connection.request("POST", "/die")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    said = up.read_until("gateway started again")
    assert "gateway ended with exit code 3; starting it again in 0.5 s" in said


def test_dead_server_ends_all(launch: Launch, root: Path, given: dict[str, str]) -> None:
    """Without a server nothing can go on: it is named, its log shown, and nothing is left running."""
    up = launch(**given)
    up.read_until(READY)
    children = recorded(root)
    os.kill(children["redis"].pid, signal.SIGKILL)
    said = up.read_until("all stopped")
    assert "redis ended with SIGKILL" in said
    assert "redis.log" in said
    assert up.process.wait(10) == 1
    assert not any(identity.is_alive() for identity in children.values())


def test_step_that_fails_stops_all_and_shows_its_log(launch: Launch, root: Path, given: dict[str, str]) -> None:
    """A failing migration is told with the end of its log."""
    up = launch(**given, STAND_IN_FAILS="migrate")
    said = up.read_until("all stopped")
    assert "`firmhold migrate` ended with exit code 1" in said
    assert "migrate fails as it was told" in said
    assert up.process.wait(10) == 1
    assert recorded(root) == {}


def test_given_server_that_is_not_there_is_named(launch: Launch, given: dict[str, str]) -> None:
    """A URL that nobody answers at is told with the variable to mend or unset."""
    up = launch(**{**given, "FIRMHOLD_KAFKA": f"{LOOPBACK}:1"})
    said = up.read_until("all stopped")
    assert "FIRMHOLD_KAFKA is set" in said
    assert "unset FIRMHOLD_KAFKA" in said
    assert up.process.wait(10) == 1


def test_term_while_starting_is_heard(launch: Launch, root: Path) -> None:
    """`make down` need not wait until everything is up."""
    up = launch()
    up.read_until("redis serves")
    up.process.send_signal(signal.SIGTERM)
    assert "stopping (SIGTERM)" in up.read_until("all stopped")
    assert up.process.wait(10) == 0
    assert recorded(root) == {}


def test_program_that_keeps_dying_ends_all(tmp_path: Path) -> None:
    """Starting again has an end: after too many quick deaths the stack stops and says so."""
    places = places_at(tmp_path)
    places.make()
    stack = Stack(places, {}, Progress())
    child = stack.staying["worker"] = start_child(places, "worker", ["/bin/false"])
    child.process.wait(5)
    codes = [stack._heed(Ended(child, lived_s=0.1)) for _ in range(QUICK_DEATHS_MAX + 1)]
    assert codes == [None] * QUICK_DEATHS_MAX + [1]
    assert stack._heed(Ended(child, lived_s=3600)) is None, "a long life is forgiven"


def test_end_of_a_program_while_stopping_is_no_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker that is told to stop together with us, or a moment before, is not announced and not started again.

    Fails if ends are told without asking whether we stop, or how the program ended.
    """
    places = places_at(tmp_path)
    places.make()
    stack = Stack(places, {}, Progress(), ("/bin/true",))
    child = stack.staying["worker"] = start_child(places, "worker", ["/bin/true"])
    child.process.wait(5)
    assert stack._heed(Ended(child, lived_s=60)) is None
    stack._hear(signal.SIGTERM)
    assert stack._heed(Ended(child, lived_s=60)) is None
    assert stack._heed(StartAgain("worker")) is None
    assert stack.staying["worker"] is child
    assert capsys.readouterr().out == ""


def test_refusal_is_all_that_is_said(launch: Launch, root: Path) -> None:
    """A port in use is told in one line, with what to do, and nothing of servers that were never started."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        up = launch(FIRMHOLD_PORT=str(taken.getsockname()[1]))
        assert up.process.wait(20) == 1
    assert len(up.output.read().splitlines()) == 1


def test_lock_is_free_after_a_crash(tmp_path: Path) -> None:
    """The lock of a dead launcher holds nobody up, whatever its file says."""
    places = places_at(tmp_path)
    places.make()
    (places.run / "launcher.lock").write_text(json.dumps(os.getpid()))
    os.close(own(places))
