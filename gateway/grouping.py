"""Put commands of one resource that come while earlier ones are on their way into one record.

The first ones go at once. How long others are held back, so that a record has more of them, says `gateway.pacing`.
One record of many commands costs each worker one event of Faust's instead of many.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from gateway.pacing import FORGOTTEN_SECONDS, Pace, Place, Undecided
from topics.commands import BATCH_COMMANDS_MAX
from topics.log_records import Acknowledgement, Record
from topics.producer import SendAll
from topics.record import CommandEvent, batch_record, record_of
from topics.signatures import SigningKey

GROUP_BYTES_MAX = 256 * 1024
_RECORDS_MAX = 2  # of a resource on their way at once; what comes meanwhile can still be taken back
Key = tuple[str, bytes]


@dataclass(slots=True, eq=False)
class _Waiting:
    event: CommandEvent
    since: float
    acknowledged: asyncio.Future[Acknowledgement]


@dataclass(slots=True, eq=False)
class _Lane:
    """The commands of one resource: those on their way to the log, those behind them, and those that are undecided."""

    waiting: list[_Waiting] = field(default_factory=list)
    sent: dict[asyncio.Task[None], list[_Waiting]] = field(default_factory=dict)
    sending: asyncio.Task[None] | None = None
    pace: Pace = field(default_factory=Pace)
    news: asyncio.Future[None] | None = None

    def landed(self, task: "asyncio.Task[None]") -> None:
        """Take in that a record is there, or never will be."""
        self.pace.end(len(self.sent.pop(task)))
        self.wake()

    def wake(self) -> None:
        """Let the sending look again whether it is time."""
        if self.news is not None and not self.news.done():
            self.news.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Return when there is news, or after so many seconds."""
        loop = asyncio.get_running_loop()
        self.news = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self.news
        finally:
            timer.cancel()
            self.news = None


class Grouping:
    """Sends commands, those of one resource one record after the other."""

    def __init__(
        self, send_all: SendAll, signing_key: SigningKey, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Sign with this key, send by this way."""
        self._clock_seconds = clock_seconds
        self._send_all = send_all
        self._signing_key = signing_key
        self._lanes: dict[Key, _Lane] = {}
        self._undecided: Undecided[_Lane] = Undecided()

    async def send(self, event: CommandEvent, seconds: float) -> Acknowledgement:
        """Return when the log has the command, where its record lies; raises what sending raises, TimeoutError at last.

        A command whose caller gives up before its turn, or whose time is over then, is not sent.
        """
        key = (event.topic, event.key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        loop = asyncio.get_running_loop()
        one = _Waiting(event, self._clock_seconds(), loop.create_future())
        lane.waiting.append(one)
        if lane.sending is None:
            # In a context of its own: it sends for others, too, whose log lines are not about this request.
            lane.sending = loop.create_task(self._send_lane(key, lane), context=Context())
        else:
            lane.wake()
        timer = loop.call_later(seconds, _give_up, one)
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

    def note_decided(self, place: Place, offset: int) -> None:
        """Take in that the record at this offset, and so all before it on its partition, is decided."""
        for lane in self._undecided.decide(place, offset):
            lane.pace.decide(offset)
            lane.wake()

    def _leave(self, key: Key, lane: _Lane, one: _Waiting) -> None:
        """Take back a command whose turn did not come; end a sending for which nobody waits any more."""
        if one in lane.waiting:
            lane.waiting.remove(one)
        is_wanted = lane.waiting or not all(other.acknowledged.done() for sent in lane.sent.values() for other in sent)
        if not is_wanted and lane.sending is not None:
            lane.sending.cancel()
            for task in lane.sent:
                task.cancel()
            self._forget(key, lane)  # whoever comes next begins anew

    async def _send_lane(self, key: Key, lane: _Lane) -> None:
        try:
            while await self._is_time(lane):
                lane.waiting = [one for one in lane.waiting if not one.acknowledged.done()]
                group = _group(lane.waiting)
                if not group:
                    continue
                del lane.waiting[: len(group)]
                lane.pace.begin(len(group))
                task = asyncio.create_task(self._send_group(key, lane, group))
                lane.sent[task] = group
                task.add_done_callback(lane.landed)
        finally:
            self._forget(key, lane)

    async def _is_time(self, lane: _Lane) -> bool:
        """Return when what waits is to go; False if nothing does, and nothing is undecided any more."""
        while lane.waiting or not lane.pace.is_idle(self._clock_seconds()):
            if not lane.waiting:
                await lane.wait(FORGOTTEN_SECONDS)
                continue
            pause_seconds = lane.pace.pause_seconds(len(lane.waiting), lane.waiting[0].since, self._clock_seconds())
            has_room = len(lane.sent) < _RECORDS_MAX
            if pause_seconds <= 0 and has_room:
                return True
            await lane.wait(pause_seconds if has_room else FORGOTTEN_SECONDS)
        return False

    def _note_sent(self, lane: _Lane, place: Place, offset: int, commands: int) -> None:
        now = self._clock_seconds()
        if self._undecided.send(place, offset, lane, now):
            lane.pace.send(offset, commands, now)

    def _forget(self, key: Key, lane: _Lane) -> None:
        if self._lanes.get(key) is lane:
            del self._lanes[key]

    async def _send_group(self, key: Key, lane: _Lane, group: Sequence[_Waiting]) -> None:
        """Send a record, and tell all who wait for it."""
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
        self._note_sent(lane, (key[0], acknowledgement.partition), acknowledgement.offset, len(group))


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
