"""Brings everything up in order, watches over it, and takes it down. It knows the order and nothing of how each is run.

The main thread heeds one happening at a time from a queue: up, failed, a child ended, time to start it again, stop.
Bringing up happens on a thread of its own, so that Ctrl-C is heard meanwhile.
"""

import shlex
import signal
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread, Timer
from typing import assert_never

from firmhold.local.console import Progress
from firmhold.local.failure import LocalError, StartCancelledError
from firmhold.local.places import Places, write_private
from firmhold.local.ports import next_free
from firmhold.local.processes import Child, kill_tree
from firmhold.local.programs import (
    FIRMHOLD,
    Programs,
    gateway_port,
    preferred_worker_port,
    program_environment,
    welcome,
)
from firmhold.local.servers import Servers, clean_up, own

IMPATIENT_AFTER_S = 1.0
QUICK_DEATH_S = 10.0
QUICK_DEATHS_MAX = 5
BACKOFF_FIRST_S = 0.5
BACKOFF_LONGEST_S = 8.0
OF_ONE_PROCESS = {"FIRMHOLD_HOST", "FIRMHOLD_PORT", "FIRMHOLD_WORKER_PORT", "FIRMHOLD_WORKER_ID"}


@dataclass(frozen=True)
class Up:
    """Everything serves."""


@dataclass(frozen=True)
class Failed:
    """Bringing up came to nothing."""

    error: BaseException


@dataclass(frozen=True)
class Ended:
    """A child that should stay has ended."""

    child: Child
    lived_s: float


@dataclass(frozen=True)
class StartAgain:
    """The pause before the next try of a program is over."""

    name: str


@dataclass(frozen=True)
class Stop:
    """Somebody asked for the end."""

    why: str


Happening = Up | Failed | Ended | StartAgain | Stop


def launch(
    places: Places, inherited: Mapping[str, str], progress: Progress, program: tuple[str, ...] = FIRMHOLD
) -> int:
    """Own the places, end what a crash left in them, bring everything up and stay; returns the exit code.

    Raises:
        AlreadyRunningError: somebody else owns them.

    """
    own(places)
    leftovers = clean_up(places)
    if leftovers:
        progress.note(f"ended what an earlier run had left behind: {', '.join(leftovers)}")
    return Stack(places, inherited, progress, program).run()


