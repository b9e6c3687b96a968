"""Which memory may lie in large pages."""

import pytest

from firmhold.memory import PAGE_BYTES, large_pages_of

MIB = 2**20


def line(begin: int, end: int, access: str = "rw-p", inode: int = 0, path: str = "") -> str:
    """Return a line as the kernel writes it."""
    return f"{begin:x}-{end:x} {access} 00000000 00:00 {inode}".ljust(73) + path


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (2 * MIB, 4 * MIB, [2 * MIB]),
        (1 * MIB, 8 * MIB, [2 * MIB, 4 * MIB, 6 * MIB]),
        (3 * MIB, 5 * MIB, []),
        (2 * MIB + 4096, 4 * MIB, []),
        (2 * MIB, 4 * MIB - 4096, []),
        (0x7FE70EF00000, 0x7FE70FA00000, [0x7FE70F000000 + n * PAGE_BYTES for n in range(5)]),
    ],
)
def test_whole_pages_are_found(begin: int, end: int, found: list[int]) -> None:
    """Fails if one reaches beyond its mapping, which may be somebody else's."""
    assert list(large_pages_of([line(begin, end)])) == found


@pytest.mark.parametrize(
    ("access", "inode", "path", "is_ours"),
    [
        ("rw-p", 0, "[heap]", True),
        ("rw-p", 0, "[stack]", False),
        ("rw-p", 0, "[anon: a name]", False),
        ("rw-p", 77, "/lib/libssl.so", False),
        ("rw-s", 0, "", False),
        ("r--p", 0, "", False),
        ("r-xp", 0, "", False),
        ("---p", 0, "", False),
    ],
)
def test_only_private_data_is_moved(access: str, inode: int, path: str, *, is_ours: bool) -> None:
    """Neither code nor files nor what is shared with others."""
    assert bool(list(large_pages_of([line(2 * MIB, 4 * MIB, access, inode, path)]))) is is_ours
