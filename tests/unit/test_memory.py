"""Which memory may lie in large pages, and that it does."""

import mmap
import re
from pathlib import Path

import pytest

from firmhold.memory import PAGE_BYTES, collapse_all, large_ranges

MIB = 2**20


def line(begin: int, end: int, access: str = "rw-p", inode: int = 0, path: str = "") -> bytes:
    """Return a line as the kernel writes it."""
    return f"{begin:x}-{end:x} {access} 00000000 00:00 {inode}".ljust(73).encode() + path.encode("latin-1")


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (2 * MIB, 4 * MIB, [(2 * MIB, 4 * MIB)]),
        (1 * MIB, 9 * MIB, [(2 * MIB, 8 * MIB)]),
        (3 * MIB, 5 * MIB, []),
        (2 * MIB + 4096, 4 * MIB, []),
        (2 * MIB, 4 * MIB - 4096, []),
        (0x7FE70EF00000, 0x7FE70FA00000, [(0x7FE70F000000, 0x7FE70FA00000)]),
    ],
)
def test_whole_pages_are_found(begin: int, end: int, found: list[tuple[int, int]]) -> None:
    """Fails if one reaches beyond its mapping, which may be somebody else's."""
    assert list(large_ranges([line(begin, end), b""])) == found


@pytest.mark.parametrize(
    ("access", "inode", "path", "is_ours"),
    [
        ("rw-p", 0, "[heap]", True),
        ("rw-p", 0, "[stack]", False),
        ("rw-p", 0, "[anon: a name]", False),
        ("rw-p", 77, "/lib/libssl.so", False),
        ("rw-p", 77, "/a name with \x85 and \xff", False),
        ("rw-s", 0, "", False),
        ("r--p", 0, "", False),
        ("r-xp", 0, "", False),
        ("---p", 0, "", False),
    ],
)
def test_only_private_data_is_moved(access: str, inode: int, path: str, *, is_ours: bool) -> None:
    """Neither code nor files nor what is shared with others."""
    assert bool(list(large_ranges([line(2 * MIB, 4 * MIB, access, inode, path)]))) is is_ours


def test_stacks_are_left_out() -> None:
    """They begin with a page that nobody may touch; what follows a stack is no stack."""
    guard, stack, data = line(2 * MIB - 4096, 2 * MIB, "---p"), line(2 * MIB, 10 * MIB), line(10 * MIB, 12 * MIB)
    assert list(large_ranges([guard, stack, data])) == [(10 * MIB, 12 * MIB)]


def test_what_is_used_is_in_large_pages_then() -> None:
    """If the kernel says so, and only then. Seen to fail with another advice."""
    with mmap.mmap(-1, 8 * PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as used:
        for place in range(0, len(used), mmap.PAGESIZE):
            used[place] = 1
        before = _large_bytes()
        assert (collapse_all() > 0) == (_large_bytes() > before)


def _large_bytes() -> int:
    found = re.search(r"AnonHugePages: +(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
    assert found is not None
    return int(found[1]) * 1024
