"""Count calls of Python functions and of C functions, and statements that Postgres is sent. Both are the same every time."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import FrameType
from typing import cast

import asyncpg

from schema.rows import Pool, Resource, ResourceKey
from schema.store import Connection, Transaction
from tests.unit.builders import GATEWAY, PARTITIONS, START, arrived, envelope_of, record, signed_record
from topics.catalogue import Catalogue
from topics.commands import Cancel, Command, Confirm, Hold
from topics.identifiers import hold_id_of
from topics.record import batch_record, command_event
from topics.resources import Counters, Settings
from topics.signatures import KeyRing
from workers.applying import Applied, Applier
from workers.core.batch import Arrived, BatchDecision, Known, decide_batch
from workers.core.kinds.registry import KINDS
from workers.core.state import State
from workers.crash_points import Hooks
from workers.emitting import Emitter
from workers.reading import Ordered, Reader

COMMANDS = 100
ROOM = "room-1"
RETENTION = timedelta(days=14)
KEY = ResourceKey("slot", ROOM)


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions `work` calls; what is made at the first call only (caches) is not counted."""
    work()
    count = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def commands_of(make: Callable[[int], Command]) -> list[Arrived]:
    """Return commands with a claim each."""
    return [arrived(make(number), claim=f"claim-{number}", offset=number) for number in range(COMMANDS)]


def holds() -> list[Arrived]:
    """Return holds of the one room."""
    return commands_of(lambda _: Hold(resource_id=ROOM))


def decided(commands: Sequence[Arrived], *, capacity: int = COMMANDS) -> BatchDecision:
    """Decide commands on a room of so many units."""
    settings = Settings(hold_seconds=300, max_hold_seconds=1800)
    resource = Resource(1, settings, Counters(capacity, 0, 0, capacity, 0), START)
    state = State(KEY, resource, {"units": Pool(capacity, 0, 0, capacity)})
    return decide_batch(
        commands,
        states={KEY: state},
        known=Known({}, {}),
        kinds=KINDS,
        decided_at=START,
        request_retention=RETENTION,
    )


def then(first: Sequence[Arrived], after: Callable[[str], Command]) -> list[Arrived]:
    """Return the commands, and behind each hold another command of it."""
    later = [
        arrived(after(hold_id_of(one.request_id)), claim=f"then-{one.claim_id}", offset=COMMANDS + one.offset)
        for one in first
    ]
    return [*first, *later]


def costs_of_core() -> dict[str, int]:
    """Return the calls for a batch of each kind."""
    confirms = then(holds(), lambda hold_id: Confirm(resource_id=ROOM, hold_id=hold_id))
    cancels = then(holds(), lambda hold_id: Cancel(resource_id=ROOM, hold_id=hold_id))
    return {
        "core: holds granted": calls_of(lambda: decided(holds())) - calls_of(holds),
        "core: holds refused": calls_of(lambda: decided(holds(), capacity=0)) - calls_of(holds),
        "core: holds confirmed": calls_of(lambda: decided(confirms)),
        "core: holds cancelled": calls_of(lambda: decided(cancels)),
    }


def costs_of_shell() -> dict[str, int]:
    """Return the calls for reading records, one by one and as batches, and for making those of the events."""
    reader = Reader(KeyRing([GATEWAY]), PARTITIONS)
    single = signed_record(envelope_of(Hold(resource_id=ROOM)))
    events = [
        command_event("slots.commands", "slot", Hold(resource_id=ROOM), source="gateway/alice", command_id=str(number))
        for number in range(COMMANDS // 2)
    ]
    made = batch_record(events, GATEWAY)
    grouped = record(made.key, made.value, made.headers)
    commands = holds()
    items = [Ordered(single, one, None) for one in commands]
    decision = decided(commands)
    emitter = Emitter(Catalogue())
    applied = Applied(decision.outcomes, dict(decision.versions))
    return {
        "reading: records": calls_of(lambda: [list(reader.read(single)) for _ in range(COMMANDS)]),
        "reading: two batches": calls_of(lambda: [list(reader.read(grouped)) for _ in range(2)]),
        "emitting: events": calls_of(lambda: emitter.records(items, applied)),
    }


@asynccontextmanager
async def counting_applier(postgres_url: str) -> AsyncIterator[tuple[Applier, list[str]]]:
    """Give an applier on a real Postgres, and the statements that were sent so far."""
    statements: list[str] = []
    connection = await asyncpg.connect(postgres_url)
    connection.add_query_logger(lambda logged: statements.append(logged.query))

    @asynccontextmanager
    async def transaction(*, is_locking: bool = True) -> AsyncIterator[Transaction]:
        async with AsyncExitStack() as stack:
            if is_locking:
                await stack.enter_async_context(connection.transaction())
            yield Transaction(cast("Connection", connection), is_locking=is_locking)

    try:
        yield (
            Applier(transaction, request_retention=RETENTION, expiries_max=100, reached=Hooks().reached),
            statements,
        )
    finally:
        await connection.close()
