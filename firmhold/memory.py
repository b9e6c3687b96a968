"""How a long-lived process uses its memory: in pages of 2 MiB, and seldom looked through for garbage.

Gateway and worker take turns on a processor, and each begins with none of its memory's pages known: large ones saved both
some 5 % of their time, and made neither larger (81 and 97 MiB with them, 80 and 97 without). Python's own arenas are too
small for the kernel to do it by itself. What is asked for is MADV_COLLAPSE of Linux 6.1 (madvise(2)), of what there is: so it
is asked for again, for what came since. A range of which anything is used becomes resident as a whole; stacks are left out.
An operator turns it off as for everybody, with `never` in /sys/kernel/mm/transparent_hugepage/enabled.
"""

import ctypes
import gc
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PAGE_BYTES: Final = 2 * 1024 * 1024
_MADV_COLLAPSE = 25
_YOUNG_OBJECTS_MAX = 20_000
_FIRST_SECONDS = 5.0  # what a process needs for good is there by then
_AGAIN_SECONDS = 30.0
_MAPS = Path("/proc/self/maps")
_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def tune_memory() -> None:
    """Begin, with a thread that ends with the process. It waits in the kernel, without Python's lock."""
    # Under load thousands of short-lived objects are alive at once: the default would look through them every 700.
    gc.set_threshold(_YOUNG_OBJECTS_MAX)
    if _MAPS.exists() and _SWITCH.exists() and b"[never]" not in _SWITCH.read_bytes():  # only Linux has them
        threading.Thread(target=_keep, name="large-pages", daemon=True).start()


def _keep() -> None:
    time.sleep(_FIRST_SECONDS)
    while collapse_all():  # a kernel that does not know how is not asked again
        time.sleep(_AGAIN_SECONDS)


def collapse_all() -> int:
    """Put what memory there is into large pages; return of how many mappings the kernel did it, or had before."""
    collapse = ctypes.CDLL(None).madvise
    collapse.argtypes, collapse.restype = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int), ctypes.c_int
    large = large_ranges(_MAPS.read_bytes().split(b"\n"))
    return sum(collapse(begin, end - begin, _MADV_COLLAPSE) == 0 for begin, end in large)


def large_ranges(maps: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Return begin and end of the whole large pages of private data, by the lines of /proc/self/maps (proc_pid_maps(5)).

    What lies right behind memory that nobody may touch is a thread's stack.
    """
    guarded = -1
    for line in maps:
        addresses, access, _, _, inode, *path = line.split(maxsplit=5) or (b"0-0", b"", b"", b"", b"")
        begin, end = (int(address, 16) for address in addresses.split(b"-"))
        is_stack, guarded = begin == guarded, end if access == b"---p" else -1
        if access != b"rw-p" or inode != b"0" or is_stack or path not in ([], [b"[heap]"]):
            continue
        first, last = -(-begin // PAGE_BYTES) * PAGE_BYTES, end // PAGE_BYTES * PAGE_BYTES
        if first < last:
            yield first, last
