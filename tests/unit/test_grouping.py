"""Commands of one resource that wait for the log share a record; nobody waits for a timer, and nobody is forgotten."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from gateway.grouping import GROUP_BYTES_MAX, Grouping
from tests.unit.builders import GATEWAY
from topics.commands import BATCH, BATCH_COMMANDS_MAX, Hold
from topics.log_records import Acknowledgement, Record
from topics.record import CommandEvent, command_event


class Log:
    """Takes records, and acknowledges each when told to."""

    def __init__(self) -> None:
        self.records: asyncio.Queue[tuple[Record, asyncio.Future[Acknowledgement]]] = asyncio.Queue()

    async def send_all(self, records: Sequence[Record]) -> Sequence[Acknowledgement]:
        """Wait for the acknowledgement of the one record."""
        (record,) = records
        acknowledged: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        self.records.put_nowait((record, acknowledged))
        return [await acknowledged]

    async def take(self) -> tuple[Record, asyncio.Future[Acknowledgement]]:
        """Return the next record."""
        return await asyncio.wait_for(self.records.get(), 5)


def event(number: int, room: str = "room-1", reference: str = "a") -> CommandEvent:
    """Return the event of a hold."""
    command = Hold(resource_id=room, client_reference=reference)
    return command_event("slots.commands", "slot", command, source="gateway/alice", command_id=f"key-{number}")


def type_of(record: Record) -> str:
    """Return the type of a record."""
    return dict(record.headers)["ce_type"].decode()


def ids_of(record: Record) -> list[str]:
    """Return the ids that a batch carries, in its order."""
    assert type_of(record) == BATCH
    parts = msgspec.json.decode(record.value or b"", type=list[dict[str, object]])
    return [str(part["id"]) for part in parts]


async def two_on_their_way(
    grouping: Grouping, log: Log
) -> tuple[list[asyncio.Task[Acknowledgement]], list[asyncio.Future[Acknowledgement]]]:
    """Return the sendings of as many records as may be on their way, and how each is acknowledged."""
    sending, acknowledge = [], []
    for number in range(2):
        sending.append(asyncio.create_task(grouping.send(event(number), 30)))
        record, acknowledged = await log.take()
        assert (type_of(record), dict(record.headers)["ce_id"]) == ("Hold", b"key-%d" % number)
        acknowledge.append(acknowledged)
    return sending, acknowledge


async def test_what_comes_meanwhile_goes_together() -> None:
    """Two go alone at once, the others in one record when one is acknowledged; each learns where its own lies.

    Fails if the first waits for others, or each command is sent by itself.
    """
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    sending, acknowledge = await two_on_their_way(grouping, log)
    sending += [asyncio.create_task(grouping.send(event(number), 30)) for number in range(2, 5)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert log.records.empty()
    acknowledge[0].set_result(Acknowledgement(3, 7, 1))
    third, acknowledge_third = await log.take()
    assert ids_of(third) == ["key-2", "key-3", "key-4"]
    acknowledge_third.set_result(Acknowledgement(3, 9, 2))
    acknowledge[1].set_result(Acknowledgement(3, 8, 2))
    assert [one.offset for one in await asyncio.gather(*sending)] == [7, 8, 9, 9, 9]


async def test_resources_do_not_wait_for_each_other() -> None:
    """Fails if one resource's commands queue behind another's."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    sending = [asyncio.create_task(grouping.send(event(0, room), 30)) for room in ("room-1", "room-2")]
    taken = [await log.take() for _ in sending]
    assert {record.key for record, _ in taken} == {b"room-1", b"room-2"}
    for _, acknowledged in taken:
        acknowledged.set_result(Acknowledgement(0, 0, 0))
    await asyncio.gather(*sending)


async def test_a_record_is_bounded() -> None:
    """In commands and in bytes. Fails without either bound."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    large = "x" * (GROUP_BYTES_MAX // 2)
    sizes: list[int] = []
    texts = ["a"] * (BATCH_COMMANDS_MAX + 5) + [large] * 4
    sending = [
        asyncio.create_task(grouping.send(event(number, reference=text), 30)) for number, text in enumerate(texts)
    ]
    while sum(sizes) < len(texts):
        record, acknowledged = await log.take()
        sizes.append(1 if type_of(record) == "Hold" else len(ids_of(record)))
        acknowledged.set_result(Acknowledgement(0, len(sizes), 0))
    await asyncio.gather(*sending)
    assert sizes == [BATCH_COMMANDS_MAX, 5 + 1, 1, 1, 1]


async def test_who_gives_up_before_his_turn_is_not_sent() -> None:
    """Fails if a command is published whose caller was told that it may not have been."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    sending, acknowledge = await two_on_their_way(grouping, log)
    impatient, patient = (asyncio.create_task(grouping.send(event(number), 30)) for number in (2, 3))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    for offset, acknowledged in enumerate(acknowledge):
        acknowledged.set_result(Acknowledgement(0, offset, 0))
    record, acknowledged = await log.take()
    assert (type_of(record), dict(record.headers)["ce_id"]) == ("Hold", b"key-3")
    acknowledged.set_result(Acknowledgement(0, 2, 0))
    await asyncio.gather(*sending, patient)


