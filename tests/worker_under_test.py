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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import faust
import uvloop
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetCommitRequest
from faust.types import TP

from firmhold import logs
from firmhold.settings import Settings
from topics.log_records import Acknowledgement, Record
from topics.producer import SendAll
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

    Faust's own way to do it would let the pipeline go on, as its client lives on the same loop. The offsets are those that
    it would commit, and they are committed in its name, over a connection that another thread makes.
    """
    consumer: Any = app.consumer
    offsets = consumer._filter_committable_offsets(list(consumer._filter_tps_with_pending_acks()))
    if offsets:
        with ThreadPoolExecutor(1) as threads:
            committing = threads.submit(asyncio.run, committed(consumer._thread._consumer._coordinator, offsets))
            assert committing.result(COMMIT_SECONDS_MAX), "Kafka took the commit"


async def committed(member: GroupCoordinator, offsets: Mapping[TP, int]) -> bool:
    """Commit offsets as this member of its group; return whether Kafka took all of them."""
    places = [(tp.topic, [(tp.partition, offset, "")]) for tp, offset in offsets.items()]
    retention = OffsetCommitRequest.DEFAULT_RETENTION_TIME
    request = OffsetCommitRequest(member.group_id, member.generation, member.member_id, retention, places)
    client = AIOKafkaClient(bootstrap_servers=Settings().kafka)
    try:
        await client.bootstrap()
        node = await client.coordinator_lookup(CoordinationType.GROUP, member.group_id)
        answer = await client.send(node, request)
    finally:
        await client.close()
    return all(error == 0 for _topic, partitions in answer.topics for _partition, error in partitions)


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
