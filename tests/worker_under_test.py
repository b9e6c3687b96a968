"""A worker that dies, or pauses, at a named point, or keeps its events: a program of the tests, with hooks no setting reaches.

Usage: python -m tests.worker_under_test POINT [NTH [SIGNAL]]; when it gets there for the nth time, and only then, it sends
itself the signal, SIGKILL by default. Or: python -m tests.worker_under_test keep_events NTH; from the nth batch on it
sends nothing.

Death comes at the worst moment: just before it, Faust commits whatever has been acknowledged, as its timer might have.
Without that a worker would nearly always die with its last acknowledgements uncommitted, and those that were given too
early would do no harm.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from itertools import count
from typing import Any

import faust
import uvloop

from firmhold import logs
from firmhold.settings import Settings
from topics.producer import Acknowledgement, Record, SendAll
from workers.crash_points import CrashPoint, Hooks
from workers.main import run

COMMIT_SECONDS_MAX = 10.0
KEEP_EVENTS = "keep_events"

apps: list[faust.App] = []


async def keep_app(app: faust.App, /, *_: object, **__: object) -> None:
    """Remember the app that partitions are assigned to: nothing else hands it out."""
    apps[:] = [app]


def commit_now(app: faust.App) -> None:
    """Commit what is acknowledged at this very moment, without giving the event loop a turn.

    Faust's own way to do it would let the pipeline go on; the offsets are those that it would commit, and so is the
    thread that talks to Kafka.
    """
    consumer: Any = app.consumer
    offsets = consumer._filter_committable_offsets(list(consumer._filter_tps_with_pending_acks()))
    if offsets:
        thread = consumer._thread
        committing = asyncio.run_coroutine_threadsafe(thread._commit(offsets), thread.thread_loop)
        assert committing.result(COMMIT_SECONDS_MAX), "Kafka took the commit"


def hooks_for(point: CrashPoint, nth: int, number: signal.Signals) -> Hooks:
    """Return hooks that signal this process at the point, the nth time it is there."""
    visits = count(1)

    def die_if(reached: CrashPoint) -> None:
        if reached is point and next(visits) == nth:
            if number is signal.SIGKILL:  # who lives on must find Faust's books as they were
                commit_now(apps[0])
            os.kill(os.getpid(), number)

    def in_halves(send_all: SendAll) -> SendAll:
        async def send_halves(records: Sequence[Record]) -> Sequence[Acknowledgement]:
            half = len(records) // 2
            if not half:
                return await send_all(records)
            first = await send_all(records[:half])
            die_if(CrashPoint.AFTER_HALF_OF_EVENTS)
            return [*first, *await send_all(records[half:])]

        return send_halves

    return Hooks(reached=die_if, around_sending=in_halves)


def hooks_that_keep_events(nth: int) -> Hooks:
    """Return hooks that send nothing of the nth batch and later ones, as if Kafka had fallen silent."""
    batches = count(1)

    def silent(send_all: SendAll) -> SendAll:
        async def send(records: Sequence[Record]) -> Sequence[Acknowledgement]:
            if next(batches) >= nth:
                await asyncio.Event().wait()
            return await send_all(records)

        return send

    return Hooks(around_sending=silent)


def hooks_of_command_line() -> Hooks:
    """Return the hooks that the command line names."""
    if sys.argv[1] == KEEP_EVENTS:
        return hooks_that_keep_events(int(sys.argv[2]))
    point, nth, number = (*sys.argv[1:], *("1", "SIGKILL")[len(sys.argv) - 2 :])
    return hooks_for(CrashPoint(point), int(nth), signal.Signals[number])


def main() -> None:
    """Run a worker with the hooks that the command line names."""
    settings = Settings()
    logs.configure(settings)
    faust.App.on_partitions_assigned.connect(keep_app)
    uvloop.run(run(settings, hooks_of_command_line()))


if __name__ == "__main__":
    main()