async def test_a_sending_that_nobody_waits_for_ends_and_the_next_one_begins_anew() -> None:
    """A log that is silent keeps no lane of a resource shut. Fails if the sending is not ended."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    lost = asyncio.create_task(grouping.send(event(0), 30))
    _, stuck = await log.take()
    lost.cancel()
    await asyncio.wait([lost])
    later = asyncio.create_task(grouping.send(event(1), 30))
    record, acknowledged = await log.take()
    assert dict(record.headers)["ce_id"] == b"key-1"
    assert stuck.cancelled()
    acknowledged.set_result(Acknowledgement(0, 1, 0))
    assert (await later).offset == 1


async def test_a_fault_is_told_to_all_whom_it_concerns_and_to_nobody_else() -> None:
    """Fails if one who waits is left waiting."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    first = [asyncio.create_task(grouping.send(event(number), 30)) for number in range(2)]
    _, acknowledged = await log.take()
    later = asyncio.create_task(grouping.send(event(2), 30))
    await asyncio.sleep(0)
    acknowledged.set_exception(ValueError("too large"))
    told = await asyncio.gather(*first, return_exceptions=True)
    assert [str(one) for one in told] == ["too large", "too large"]
    _, acknowledged = await log.take()
    acknowledged.set_result(Acknowledgement(0, 5, 0))
    assert (await later).offset == 5


async def test_what_is_undecided_holds_others_back_until_it_is_told() -> None:
    """Five are undecided and two come: they go when an event tells of the five, not before. Fails without the pace.

    Nothing but the event can let them go within the moment that they may be held back, as the clock does not move.
    """
    log, place = Log(), ("slots.commands", 3)
    grouping = Grouping(log.send_all, GATEWAY, clock_seconds=lambda: 0.0)
    sending = [asyncio.create_task(grouping.send(event(number), 30)) for number in range(5)]
    _, acknowledged = await log.take()
    acknowledged.set_result(Acknowledgement(3, 7, 1))
    await asyncio.gather(*sending)
    sending = [asyncio.create_task(grouping.send(event(number), 30)) for number in (5, 6)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert log.records.empty()
    grouping.note_decided(place, 7)
    record, acknowledged = await log.take()
    assert ids_of(record) == ["key-5", "key-6"]
    acknowledged.set_result(Acknowledgement(3, 8, 2))
    await asyncio.gather(*sending)


async def test_an_event_that_is_faster_than_the_acknowledgement_holds_nobody_back() -> None:
    """Fails if a record is taken for undecided that was told of before the log acknowledged it."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY, clock_seconds=lambda: 0.0)
    sending = [asyncio.create_task(grouping.send(event(number), 30)) for number in range(5)]
    _, acknowledged = await log.take()
    grouping.note_decided(("slots.commands", 3), 7)
    acknowledged.set_result(Acknowledgement(3, 7, 1))
    await asyncio.gather(*sending)
    later = asyncio.create_task(grouping.send(event(5), 30))
    _, acknowledged = await log.take()
    acknowledged.set_result(Acknowledgement(3, 8, 2))
    await later


async def test_nobody_waits_for_longer_than_he_may_and_is_not_sent_then() -> None:
    """Fails if a command is published after its caller was told that the log did not take it in time."""
    log = Log()
    grouping = Grouping(log.send_all, GATEWAY)
    sending, acknowledge = await two_on_their_way(grouping, log)
    with pytest.raises(TimeoutError):
        await grouping.send(event(2), 0.01)
    later = asyncio.create_task(grouping.send(event(3), 30))
    for offset, acknowledged in enumerate(acknowledge):
        acknowledged.set_result(Acknowledgement(3, 7 + offset, 1))
    await asyncio.gather(*sending)
    record, acknowledged = await log.take()
    assert (type_of(record), dict(record.headers)["ce_id"]) == ("Hold", b"key-3")
    acknowledged.set_result(Acknowledgement(3, 9, 2))
    await later
