"""A gateway whose clock is wrong: started by tests, as a program of its own.

Usage: python -m tests.gateway_under_test SECONDS; its wall clock is so many seconds ahead, or behind if negative.
Everything that tells the date in Python is moved; time.monotonic is no date and stays.
"""

import ctypes
import datetime as dt
import gc
import sys
import time
from typing import Any

import uvloop

from firmhold import logs
from firmhold.settings import Settings
from gateway.main import run


def shift_clocks(seconds: float) -> None:
    """Move the wall clock of this process, and prove that it is moved."""
    true_time, true_time_ns, true_now = time.time, time.time_ns, dt.datetime.now
    before = true_now(dt.UTC)

    def now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
        del cls
        return true_now(tz) + dt.timedelta(seconds=seconds)

    def utcnow(cls: type[dt.datetime]) -> dt.datetime:
        del cls
        return true_now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + int(seconds * 1_000_000_000)
    # The type is built in: its methods can only be replaced in the dictionary behind its `__dict__`.
    members: dict[str, Any] = gc.get_referents(dt.datetime.__dict__)[0]
    members |= {"now": classmethod(now), "utcnow": classmethod(utcnow)}
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(dt.datetime))
    moved_seconds = (dt.datetime.now(dt.UTC).timestamp() - before.timestamp(), time.time() - before.timestamp())
    assert all(abs(moved - seconds) < 1 for moved in moved_seconds), moved_seconds


def main() -> None:
    """Run a gateway by the clock that the command line asks for."""
    shift_clocks(float(sys.argv[1]))
    settings = Settings()
    logs.configure(settings)
    uvloop.run(run(settings))


if __name__ == "__main__":
    main()
