"""The command topic as a public ingress: no record that the broker takes may stop a worker or hide the next one."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError

from tests.installation import PARTITIONS, Client, Installation, eventually
from tests.integration.expectations import caused_by, fresh, headers_of
from tests.integration.ingress import HostileBatch, NotUtf8, headers, raw, send_batch
from topics.catalogue import MESSAGE_BYTES_MAX
from topics.commands import BATCH, Hold
from topics.log_records import Record
from topics.partitions import partition_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEAST_OVERHEAD_BYTES = 200  # of a record and its batch, beside what fills it
STEP_BYTES = 8


@pytest_asyncio.fixture(loop_scope="module")
async def slot(alice: Client) -> str:
    """Give a slot with room."""
    name = fresh("strange")
    assert (await alice.define(name, 100)).status == 201
    return name


async def still_works(running: Installation, slot: str) -> None:
    """Check that a command behind all others of this slot is decided, and that no process has ended."""
    last = str(uuid.uuid4())
    async with running.producer() as upstream:
        await upstream.send(upstream.record(Hold(resource_id=slot), command_id=last))
    (event,) = await caused_by(running, last)
    assert headers_of(event)["ce_type"] == "hold.placed"
    assert all(process.is_running for process in running.processes)


async def dead_letter(running: Installation, command_id: str) -> ConsumerRecord:
    """Return the dead letter of a command, as soon as there is one."""

    async def found() -> ConsumerRecord | None:
        records = await running.records(running.settings.catalogue().dead_letters("slot"))
        return next((record for record in records if headers_of(record).get("ce_id") == command_id), None)

    return await eventually(found, what=f"a dead letter of {command_id}")


def hold_of(slot: str) -> bytes:
    """Return the value of the plainest hold."""
    return b'{"resource_id":"%s"}' % slot.encode()


@pytest.mark.parametrize("attributes", [0, 0x80])
async def test_e66_header_name_that_is_no_text(running: Installation, slot: str, attributes: int) -> None:
    """A header name that is not UTF-8, or unknown attributes, do not stop a worker; the command is decided.

    Fails, with the worker dead again after each restart, if `read_strangers_records` is not called.
    """
    command_id = str(uuid.uuid4())
    home = partition_of(slot.encode(), PARTITIONS)
    strange = raw(running, slot, hold_of(slot), [*headers(command_id), (NotUtf8("name"), b"\xff")], home)
    await send_batch(running, HostileBatch(attributes=attributes), strange)
    (event,) = await caused_by(running, command_id)
    assert headers_of(event)["ce_type"] == "hold.placed"
    await still_works(running, slot)


async def test_e66_header_name_that_is_no_text_in_a_dead_letter(running: Installation, slot: str) -> None:
    """Such a record can be dead-lettered and forwarded too: its name is written as the text that was read."""
    command_id, home = str(uuid.uuid4()), partition_of(slot.encode(), PARTITIONS)
    for value, partition in ((b"{}", home), (hold_of(slot), (home + 1) % PARTITIONS)):
        strange = raw(running, slot, value, [*headers(command_id), (NotUtf8("name"), b"\xff")], partition)
        await send_batch(running, HostileBatch(), strange)
    found = await dead_letter(running, command_id)
    assert ("??name", b"\xff") in found.headers
    await caused_by(running, command_id, count=2)
    await still_works(running, slot)


async def test_e66_compression_of_any_kind(running: Installation, slot: str) -> None:
    """Strangers compress as they like, and no worker needs their codec.

    Fails, with the worker dead, if the catalogue does not let the broker unpack the command topics: aiokafka has no zstd.
    """
    command_id, home = str(uuid.uuid4()), partition_of(slot.encode(), PARTITIONS)
    record = raw(running, slot, hold_of(slot), headers(command_id), home)
    await send_batch(running, HostileBatch(zstd=True), record)
    (event,) = await caused_by(running, command_id)
    assert headers_of(event)["ce_type"] == "hold.placed"
    await still_works(running, slot)


async def test_e66_a_bomb_is_not_taken(running: Installation, slot: str) -> None:
    """What expands beyond the limit of a record is refused by the broker: it never reaches a worker's memory."""
    topic = running.settings.catalogue().commands("slot")
    bomb = bytes(4 * MESSAGE_BYTES_MAX)
    producer = AIOKafkaProducer(
        bootstrap_servers=running.urls.kafka, compression_type="gzip", max_request_size=2 * len(bomb)
    )
    await producer.start()
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, bomb, key=slot.encode(), headers=headers())
    finally:
        await producer.stop()
    await still_works(running, slot)


