"""The environment is built once, anew when what it is built from changes, and never taken for whole when it is half.

Of two Pythons the faster one makes it, if nobody named one. Stand-ins play Pythons of some pace: how real ones compare hangs on
the machine.
"""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmhold.local import bootstrap
from firmhold.local.places import CHECKOUT

LOCK = "requirements.lock"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a checkout whose environment looks finished."""
    for name in (LOCK, "pyproject.toml", "Makefile"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    bootstrap.stamp_file(tmp_path).write_text(bootstrap.wanted_stamp(tmp_path))
    return tmp_path


def test_finished_environment_is_left_alone(checkout: Path) -> None:
    """The second `make` costs nothing."""
    assert bootstrap.is_complete(checkout)
    bootstrap.ensure_environment(checkout)
    assert not (checkout / ".local").exists(), "not even the lock was taken"


def test_other_lock_or_dependencies_make_it_stale(checkout: Path) -> None:
    """Both files decide what must be installed."""
    for name, old, new in ((LOCK, "aiohttp==", "aiohttp==9"), ("pyproject.toml", '"redis"', '"redis>=1"')):
        text = (checkout / name).read_text()
        (checkout / name).write_text(text.replace(old, new, 1))
        assert not bootstrap.is_complete(checkout)
        (checkout / name).write_text(text)
        assert bootstrap.is_complete(checkout)


def test_settings_of_the_tools_do_not_make_it_stale(checkout: Path) -> None:
    """Changing a lint rule installs nothing."""
    path = checkout / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 120", "line-length = 99"))
    assert bootstrap.is_complete(checkout)


def test_half_made_environment_is_not_taken_for_whole(checkout: Path) -> None:
    """Killed half-way there is no stamp; with its Python gone the stamp means nothing."""
    stamp = bootstrap.stamp_file(checkout)
    text = stamp.read_text()
    stamp.unlink()
    assert not bootstrap.is_complete(checkout)
    stamp.write_text(text)
    (checkout / ".venv/bin/python").unlink()
    assert not bootstrap.is_complete(checkout)


@pytest.mark.chaos
def test_python_of_an_activated_environment_makes_it_anew(checkout: Path) -> None:
    """It is removed before: the one behind it is at work. Seen to fail with `sys.executable` as it is."""
    bootstrap.stamp_file(checkout).unlink()
    here = checkout / "firmhold/local"
    here.mkdir(parents=True)
    shutil.copy(CHECKOUT / "firmhold/local/bootstrap.py", here)
    command = [str(checkout / ".venv/bin/python"), str(here / "bootstrap.py"), "venv"]
    environment = {**os.environ, "PIP_NO_INDEX": "1"}  # so it comes no farther than to pip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("pip could not install requirements.lock"), done.stderr


def test_environment_of_another_folder_is_stale(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A copied checkout has scripts that name the old place."""
    moved = tmp_path_factory.mktemp("moved") / "checkout"
    shutil.copytree(checkout, moved, symlinks=True)
    assert not bootstrap.is_complete(moved)


@pytest.mark.parametrize(
    ("machine", "version", "said"),
    [
        (("Linux", "x86_64", "glibc", "CPython"), (3, 11), None),
        (("Linux", "x86_64", "glibc", "CPython"), (3, 12), None),
        (("Linux", "x86_64", "glibc", "CPython"), (3, 13), "CPython 3.11 or 3.12"),
        (("Linux", "x86_64", "glibc", "PyPy"), (3, 11), "CPython 3.11 or 3.12"),
        (("Linux", "aarch64", "glibc", "CPython"), (3, 11), "Linux x86-64"),
        (("Linux", "x86_64", "", "CPython"), (3, 11), "glibc"),
        (("Darwin", "arm64", "", "CPython"), (3, 12), "Linux x86-64"),
    ],
)
def test_unfit_machines_are_told_so(
    machine: tuple[str, str, str, str], version: tuple[int, int], said: str | None
) -> None:
    """What is needed and what is here stand in the same line."""
    reason = bootstrap.unfit(*machine, version)
    assert (reason is None) if said is None else (said in (reason or ""))


