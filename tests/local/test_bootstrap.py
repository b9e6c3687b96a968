"""The environment is built once, anew when what it is built from changes, and never taken for whole when it is half."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

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