@pytest.mark.parametrize("aside", [0, 1])
@pytest.mark.parametrize("fill", ["value", "batch", "header"])
async def test_e66_the_largest_record(running: Installation, slot: str, fill: str, aside: int) -> None:
    """The largest record that the broker takes fits on the dead-letter topic, on the wrong partition too.

    Fails, with the worker dead, if both topics have one limit, or if too large a record is forwarded.
    """
    command_id = str(uuid.uuid4())
    partition = (partition_of(slot.encode(), PARTITIONS) + aside) % PARTITIONS

    def of_size(filler: bytes) -> Record:
        if fill == "header":
            return raw(running, slot, hold_of(slot), headers(command_id, ce_traceparent=filler), partition)
        with_headers = headers(command_id, ce_type=BATCH if fill == "batch" else "Hold")
        return raw(running, slot, hold_of(slot) + filler, with_headers, partition)

    sent = await send_largest(running, of_size)
    found = await dead_letter(running, command_id)
    shown = headers_of(found)
    assert (shown["firmhold-dlq-reason"], found.partition) == ("too_large", partition)
    assert (shown["firmhold-dlq-partition"], shown["firmhold-dlq-offset"]) == (str(partition), str(sent[1]))
    assert (found.value, list(found.headers[: len(sent[0].headers)])) == (sent[0].value, sent[0].headers)
    await still_works(running, slot)


async def send_largest(running: Installation, of_size: Callable[[bytes], Record]) -> tuple[Record, int]:
    """Send the largest record of a kind that the broker takes; return it and its offset."""
    producer = AIOKafkaProducer(bootstrap_servers=running.urls.kafka, max_request_size=2 * MESSAGE_BYTES_MAX)
    await producer.start()
    try:
        for spare in range(LEAST_OVERHEAD_BYTES, MESSAGE_BYTES_MAX, STEP_BYTES):
            record = of_size(b" " * (MESSAGE_BYTES_MAX - spare))
            with contextlib.suppress(MessageSizeTooLargeError):
                sent = await producer.send_and_wait(
                    record.topic, record.value, key=record.key, partition=record.partition, headers=list(record.headers)
                )
                return record, sent.offset
    finally:
        await producer.stop()
    raise AssertionError("the broker took none")


async def test_e66_hundred_strange_records_at_once(running: Installation, slot: str) -> None:
    """Bad records between good ones: each good one is decided, each bad one is put aside, none in another's place."""
    good = [str(uuid.uuid4()) for _ in range(50)]
    bad = [str(uuid.uuid4()) for _ in range(50)]
    records = []
    for number, (decided, rejected) in enumerate(zip(good, bad, strict=True)):
        records.append(raw(running, slot, hold_of(slot), headers(decided)))
        records.append(raw(running, slot, b"\xff" * number, headers(rejected)))
    async with running.producer() as upstream:
        await upstream.send(*records)
    await still_works(running, slot)
    events = await asyncio.gather(*(caused_by(running, command_id) for command_id in (good[0], good[-1])))
    assert [headers_of(event)["ce_type"] for (event,) in events] == ["hold.placed"] * 2
    await eventually(running.is_worked_off, what="every command is worked off")
    letters = await running.records(running.settings.catalogue().dead_letters("slot"))
    assert {headers_of(letter)["ce_id"] for letter in letters} >= set(bad)
    async with running.database() as database:
        assert await database.fetchval("select count(*) from requests where claim_id = any ($1)", good) == 50
        assert await database.fetchval("select count(*) from requests where claim_id = any ($1)", bad) == 0


async def test_gateway_reads_on_behind_a_strange_event(running: Installation, alice: Client, slot: str) -> None:
    """A gateway that finds such a record among the events answers the next waiter all the same, and stays ready.

    Fails if its reader is not tolerant; without it a waiter is only answered from Postgres when its wait is over.
    """
    topic, home = running.settings.catalogue().events("slot"), partition_of(slot.encode(), PARTITIONS)
    event = Record(topic, slot.encode(), b"{", [("ce_correlationid", b"\xff"), (NotUtf8("name"), b"")], home)
    await send_batch(running, HostileBatch(), event)
    started = time.monotonic()
    assert (await alice.hold(slot)).status == 201
    assert time.monotonic() - started < 15
    assert (await alice.call("GET", "/readyz")).status == 200
