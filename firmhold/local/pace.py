"""Tells which Python runs it, and the processor seconds that it takes there for a small piece of work, as a line of JSON.

A program for `bootstrap.py`, run before anything is installed: it must know the standard library only. It fails where `.venv`
cannot be made.
"""

import ensurepip  # noqa: F401 - Debian keeps it, and with it `venv`, in a package of its own
import json
import platform
import sys
import time

TRIES = 10
HEAD = b"Host: firmhold\r\nContent-Type: application/json\r\nPrefer: wait=5"


class Hold:
    """What somebody holds."""

    def __init__(self, name: str, quantity: int) -> None:
        self.name = name
        self.quantity = quantity


class Shelf:
    """Units that are held and given back."""

    def __init__(self) -> None:
        self.free = 100
        self.holds: dict[str, Hold] = {}

    def hold(self, hold: Hold) -> None:
        """Take units."""
        if hold.quantity > self.free:
            raise ValueError(hold.name)
        self.free -= hold.quantity
        self.holds[hold.name] = hold

    def give_back(self, name: str) -> None:
        """Put them back."""
        self.free += self.holds.pop(name).quantity


def work() -> None:
    """Do what a gateway and a worker do all day: read what is asked, count it, keep it; about a millisecond."""
    shelf = Shelf()
    for number in range(500):
        pairs = (line.partition(b": ") for line in HEAD.split(b"\r\n"))
        headers = {name.lower(): value.decode() for name, _, value in pairs}
        hold = Hold(f"{headers[b'host']}-{number}", 1 + number % 3)
        shelf.hold(hold)
        shelf.give_back(hold.name)


def least_seconds() -> float:
    """Return the processor time of the quickest of some tries: what else the machine does only adds to it."""
    tries = []
    for _ in range(TRIES):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


def main() -> None:
    """Print it all; the list are the arguments of `bootstrap.unfit`."""
    libc = platform.libc_ver()[0]
    here = [platform.system(), platform.machine(), libc, platform.python_implementation(), list(sys.version_info[:2])]
    told = {"here": here, "version": platform.python_version(), "seconds": least_seconds()}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
