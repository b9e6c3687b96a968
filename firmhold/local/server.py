"""What the three servers have in common: prepare, take a port, serve, stop, be killed. It knows no one of them."""

import os
import signal
from abc import ABC, abstractmethod
from threading import Event
from typing import ClassVar

from firmhold.local.failure import LocalError
from firmhold.local.places import Places
from firmhold.local.ports import next_free
from firmhold.local.processes import Child, start_child

PORT_TRIES = 5
PORT_TAKEN = "Address already in use"  # in the log of each of the three, as LC_ALL is C.UTF-8


class Server(ABC):
    """One server of the local stack with its data under `places.data`.

    Once started it keeps its port, also across `stop` and `start`.
    """

    name: ClassVar[str]
    preferred_port: int
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_within_s: ClassVar[float] = 10.0
    ready_within_s: ClassVar[float] = 60.0

    def __init__(self, places: Places, *, cancel: Event | None = None) -> None:
        self.places = places
        self.cancel = cancel or Event()
        self.port = 0
        self.child: Child | None = None
        self.user: int | None = None
        self.group: int | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @abstractmethod
    def prepare(self) -> None:
        """Make its data directory if there is none; what was half made before is made anew."""

    @abstractmethod
    def command(self) -> list[str]:
        """Give its command line for the present port."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Ask over its own protocol whether it serves, and is ours and not another checkout's."""

    def choose_ports(self) -> None:
        """Take the preferred port or the next free one."""
        self.port = next_free(self.preferred_port)

    def start(self) -> None:
        """Start it, unless it runs, and return when it serves.

        Raises:
            LocalError: with the end of its log.

        """
        if self.child is not None and not self.child.has_died():
            return
        self.places.make()
        self.prepare()
        settled = self.port != 0
        for last in [True] if settled else [False] * (PORT_TRIES - 1) + [True]:
            if not settled:
                self.choose_ports()
            self.child = start_child(
                self.places,
                self.name,
                self.command(),
                environment=self.environment(),
                user=self.user,
                group=self.group,
                stop_signal=self.stop_signal,
                stop_within_s=self.stop_within_s,
            )
            try:
                self.child.wait_ready(self.is_ready, self.cancel, self.ready_within_s)
            except LocalError:
                lost_its_port = self.child.has_died() and PORT_TAKEN in self.child.log.read_text(errors="replace")
                self.child.kill()
                if last or not lost_its_port:
                    raise
            except BaseException:
                self.child.kill()
                raise
            else:
                return

    def environment(self) -> dict[str, str]:
        """Give its environment: nothing of ours but the path and the language of messages."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def stop(self) -> None:
        """Stop it in order, if it runs."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """Kill it with all its processes, as a power cut would."""
        if self.child is not None:
            self.child.kill()