def test_unfit_machine_with_servers_elsewhere_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three URLs are named, and enough."""
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(bootstrap.BootstrapError, match="FIRMHOLD_KAFKA, FIRMHOLD_POSTGRES, FIRMHOLD_REDIS") as caught:
        bootstrap.refuse_unfit({})
    assert "\n" not in str(caught.value)
    bootstrap.refuse_unfit(dict.fromkeys(bootstrap.URLS, "somewhere"))


def test_second_bootstrap_waits_for_the_first(checkout: Path) -> None:
    """Two at once do not write into each other's environment."""
    bootstrap.stamp_file(checkout).unlink()
    here = checkout / "firmhold/local"
    here.mkdir(parents=True)
    shutil.copy(CHECKOUT / "firmhold/local/bootstrap.py", here)
    (checkout / ".local").mkdir()
    with (checkout / ".local/bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen([sys.executable, str(here / "bootstrap.py"), "venv"], stdout=subprocess.PIPE)
        assert second.stdout is not None
        assert b"waiting" in second.stdout.readline()
        bootstrap.stamp_file(checkout).write_text(bootstrap.wanted_stamp(checkout))  # the first has finished
    assert second.wait(10) == 0
    second.stdout.close()


StandIn = Callable[..., str]


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    """Give programs that tell what a Python tells of its pace, make no environment, and leave a trace of every run."""

    def make(name: str, *seconds: float, version: tuple[int, int] = (3, 12), status: int = 0) -> str:
        here = ["Linux", "x86_64", "glibc", "CPython", version]
        path, lines = tmp_path / name, tmp_path / f"{name}.lines"
        lines.write_text(
            "\n".join(json.dumps({"here": here, "version": "3.12.9", "seconds": each}) for each in seconds)
        )
        path.write_text(
            "#!/bin/sh\n"
            f'echo "$@" >> {path}.trace\n'
            'test "$1" != -m || exit 1\n'
            f"n=$(( ($(wc -l < {path}.trace) - 1) % {max(len(seconds), 1)} + 1 ))\n"
            f'sed -n "${{n}}p" {lines}\n'
            f"exit {status}\n"
        )
        path.chmod(0o755)
        return str(path)

    return make


def runs_of(python: str) -> list[str]:
    """Return the arguments of every run of a stand-in."""
    trace = Path(f"{python}.trace")
    return trace.read_text().splitlines() if trace.exists() else []


def test_clearly_faster_python_is_taken(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told by how much, in one line. Seen to fail with the ratio upside down."""
    own, other = stand_in("own", 0.00097), stand_in("other", 0.00069)
    assert bootstrap.faster(own, other) == "3.12.9"
    assert capsys.readouterr().out == (
        f"firmhold: {other} is 1.4 times as fast as {own}: taking it (PYTHON=... names another)\n"
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"seconds": [0.9]}, id="hardly faster"),
        pytest.param({"seconds": [1.4]}, id="slower"),
        pytest.param({"seconds": [0.5], "version": (3, 13)}, id="another version"),
        pytest.param({"seconds": [0.5], "status": 1}, id="without venv"),
        pytest.param({"seconds": []}, id="silent"),
    ],
)
def test_other_python_is_left_alone(
    stand_in: StandIn, other: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked for stays, without a word. Seen to fail with each of the conditions left out."""
    rival = stand_in("other", *other.pop("seconds"), **other)
    assert bootstrap.faster(stand_in("own", 1.0), rival) is None
    assert bootstrap.faster(stand_in("own", 1.0), "/nowhere/python3") is None
    assert capsys.readouterr().out == ""


def test_a_busy_moment_decides_nothing(stand_in: StandIn) -> None:
    """A third of the runs of one were disturbed, or it was alone for some: neither makes it another Python.

    Seen to fail (taken) when the quickest run of each counts.
    """
    assert bootstrap.faster(stand_in("own", 1.0), stand_in("other", 1.0, 0.6, 1.0)) is None
    assert bootstrap.faster(stand_in("own2", 1.6, 1.0, 1.0), stand_in("other2", 1.0)) is None


def test_same_python_is_not_measured(stand_in: StandIn, tmp_path: Path) -> None:
    """Two names of one file, as on a machine with no Python but the system's. Seen to fail without `realpath`."""
    own, link = stand_in("own", 1.0), tmp_path / "link"
    link.symlink_to(own)
    assert bootstrap.faster(own, str(link)) is None
    assert runs_of(own) == []


def test_unfit_own_python_asks_no_other(stand_in: StandIn) -> None:
    """Where our stack cannot run, the system's Python may be anything: on a Mac it opens a window."""
    other = stand_in("other", 0.5)
    assert bootstrap.faster(stand_in("own", 1.0, version=(3, 10)), other) is None
    assert runs_of(other) == []


def test_pace_is_told_by_this_python() -> None:
    """By the program that really runs: its version, and about a millisecond."""
    told = bootstrap.pace_of(sys.executable)
    assert told is not None
    assert told[0] == platform.python_version()
    assert 0.0001 < told[1] < 0.1


@pytest.fixture
def rival(checkout: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a system's Python that is faster than any."""
    rival = stand_in("rival", 0.0000001)
    monkeypatch.setattr(bootstrap, "HERE", checkout)
    monkeypatch.setattr(bootstrap, "SYSTEM_PYTHON", rival)
    return rival


def test_faster_python_makes_the_environment(checkout: Path, rival: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It is told as the one at work, and must be able to; without the stamp what it left is half done, as ever.

    Seen to fail when it is found and not used, and when `--or-faster` is not heard.
    """
    bootstrap.stamp_file(checkout).unlink()
    assert bootstrap.main(["venv", "--or-faster"]) == 1
    assert runs_of(rival)[-1] == f"-m venv {checkout}/.venv"
    said = capfd.readouterr()
    assert "creating .venv with Python 3.12.9" in said.out
    assert "could not create .venv" in said.err
    assert not bootstrap.is_complete(checkout)


def test_finished_environment_measures_nothing(checkout: Path, rival: str) -> None:
    """A faster Python is no reason to build it anew, nor to look. Seen to fail when it is looked for before the stamp."""
    assert bootstrap.main(["venv", "--or-faster"]) == 0
    assert bootstrap.is_complete(checkout)
    assert runs_of(rival) == []


@pytest.mark.parametrize("where", ["nowhere", "command line", "environment"])
def test_only_a_python_that_nobody_named_gives_way(stand_in: StandIn, tmp_path: Path, where: str) -> None:
    """The Makefile tells. Seen to fail with the option always or never there."""
    python3, make = stand_in("python3"), shutil.which("make") or "make"
    named = {"PYTHON": python3} if where == "environment" else {}
    options = [f"PYTHON={python3}"] if where == "command line" else []
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **named}
    subprocess.run([make, "-C", str(CHECKOUT), *options, "venv"], env=environment, check=True, capture_output=True)
    assert runs_of(python3) == [f"firmhold/local/bootstrap.py venv{' --or-faster' if where == 'nowhere' else ''}"]


def test_lock_is_handed_to_pip(checkout: Path) -> None:
    """A bootstrap that is killed leaves its pip at work: the next waits for that too."""
    descriptor = bootstrap.locked(checkout)
    assert os.get_inheritable(descriptor)
    os.close(descriptor)


def test_lock_names_no_place_and_no_machine() -> None:
    """The lock is the same for everybody."""
    text = (CHECKOUT / LOCK).read_text()
    assert "--index-url" not in text
    assert "--find-links" not in text
    assert "://" not in text
    assert str(CHECKOUT) not in text
