"""Leftovers are recognised and ended; strangers are not."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from firmhold.local.failure import LocalError, StartCancelledError
from firmhold.local.places import Places
from firmhold.local.processes import Identity, Record, descendants, end_leftovers, kill_tree, start_child

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]
PARENT = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEPER!r})"]


@pytest.fixture
def here(tmp_path: Path) -> Places:
    """Give places of the test's own."""
    places = Places(root=tmp_path / "local", downloads=tmp_path / "downloads")
    places.make()
    return places


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that is none of the stack's."""
    with subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def test_leftover_is_ended_and_forgotten(here: Places) -> None:
    """The next launcher ends what a dead one left, by its record."""
    child = start_child(here, "gateway", SLEEPER)
    assert end_leftovers(here) == ["gateway"]
    assert child.process.wait(5) == -signal.SIGTERM
    assert list(here.run.glob("*.json")) == []
    assert end_leftovers(here) == []


def test_stranger_with_a_recycled_pid_is_left_alone(here: Places, stranger: subprocess.Popen[bytes]) -> None:
    """The pid is the record's, the start time is not: it is somebody else."""
    identity = Identity.of(stranger.pid)
    assert identity is not None
    for other in (replace(identity, started=identity.started - 1), replace(identity, boot="another")):
        Record("kafka", other, signal.SIGKILL, 1).write(here.run / "kafka.json")
        assert end_leftovers(here) == []
        assert stranger.poll() is None


def test_damaged_record_names_nobody(here: Places) -> None:
    """The machine may have died while a record was written."""
    for text in ("", "{", "[]", '{"name": "kafka"}'):
        (here.run / "kafka.json").write_text(text)
        assert end_leftovers(here) == []
        assert not (here.run / "kafka.json").exists()


def test_leftovers_end_in_the_given_order(here: Places) -> None:
    """Who takes requests goes before what it rests on."""
    children = [start_child(here, name, SLEEPER) for name in ("other", "postgres", "gateway")]
    assert end_leftovers(here, ["gateway", "postgres"]) == ["gateway", "postgres", "other"]
    for child in children:
        child.process.wait(5)


def test_child_that_does_not_stop_in_time_is_killed(here: Places) -> None:
    """Stopping always comes to an end."""
    child = start_child(here, "worker", DEAF, stop_within_s=0.2)
    child.wait_ready(lambda: "up" in child.log.read_text(), Event(), 10)
    child.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_kill_takes_all_below(here: Places) -> None:
    """A killed server leaves no process of its own behind."""
    child = start_child(here, "postgres", PARENT)
    child.wait_ready(lambda: "up" in child.log.read_text(), Event(), 10)
    below = descendants(child.process.pid)
    assert len(below) == 1
    child.kill()
    assert not below[0].is_alive()


def test_kill_of_one_that_is_gone_is_no_error(here: Places) -> None:
    """Whoever ended first, the result is the same."""
    child = start_child(here, "redis", ["/bin/true"])
    child.process.wait(5)
    child.kill()
    child.stop()


def test_children_of_a_stranger_with_a_recycled_pid_are_left_alone(here: Places) -> None:
    """Killing one that is gone kills nothing below whoever has its pid now."""
    stranger = start_child(here, "stranger", PARENT)
    stranger.wait_ready(lambda: "up" in stranger.log.read_text(), Event(), 10)
    kill_tree(replace(stranger.record.identity, started=-1))
    assert all(each.is_alive() for each in descendants(stranger.process.pid))
    assert not stranger.has_died()
    stranger.kill()


def test_child_that_dies_while_starting_shows_its_log(here: Places) -> None:
    """The end of the log and its place are in the message."""
    child = start_child(here, "kafka", [sys.executable, "-c", "print('no room on device'); raise SystemExit(7)"])
    with pytest.raises(LocalError, match=r"kafka ended with exit code 7(.|\n)*no room on device(.|\n)*kafka\.log"):
        child.wait_ready(lambda: False, Event(), 10)
    child.kill()


def test_waiting_ends_when_stopping_is_asked_for(here: Places) -> None:
    """Ctrl-C while something starts is heard at once."""
    cancel = Event()
    cancel.set()
    child = start_child(here, "kafka", SLEEPER)
    with pytest.raises(StartCancelledError):
        child.wait_ready(lambda: False, cancel, 10)
    child.kill()


def test_log_of_the_run_before_is_kept_once(here: Places) -> None:
    """What went wrong last time can still be read after a new start."""
    for word in ("first", "second"):
        child = start_child(here, "worker", [sys.executable, "-c", f"print('{word}')"])
        child.process.wait(5)
        child.stop()
    assert (here.logs / "worker.log").read_text() == "second\n"
    assert (here.logs / "worker.log.1").read_text() == "first\n"
