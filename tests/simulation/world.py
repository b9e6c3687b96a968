"""A world of processes on one thread, with one clock and one seed: an event loop that is also their operating system.

Everything that runs belongs to a process, by its context. Within a process things run in the order in which an event loop
would run them; which process is next, the seed decides. Time stands still while anything can run. A process that is killed
never runs again, not even to clean up; one that is paused is run when it goes on, like a machine that slept.
"""

import asyncio
import hashlib
import heapq
from asyncio import BaseEventLoop, Handle, Task
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

from tests.twins.line import Unplugged

_process: ContextVar["Process"] = ContextVar("process")


class Killed(Unplugged):
    """Ends the step during which a process was killed; nothing may catch it, and nothing that it passes can be seen."""


class StuckError(AssertionError):
    """The world ran for longer than it may: something turns in a circle or never ends."""


class Process:
    """Something that lives, may be paused and dies on its own."""

    def __init__(self, world: "World", name: str) -> None:
        """Belong to a world."""
        self.name = name
        self.waiting: deque[Handle] = deque()
        self.is_alive = True
        self.is_paused = False
        self.steps = 0
        self.dies_at_step: int | None = None
        self._pauses_at_step: int | None = None
        self.on_death: Callable[[], None] = lambda: None
        self._world = world
        self._context = copy_context()
        self._context.run(_process.set, self)

    def start(self, work: Coroutine[Any, Any, Any]) -> Task[Any]:
        """Run a coroutine as a task of this process."""
        return self._world.keep(self._world.create_task(work, context=self._context.copy()))

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        self.is_alive = False
        self.waiting.clear()
        self._world.processes.remove(self)
        self._world.note(f"{self.name} is dead")
        self.on_death()

    def pause(self) -> None:
        """Stop it where it is, as SIGSTOP does; what it asked of others goes on."""
        if self.is_alive and not self.is_paused:
            self.is_paused = True
            self._world.note(f"{self.name} is paused")

    def pause_at_step(self, step: int) -> None:
        """Stop it when it has made so many steps."""
        self._pauses_at_step = step

    def resume(self) -> None:
        """Let it go on, as SIGCONT does."""
        self._pauses_at_step = None
        if self.is_paused:
            self.is_paused = False
            self._world.note(f"{self.name} goes on")

    def count_step(self) -> None:
        """Count a step that it made, and stop or end it if that was the one."""
        self.steps += 1
        if self.is_alive and self.dies_at_step is not None and self.steps >= self.dies_at_step:
            self.kill()
        if self._pauses_at_step is not None and self.steps >= self._pauses_at_step:
            self._pauses_at_step = None
            self.pause()

    def die(self) -> None:
        """End it from inside, at this very step."""
        self.kill()
        raise Killed


class World(BaseEventLoop):
    """The event loop."""

    def __init__(self, seed: int, *, steps_max: int = 3_000_000) -> None:
        """Begin at time zero; the same seed makes the same world."""
        super().__init__()
        self._now = 0.0
        self._choice = Random(f"{seed}/world")
        self._steps_max = steps_max
        self._kept: list[Task[Any]] = []
        self._digest = hashlib.sha256()
        self.steps = 0
        self.trace: list[str] = []
        self._director = Process(self, "director")
        self.processes = [self._director]

    def time(self) -> float:
        """Return the seconds since the world began."""
        return self._now

    def process(self, name: str) -> Process:
        """Add a process."""
        process = Process(self, name)
        self.processes.append(process)
        return process

    def context_of(self, name: str) -> Context:
        """Return a context in which things are done by the process of this name."""
        return next(process for process in self.processes if process.name == name)._context.copy()

    def keep(self, task: Task[Any]) -> Task[Any]:
        """Keep a task from being collected: what a dead process leaves must not run its `finally`."""
        self._kept.append(task)
        return task

    def note(self, what: str) -> None:
        """Write a line of the trace."""
        process = _process.get(self._director).name
        line = f"{self._now:9.3f}  {process:<10} {what}"
        self.trace.append(line)
        self.take_in(line)

    def take_in(self, what: str) -> None:
        """Let the digest know of something that is too frequent for the trace."""
        self._digest.update(what.encode())

    def digest(self) -> str:
        """Return what tells two runs apart that differ in any line of their traces, or in what was digested."""
        return self._digest.hexdigest()[:16]

    def create_task(self, coro: Any, **options: Any) -> Task[Any]:  # noqa: ANN401 - as asyncio has it
        """Create a task and keep it."""
        return self.keep(super().create_task(coro, **options))

    def _run_once(self) -> None:
        """Let one process make one step; if none can, let time pass up to the next timer."""
        self._hand_out()
        able = [process for process in self.processes if process.waiting and not process.is_paused]
        while not able:
            self._pass_time()
            self._hand_out()
            able = [process for process in self.processes if process.waiting and not process.is_paused]
        process = able[self._choice.randrange(len(able))] if len(able) > 1 else able[0]
        handle = process.waiting.popleft()
        if handle.cancelled():
            return
        self.steps += 1
        if self.steps > self._steps_max:
            raise StuckError(f"the world made {self.steps} steps and is not at its end, at {self._now:.1f} s")
        handle._run()
        process.count_step()

    def _hand_out(self) -> None:
        """Give each process what is ready of it."""
        ready: deque[Handle] = self._ready  # type: ignore[attr-defined] # BaseEventLoop's own
        while ready:
            handle = ready.popleft()
            context: Context = handle._context  # type: ignore[attr-defined] # the same
            process = context.get(_process, self._director)
            if process.is_alive:
                process.waiting.append(handle)

    def _pass_time(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # the same
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)
        if not scheduled:
            raise StuckError("nothing can run and nothing will happen")
        self._now = max(self._now, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined] # as BaseEventLoop does
            if not timer.cancelled():
                self._ready.append(timer)  # type: ignore[attr-defined] # the same

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Count nothing: `_pass_time` drops what is cancelled."""

    def _write_to_self(self) -> None:
        """Wake nobody: there is one thread."""
