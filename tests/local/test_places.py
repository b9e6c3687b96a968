"""Secrets are made once and are private; folders of another user are refused in one line."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from firmhold.local.failure import LocalError
from firmhold.local.places import Places, write_private
from firmhold.local.unprivileged import can_pass


@pytest.fixture
def here(tmp_path: Path) -> Places:
    """Give places of the test's own."""
    places = Places(root=tmp_path / "local", downloads=tmp_path / "downloads")
    places.make()
    return places


def test_secret_is_made_once_and_private(here: Places) -> None:
    """The admin key is the same after each start, and nobody else's to read."""
    secret = here.kept_secret("admin.key")
    assert len(secret) == 48
    assert here.kept_secret("admin.key") == secret
    assert stat.S_IMODE((here.root / "admin.key").stat().st_mode) == 0o600


def test_private_file_replaces_what_was_half_written(here: Places) -> None:
    """A file left from a crash is no obstacle."""
    path = here.root / "stack.env"
    path.with_name("stack.env.new").write_text("half")
    write_private(path, "whole")
    assert path.read_text() == "whole\n"
    assert not path.with_name("stack.env.new").exists()


def test_data_of_another_user_is_refused_in_one_line(here: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's data is not half taken over by a user, nor the reverse."""
    monkeypatch.setattr(os, "geteuid", lambda: here.data.stat().st_uid + 1)
    with pytest.raises(LocalError, match=r"was made by user .*: run as that user") as caught:
        here.make()
    assert "\n" not in str(caught.value)


def test_forgetting_data_keeps_downloads_and_keys(here: Places) -> None:
    """After a reset the next start is quick and the admin key the same."""
    (here.data / "kafka").mkdir()
    (here.downloads / "jar").touch()
    key = here.kept_secret("admin.key")
    here.forget_data()
    assert not here.data.exists()
    assert (here.downloads / "jar").exists()
    assert here.kept_secret("admin.key") == key


def test_closed_folder_cannot_be_passed_by_another_user(tmp_path: Path) -> None:
    """A checkout below /root is closed to the user that runs Postgres for root."""
    open_way, closed = tmp_path / "open", tmp_path / "closed"
    for folder in (open_way, closed):
        (folder / "data").mkdir(parents=True)
    closed.chmod(0o700)
    owner, other = closed.stat().st_uid, closed.stat().st_uid + 1
    assert can_pass(closed / "data", owner)
    assert not can_pass(closed / "data", other)


def test_programs_that_start_beside_each_other_get_one_secret(tmp_path: Path) -> None:
    """Seen to fail (FileNotFoundError, or two secrets) without the lock: `make up` then stopped now and then, the first time."""
    places = Places(root=tmp_path, downloads=tmp_path)
    together = Barrier(8)

    def secret(name: str) -> str:
        together.wait()
        return places.kept_secret(name)

    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            assert len(set(pool.map(secret, [f"{number}.secret"] * 8))) == 1
