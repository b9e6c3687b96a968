"""How a long-lived process uses its memory: in pages of 2 MiB, and seldom looked through for garbage.

Gateway and worker take turns on a processor, and each begins with none of its memory's pages known: large ones saved both
some 5 % of their time. Python's own arenas are too small for the kernel to do it by itself. What is asked for is
MADV_COLLAPSE of Linux 6.1 (madvise(2)), which is about what is there: so it is asked for again, for what came since. Where
the kernel will not, nothing happens.
"""

import ctypes
import gc
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PAGE_BYTES: Final = 2 * 1024 * 1024
_MADV_COLLAPSE = 25
_YOUNG_OBJECTS_MAX = 20_000
_FIRST_SECONDS = 5.0  # what a process needs for good is there by then
_AGAIN_SECONDS = 30.0
_MAPS = Path("/proc/self/maps")


def tune_memory() -> None:
    """Begin, with a thread that ends with the process; each page is a call of half a millisecond without Python's lock."""
    # Under load thousands of short-lived objects are alive at once: the default would look through them every 700.
    gc.set_threshold(_YOUNG_OBJECTS_MAX)
    if _MAPS.exists():  # only Linux has it
        threading.Thread(target=_keep, args=(threading.Event(),), name="large-pages", daemon=True).start()


def _keep(never: threading.Event) -> None:
    collapse = ctypes.CDLL(None).madvise
    collapse.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    seconds = _FIRST_SECONDS
    while not never.wait(seconds):
        for address in large_pages_of(_MAPS.read_text().splitlines()):
            collapse(address, PAGE_BYTES, _MADV_COLLAPSE)
        seconds = _AGAIN_SECONDS


def large_pages_of(maps: Iterable[str]) -> Iterator[int]:
    """Return where there is a whole large page of private data, by the lines of /proc/self/maps (proc_pid_maps(5))."""
    for line in maps:
        addresses, access, _, _, inode, *path = line.split()
        if not access.startswith("rw") or not access.endswith("p") or inode != "0" or path not in ([], ["[heap]"]):
            continue
        begin, end = (int(address, 16) for address in addresses.split("-"))
        first = -(-begin // PAGE_BYTES) * PAGE_BYTES
        yield from range(first, end - PAGE_BYTES + 1, PAGE_BYTES)
