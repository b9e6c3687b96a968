"""Commands straight to Kafka, as upstream services send them: unsigned, one in each record, all for one slot."""

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from firmhold.bench.cases import FIRMHOLD, IDLE_AGENT, Bench, Case, Group
from firmhold.bench.holds import MissingHoldsError, define_slots
from firmhold.bench.peers import CHECKOUT
from firmhold.bench.samples import Figures, figures_of
from topics import commands
from topics.catalogue import Catalogue
from topics.cloudevents import Envelope, encode
from topics.log_records import Record
from topics.producer import ResilientProducer

SOURCE = "bench"
RECORDS_AT_ONCE = 2_000
POLL_SECONDS = 0.02
SILENT_SECONDS_MAX = 30.0
_DECIDED = """
select extract(epoch from decided_at - arrived_at)::float8 as seconds
from requests
where source = $1 and claim_id like $2 || '-%' and resource_id = $3 and reason is null
"""
_HELD = "select count(*) from holds where resource_id = $1 and account = $2 and status = 'held'"


async def straight_to_kafka(bench: Bench) -> AsyncIterator[Group]:
    """Time from the first command until all are decided and told, of the whole heap at once."""

    async def of_firmhold(_: float) -> Figures:
        return await _decided(bench)

    async def of_idle_agent(_: float) -> Figures:
        return await _passed(bench)

    cases = [Case(FIRMHOLD, of_firmhold, warm_up=False)]
    if bench.constant is not None:
        cases.append(Case(IDLE_AGENT, of_idle_agent, warm_up=False))
    yield Group(f"{bench.commands:,} commands straight to Kafka", 0, cases, rounds_max=3)


def _records(topic: str, slot: str, run: str, count: int) -> list[Record]:
    data, key = commands.encode(commands.Hold(resource_id=slot)), slot.encode()
    return [
        Record(topic, key, data, encode(Envelope("Hold", SOURCE, f"{run}-{number}", data), "commands"))
        for number in range(count)
    ]


async def _publish(kafka: str, records: Sequence[Record]) -> None:
    producer = ResilientProducer(kafka, client_id="firmhold-bench")
    try:
        for begin in range(0, len(records), RECORDS_AT_ONCE):
            await producer.send_all(records[begin : begin + RECORDS_AT_ONCE])
    finally:
        await producer.stop()


async def _decided(bench: Bench) -> Figures:
    catalogue = Catalogue(bench.topic_prefix, bench.partitions)
    slot = f"bench-{uuid.uuid4().hex[:8]}"
    await define_slots(bench.firmhold, [slot])
    run = uuid.uuid4().hex[:12]
    records = _records(catalogue.commands("slot"), slot, run, bench.commands)
    places = [TopicPartition(catalogue.events("slot"), number) for number in range(bench.partitions)]
    connection = await asyncpg.connect(bench.postgres)
    consumer = AIOKafkaConsumer(bootstrap_servers=bench.kafka)
    try:
        await consumer.start()
        before = sum((await consumer.end_offsets(places)).values())
        began = time.perf_counter()
        publishing = asyncio.create_task(_publish(bench.kafka, records))
        told, told_at, decided = 0, began, 0
        while decided < bench.commands:
            await asyncio.sleep(POLL_SECONDS)
            ends = sum((await consumer.end_offsets(places)).values()) - before
            now = time.perf_counter()
            if ends > told:
                told, told_at = ends, now
            elif now - told_at > SILENT_SECONDS_MAX:
                raise MissingHoldsError(f"of {bench.commands} commands {told} were told of, then none for long")
            if told >= bench.commands:  # ends of an earlier run's holds may be among what was told
                decided = await connection.fetchval(_HELD, slot, f"kafka/{SOURCE}")
        seconds = time.perf_counter() - began
        await publishing
        return figures_of(await _latencies(connection, bench.commands, slot, run), seconds)
    finally:
        await consumer.stop()
        await connection.close()


async def _latencies(connection: asyncpg.Connection, count: int, slot: str, run: str) -> list[float]:
    """Return how long each command lay in the log before it was decided, by the servers' clocks; all must be held."""
    held = await connection.fetchval(_HELD, slot, f"kafka/{SOURCE}")
    rows = await connection.fetch(_DECIDED, SOURCE, run, slot)
    if not held == len(rows) == count:
        raise MissingHoldsError(f"{count} commands, {len(rows)} granted, {held} holds in the store")
    return [row["seconds"] for row in rows]


async def _passed(bench: Bench) -> Figures:
    """Let an agent that does nothing take the same records from a topic of its own."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, bench.partitions, 1)])
        records = _records(topic, "bench", uuid.uuid4().hex[:12], bench.commands)
        agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.peers.idle_agent", "--kafka", bench.kafka),
            *("--topic", topic, "--count", str(bench.commands)),
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await _line(agent, b"ready")
            began = time.monotonic()
            publishing = asyncio.create_task(_publish(bench.kafka, records))
            passed_at = await _line(agent, b"passed")
            await publishing
        finally:
            if agent.returncode is None:
                agent.kill()
            await agent.wait()
    finally:
        await admin.delete_topics([topic])
        await admin.close()
    seconds = float(passed_at) - began
    return _rate(bench.commands, seconds)


def _rate(count: int, seconds: float) -> Figures:
    return Figures(count=count, seconds=seconds, per_second=count / seconds, p50_ms=0, p99_ms=0, p999_ms=0)


async def _line(process: asyncio.subprocess.Process, word: bytes) -> bytes:
    """Return what stands behind the word on the line that begins with it."""
    if process.stdout is None:
        raise AssertionError
    async with asyncio.timeout(120):
        async for line in process.stdout:
            if line.startswith(word):
                return line.removeprefix(word).strip()
    raise MissingHoldsError("the idle agent ended before it was done")
