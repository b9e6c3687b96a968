"""A jar is used only if it is the one that was pinned."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from firmhold.local.failure import LocalError
from firmhold.local.jars import fetch, locked_jars

GOOD = hashlib.sha256(b"good").hexdigest()


@dataclass
class Repository:
    """Plays jgo's Maven context: downloads what is not there, in the order of `sends`."""

    folder: Path
    sends: list[bytes] = field(default_factory=list)

    def project(self, _group: str, _artifact: str) -> "Repository":
        """Name a project."""
        return self

    def at_version(self, _version: str) -> "Repository":
        """Name a version."""
        return self

    def artifact(self) -> "Repository":
        """Name the jar."""
        return self

    def resolve(self) -> Path:
        """Give the cached file, or download it."""
        path = self.folder / "a.jar"
        if not path.exists():
            path.write_bytes(self.sends.pop(0))
        return path


def test_lock_names_kafka_and_its_log_binding() -> None:
    """What is pinned is a whole Kafka that can write a log."""
    names = {coordinate.split(":")[1]: coordinate for coordinate in locked_jars()}
    assert names["kafka_2.13"].endswith(":4.1.0")
    assert "log4j-slf4j-impl" in names
    assert all(len(digest) == 64 for digest in locked_jars().values())


def test_download_that_was_cut_short_is_fetched_again(tmp_path: Path) -> None:
    """A run that was killed while downloading leaves half a jar; the next one mends that."""
    (tmp_path / "a.jar").write_bytes(b"go")
    path = fetch(cast("Any", Repository(tmp_path, [b"good"])), "g:a:1", GOOD)
    assert path.read_bytes() == b"good"


def test_other_jar_than_the_pinned_one_is_not_used(tmp_path: Path) -> None:
    """A changed jar is refused, and the message says which file."""
    with pytest.raises(LocalError, match=r"a\.jar"):
        fetch(cast("Any", Repository(tmp_path, [b"evil", b"evil"])), "g:a:1", GOOD)
