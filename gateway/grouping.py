"""Put commands of one resource that come while an earlier one is on its way to the log into one record.

No timer: the first one goes at once, alone. What waits for it could not have been written sooner anyway, as aiokafka has
one request on its way to a broker. One record of many commands costs each worker one event of Faust's instead of many.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from topics.commands import BATCH_COMMANDS_MAX
from topics.producer import Acknowledgement, Record, SendAll
from topics.record import CommandEvent, batch_record, record_of
from topics.signatures import SigningKey

GROUP_BYTES_MAX = 256 * 1024
Key = tuple[str, bytes]


@dataclass(slots=True, eq=False)
class _Waiting:
    event: CommandEvent
    acknowledged: asyncio.Future[Acknowledgement] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True, eq=False)
class _Lane:
    """The commands of one resource: those on their way, and those behind them."""

    waiting: list[_Waiting] = field(default_factory=list)
    sent: list[_Waiting] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None


class Grouping:
    """Sends commands, those of one resource one record after the other."""

    def __init__(self, send_all: SendAll, signing_key: SigningKey) -> None:
        """Sign with this key, send by this way."""
        self._send_all = send_all
        self._signing_key = signing_key
        self._lanes: dict[Key, _Lane] = {}

    async def send(self, event: CommandEvent, seconds: float) -> Acknowledgement:
        """Return when the log has the command, where its record lies; raises what sending raises, TimeoutError at last.

        A command whose caller gives up before its turn, or whose time is over then, is not sent.
        """
        key = (event.topic, event.key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        one = _Waiting(event)
        lane.waiting.append(one)
        if lane.sending is None:
            lane.sending = asyncio.create_task(self._send_lane(key, lane))
        timer = asyncio.get_running_loop().call_later(seconds, _give_up, one)
        try:
            return await one.acknowledged
        except (asyncio.CancelledError, TimeoutError):
            self._leave(key, lane, one)
            raise
        finally:
            timer.cancel()

    async def send_record(self, record: Record) -> Acknowledgement:
        """Return when the log has a record that is no command, by itself; raises what sending raises."""
        (acknowledgement,) = await self._send_all([record])
        return acknowledgement

    def _leave(self, key: Key, lane: _Lane, one: _Waiting) -> None:
        """Take back a command whose turn did not come; end a sending for which nobody waits any more."""
        if one in lane.waiting:
            lane.waiting.remove(one)
        is_wanted = lane.waiting or not all(other.acknowledged.done() for other in lane.sent)
        if not is_wanted and lane.sending is not None:
            lane.sending.cancel()
            self._forget(key, lane)  # whoever comes next begins anew

    async def _send_lane(self, key: Key, lane: _Lane) -> None:
        try:
            while lane.waiting:
                lane.sent = _group(lane.waiting)
                del lane.waiting[: len(lane.sent)]
                await self._send_group(lane.sent)
        finally:
            self._forget(key, lane)

    def _forget(self, key: Key, lane: _Lane) -> None:
        if self._lanes.get(key) is lane:
            del self._lanes[key]

    async def _send_group(self, group: Sequence[_Waiting]) -> None:
        events = [one.event for one in group]
        try:
            record = (
                record_of(events[0], self._signing_key) if len(events) == 1 else batch_record(events, self._signing_key)
            )
            acknowledgement = await self.send_record(record)
        except Exception as fault:  # noqa: BLE001 - whoever waits for the record is told
            for one in group:
                if not one.acknowledged.done():
                    one.acknowledged.set_exception(fault)
            return
        for one in group:
            if not one.acknowledged.done():
                one.acknowledged.set_result(acknowledgement)


def _give_up(one: _Waiting) -> None:
    if not one.acknowledged.done():
        one.acknowledged.set_exception(TimeoutError())


def _group(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    """Return from the front what fits into one record; the first always does."""
    group: list[_Waiting] = []
    size = 0
    for one in waiting[:BATCH_COMMANDS_MAX]:
        size += len(one.event.envelope.data)
        if group and size > GROUP_BYTES_MAX:
            break
        group.append(one)
    return group
