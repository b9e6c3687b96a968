"""Starts, records and ends child processes. It must not know what they do.

Each child is recorded as pid, start time and boot: after a crash of the launcher the next one finds its own leftovers
by that, and a stranger who was given the same pid later is never taken for one. Signals go through a pidfd, so that
between the check and the signal the pid cannot change hands either.
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event

from firmhold.local.failure import LocalError, StartCancelledError
from firmhold.local.places import Places, user_name

PROBE_EVERY_S = 0.05
DEATH_WITHIN_S = 10.0
LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Identity:
    """Which process, in all the machine's life: a pid alone comes round again."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """Identify a live process; none if there is no such or only its remains."""
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if after_name[0] in "ZX":
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(pid=pid, started=int(after_name[19]), boot=boot)

    def is_alive(self) -> bool:
        """Tell whether that very process still runs."""
        return Identity.of(self.pid) == self


@dataclass(frozen=True)
class Record:
    """What is kept of a child on disk, enough for another launcher to end it."""

    name: str
    identity: Identity
    stop_signal: int
    stop_within_s: float

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """Read a record; a damaged one (the machine died while it was written) names nobody."""
        try:
            fields = json.loads(path.read_text())
            return cls(
                name=fields["name"],
                identity=Identity(**fields["identity"]),
                stop_signal=fields["stop_signal"],
                stop_within_s=fields["stop_within_s"],
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)

    def end(self) -> None:
        """Ask the process to stop; kill it with all below it if it does not in time."""
        handle = open_handle(self.identity)
        if handle is None:
            return
        try:
            signal.pidfd_send_signal(handle, self.stop_signal)
            if not wait_for_end(handle, self.stop_within_s):
                kill_tree(self.identity)
        except PermissionError as error:
            owner = user_name(Path(f"/proc/{self.identity.pid}").stat().st_uid)
            raise LocalError(
                f"{self.name} (process {self.identity.pid}) was started by {owner}: stop it as that user."
            ) from error
        finally:
            os.close(handle)


@dataclass
class Child:
    """A process that we started and will see end."""

    record: Record
    record_file: Path
    log: Path
    process: subprocess.Popen[bytes]
    ending: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """What the child is called in records, logs and lines to people."""
        return self.record.name

    def has_died(self) -> bool:
        """Tell whether the process has ended."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Ask it to stop, wait, and kill it if it does not in time."""
        self.ending = True
        if self.process.poll() is None:
            self.record.end()
        self._see_off()

    def kill(self) -> None:
        """Kill it and all below it at once, as a power cut would."""
        self.ending = True
        if self.process.poll() is None:
            kill_tree(self.record.identity)
        self._see_off()

    def _see_off(self) -> None:
        self.process.wait(DEATH_WITHIN_S)
        self.record_file.unlink(missing_ok=True)

    def wait_ready(self, is_ready: Callable[[], bool], cancel: Event, within_s: float) -> None:
        """Return when the child does its work.

        Raises:
            LocalError: it died, or was not ready in time; with the end of its log.
            StartCancelledError: `cancel` was set meanwhile.

        """
        deadline = time.monotonic() + within_s
        while not is_ready():
            if self.has_died():
                raise LocalError(f"{self.name} ended with {self.exit_text()} while starting.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise LocalError(f"{self.name} was not ready within {within_s:.0f} s.\n{self.log_tail()}")
            if cancel.wait(PROBE_EVERY_S):
                raise StartCancelledError

    def exit_text(self) -> str:
        """Say how the process ended."""
        code = self.process.poll()
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit code {code}"

    def log_tail(self) -> str:
        """Quote the end of its log, and say where the whole is."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([*(f"  | {line}" for line in lines), f"The whole log: {self.log}"])


def start_child(
    places: Places,
    name: str,
    command: list[str],
    *,
    environment: dict[str, str] | None = None,
    user: int | None = None,
    group: int | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    stop_within_s: float = 10.0,
    again: bool = False,
) -> Child:
    """Start a process in a session of its own (a Ctrl-C is for the launcher alone), logged and recorded.

    The log of the run before is kept once; `again` goes on in the same log.
    """
    log = places.logs / f"{name}.log"
    if log.exists() and not again:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
    # A child that ended already is not reaped yet: its stat file is there, though Identity.of sees no live process.
    identity = Identity.of(process.pid) or Identity(process.pid, -1, "")
    record = Record(name, identity, int(stop_signal), stop_within_s)
    record_file = places.run / f"{name}.json"
    record.write(record_file)
    return Child(record=record, record_file=record_file, log=log, process=process)


def end_leftovers(places: Places, order: Iterable[str] = ()) -> list[str]:
    """End what an earlier, dead launcher left running here; `order` names who goes first. Returns their names."""
    first = list(order)
    records = [(path, Record.read(path)) for path in places.run.glob("*.json")]
    records.sort(key=lambda found: first.index(found[1].name) if found[1] and found[1].name in first else len(first))
    ended = []
    for path, record in records:
        if record is not None and record.identity.is_alive():
            record.end()
            ended.append(record.name)
        path.unlink(missing_ok=True)
    return ended


def open_handle(identity: Identity) -> int | None:
    """Open a pidfd on that very process; none if it is gone."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return None
    if identity.is_alive():
        return handle
    os.close(handle)
    return None


def wait_for_end(handle: int, within_s: float) -> bool:
    """Wait for the end of the process behind a pidfd."""
    return bool(select.select([handle], [], [], within_s)[0])


def kill_tree(identity: Identity) -> None:
    """Kill a process and all below it, and wait until the kernel has taken them away; none if it is gone."""
    top = open_handle(identity)
    if top is None:  # what is below that pid now is a stranger's
        return
    handles = [top, *(open_handle(each) for each in descendants(identity.pid))]
    for handle in handles:
        if handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        if handle is not None:
            wait_for_end(handle, DEATH_WITHIN_S)
            os.close(handle)


def descendants(pid: int) -> list[Identity]:
    """Find all processes below one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    below, found = list(children.get(pid, [])), []
    while below:
        each = below.pop()
        below += children.get(each, [])
        identity = Identity.of(each)
        if identity is not None:
            found.append(identity)
    return found