class Stack:
    """All of Firmhold in one checkout, in the foreground."""

    def __init__(
        self,
        places: Places,
        inherited: Mapping[str, str],
        progress: Progress,
        program: tuple[str, ...] = FIRMHOLD,
    ) -> None:
        self.places = places
        self.inherited = inherited
        self.progress = progress
        self.cancel = Event()
        self.stop_asked_at: float | None = None
        self.happenings: SimpleQueue[Happening] = SimpleQueue()
        names = ("kafka", "postgres", "redis")
        given = {name: inherited.get(f"FIRMHOLD_{name.upper()}", "") for name in names}
        self.servers = Servers.at(places, given, cancel=self.cancel, say=progress.note)
        self.port = 0
        self.worker_port = 0
        self.programs = Programs(places, self._environment, self.cancel, program)
        self.staying: dict[str, Child] = {}
        self.quick_deaths: dict[str, int] = {}

    def run(self) -> int:
        """Stay until stopped; returns the exit code. Needs the main thread, for its signals."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda caught, _: self._hear(signal.Signals(caught)))
        bringing_up = Thread(target=self._bring_up, name="bring-up", daemon=True)
        bringing_up.start()
        code = None
        while code is None:
            code = self._heed(self.happenings.get())
        self.cancel.set()
        bringing_up.join()
        self._take_down()
        return code

    def _hear(self, caught: signal.Signals) -> None:
        """Signal handler. A second Ctrl-C waits for nobody; one signal that arrives by two ways is not a second one."""
        now = time.monotonic()
        if self.stop_asked_at is None:
            self.stop_asked_at = now
        elif caught is signal.SIGINT and now - self.stop_asked_at > IMPATIENT_AFTER_S:
            for child in self._children():
                kill_tree(child.record.identity)
        self.cancel.set()
        self.happenings.put(Stop(caught.name))

    def _children(self) -> list[Child]:
        servers = [server.child for server in self.servers.ours if server.child is not None]
        return [*self.staying.values(), *servers]

    # Bringing up, on its own thread.

    def _bring_up(self) -> None:
        try:
            self.port = gateway_port(self.inherited)
            self._start_servers_and_prepare()
            self._start_programs()
            self._write_environment_file()
            self.happenings.put(Up())
        except Exception as error:  # noqa: BLE001 - whatever it is, the main thread tells it and stops all
            self.happenings.put(Failed(error))

    def _environment(self) -> dict[str, str]:
        """Tell firmhold's commands where everything is, as far as it is known by now."""
        return program_environment(self.places, self.inherited, self.servers.urls, self.port, self.worker_port)

    def _start_servers_and_prepare(self) -> None:
        """Migrate as soon as Postgres serves, make topics as soon as Kafka does, while the others still start."""
        with ThreadPoolExecutor(8) as pool:
            starting = self.servers.start_each(pool)

            def serve(name: str) -> None:
                starting[name].result()
                given = name in self.servers.given
                self.progress.done(f"{name} answers at its given URL" if given else f"{name} serves")

            def prepare(needs: str, *command: str) -> None:
                starting[needs].result()
                self._step(*command)

            steps = [pool.submit(serve, name) for name in starting]
            steps.append(pool.submit(prepare, "postgres", "migrate"))
            steps.append(pool.submit(prepare, "kafka", "topics", "create"))
            self._all_or_cancel(steps)
        for server in self.servers.ours:
            if server.child is not None:
                self._watch(server.child)

    def _start_programs(self) -> None:
        """Start gateway and worker together; the demo data goes in through the gateway."""

        def start(name: str) -> None:
            child = self.staying[name] = self.programs.start(name)
            self.programs.wait_ready(child)
            self._watch(child)
            self.progress.done(f"{name} is ready")

        def start_gateway_and_seed() -> None:
            start("gateway")
            self._step("seed")

        self.worker_port = next_free(preferred_worker_port(self.places), but=frozenset({self.port}))
        with ThreadPoolExecutor(2) as pool:
            self._all_or_cancel([pool.submit(start_gateway_and_seed), pool.submit(start, "worker")])

    def _all_or_cancel(self, steps: list[Future[None]]) -> None:
        """Wait for steps; the first that fails calls off the others and is what a person is told."""
        done, waiting = wait(steps, return_when=FIRST_EXCEPTION)
        if any(step.exception() for step in done):
            self.cancel.set()
            wait(waiting)
        errors = [error for error in (step.exception() for step in steps) if error is not None]
        if errors:
            raise next((error for error in errors if not isinstance(error, StartCancelledError)), errors[0])

    def _step(self, *command: str) -> None:
        self.programs.run(*command)
        self.progress.done(f"firmhold {' '.join(command)}")

    def _write_environment_file(self) -> None:
        """Tell other shells all that our own processes are told, so that they agree on topics, tokens and keys."""
        lines = [
            f"export {name}={shlex.quote(value)}"
            for name, value in sorted(self._environment().items())
            if name.startswith("FIRMHOLD_") and name not in OF_ONE_PROCESS
        ]
        write_private(self.places.environment_file, "\n".join(lines))

    # Watching, on the main thread.

    def _watch(self, child: Child) -> None:
        """Report the end of a child that should stay."""
        since = time.monotonic()

        def wait_for_end() -> None:
            child.process.wait()
            if not child.ending:
                self.happenings.put(Ended(child, time.monotonic() - since))

        Thread(target=wait_for_end, name=f"watch-{child.name}", daemon=True).start()

    def _heed(self, happening: Happening) -> int | None:
        """Act on what happened; an exit code is the end."""
        match happening:
            case Up():
                self.progress.show(welcome(self._environment(), self.places))
                return None
            case Failed(error):
                return self._tell_failure(error)
            case Ended(child, lived_s):
                return self._after_end(child, lived_s)
            case StartAgain(name):
                self._start_again(name)
                return None
            case Stop(why):
                self.progress.note(f"stopping ({why})")
                return 0
            case _:
                assert_never(happening)

    def _tell_failure(self, error: BaseException) -> int | None:
        if isinstance(error, StartCancelledError):
            return None  # a Stop, or the failure that called it off, is in the queue as well
        if isinstance(error, LocalError):
            self.progress.fail(str(error))
        else:
            self.progress.fail("".join(traceback.format_exception(error)))
        return 1

    def _after_end(self, child: Child, lived_s: float) -> int | None:
        """Start a program again; without a server nothing can go on. When all stop, an end is no news."""
        if self.stop_asked_at is not None:
            return None
        if self.staying.get(child.name) is not child:
            self.progress.fail(f"{child.name} ended with {child.exit_text()}; stopping all.\n{child.log_tail()}")
            return 1
        deaths = self.quick_deaths.get(child.name, 0) + 1 if lived_s < QUICK_DEATH_S else 1
        self.quick_deaths[child.name] = deaths
        if deaths > QUICK_DEATHS_MAX:
            self.progress.fail(
                f"{child.name} ended {deaths} times in a row within {QUICK_DEATH_S:.0f} s; stopping all.\n"
                f"{child.log_tail()}"
            )
            return 1
        pause_s = min(BACKOFF_FIRST_S * 2 ** (deaths - 1), BACKOFF_LONGEST_S)
        if child.process.returncode:  # else it was told to stop, maybe just before we are: then there is nothing to say
            self.progress.warn(
                f"{child.name} ended with {child.exit_text()}; starting it again in {pause_s:g} s. Its log: {child.log}"
            )
        timer = Timer(pause_s, self.happenings.put, [StartAgain(child.name)])
        timer.daemon = True
        timer.start()
        return None

    def _start_again(self, name: str) -> None:
        if self.stop_asked_at is not None:
            return
        child = self.staying[name] = self.programs.start(name, again=True)
        self._watch(child)
        self.progress.warn(f"{name} started again (process {child.process.pid})")

    # Taking down, on the main thread.

    def _take_down(self) -> None:
        """Stop in order: who takes requests, who decides them, then what they rest on."""
        self.places.environment_file.unlink(missing_ok=True)
        for name in ("gateway", "worker"):
            if name in self.staying:
                self.staying[name].stop()
        self.servers.stop()
        if self._children():
            self.progress.note("all stopped")
