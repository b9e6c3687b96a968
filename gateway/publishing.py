"""Put commands on the log, or say at once that it cannot be done: bounded in number, watched for silence and backlog."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from firmhold.exposition import Histogram
from firmhold.metrics import PUBLISH_SECONDS
from gateway.grouping import Grouping
from gateway.offsets import OffsetsUnavailableError, OffsetWatch, Reading
from gateway.shedding import Backlog, Breaker, Cause
from topics.catalogue import KINDS, Catalogue
from topics.log_records import Acknowledgement, Record
from topics.record import CommandEvent

_log = structlog.get_logger(__name__)
_PROBE_TIMEOUT_MS = 1_000
_STALE_READINGS = 10
_RETRY_AFTER_SECONDS_MAX = 30
_SHARE_OF_HOLDS = 0.75

Place = tuple[str, int]


class NotTakenError(Exception):
    """Nothing was published, for this cause; worth another try after so many seconds."""

    def __init__(self, cause: Cause, retry_after_seconds: int) -> None:
        """Say why."""
        super().__init__(cause.value)
        self.cause = cause
        self.retry_after_seconds = retry_after_seconds


class UnacknowledgedError(Exception):
    """It was tried, and the log did not say in time that it has the record: it may or may not."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The named bounds of publishing."""

    publish_seconds: float
    publications_max: int
    silent_seconds: float
    probe_seconds: float
    backlog_age_seconds: float
    backlog_poll_seconds: float
    retry_after_seconds: int


class Publisher:
    """Publishes the commands of requests, as long as the log takes them."""

    def __init__(
        self,
        grouping: Grouping,
        bootstrap_servers: str,
        offsets: OffsetWatch,
        catalogue: Catalogue,
        bounds: Bounds,
    ) -> None:
        """Prepare; `watch_log` and `watch_backlog` run beside it."""
        self._grouping = grouping
        self._bootstrap_servers = bootstrap_servers
        self._offsets = offsets
        self._places: Sequence[Place] = [
            (catalogue.commands(kind), partition) for kind in KINDS for partition in range(catalogue.partitions)
        ]
        self._bounds = bounds
        self._breaker = Breaker(bounds.silent_seconds)
        self._backlog: Backlog[Place] = Backlog(_STALE_READINGS * bounds.backlog_poll_seconds)
        self._opened = asyncio.Event()
        self._kinds = {catalogue.commands(kind): kind for kind in KINDS}
        self._lag_read_at = time.monotonic()
        self.lag: Mapping[tuple[str, ...], float] = {}
        self.seconds = Histogram(PUBLISH_SECONDS)
        self.refusals: Counter[Cause] = Counter()

    @property
    def in_flight(self) -> int:
        """Return how many records are on their way."""
        return len(self._breaker)

    @property
    def is_silent(self) -> bool:
        """Tell whether the log is taken for silent."""
        return self._breaker.is_open

    def note_decided(self, place: Place, offset: int) -> None:
        """Take in that the record at this offset is decided: events tell it sooner than committed offsets."""
        self._backlog.decide(place, offset)
        self._grouping.note_decided(place, offset)

    def note_answered(self, place: Place, offset: int) -> None:
        """Take in that who gave the command at this offset has his answer, if by an event that names another record.

        A repeat's own record is never named. Who comes after it need not wait to hear of it, but it may be undecided.
        """
        self._grouping.note_decided(place, offset)

    def told(self, place: Place) -> int:
        """Return up to which offset Redis or events told that the records of a partition are decided."""
        return self._backlog.decided(place)

    def backlog_seconds(self) -> float:
        """Return how old the oldest backlog of all partitions is."""
        return self._backlog.oldest_seconds(time.monotonic())

    async def publish(self, event: CommandEvent, place: Place, *, takes_units: bool) -> Acknowledgement:
        """Return the acknowledgement of a command's record that belongs to this partition.

        Raises NotTakenError, UnacknowledgedError.
        """
        self._refuse(place, takes_units=takes_units)
        return await self._watched(self._grouping.send(event, self._bounds.publish_seconds))

    async def put(self, record: Record) -> Acknowledgement:
        """Return the acknowledgement of a record that is no command; raises as `publish` does."""
        self._refuse((record.topic, 0), takes_units=False)
        sending = self._grouping.send_record(record)
        return await self._watched(asyncio.wait_for(sending, self._bounds.publish_seconds))

    async def _watched(self, sending: Awaitable[Acknowledgement]) -> Acknowledgement:
        """Learn from a sending, which is bounded in time, whether the log is silent."""
        began = time.monotonic()
        number = self._breaker.begin(began)
        try:
            acknowledgement = await sending
        except TimeoutError as fault:
            self._breaker.give_up(number)
            self._look_for_life()
            raise UnacknowledgedError from fault
        except BaseException:
            self._breaker.forget(number)
            raise
        ended = time.monotonic()
        self._breaker.acknowledge(number, ended)
        self.seconds.observe(ended - began)
        return acknowledgement

    def _refuse(self, place: Place, *, takes_units: bool) -> None:
        """Raise if it is not to be published now.

        An old backlog refuses only what takes units: the rest gives or keeps, and has a part of the queue for itself.
        """
        now, retry_after = time.monotonic(), self._bounds.retry_after_seconds
        age_seconds = self._backlog.age_seconds(place, now) if takes_units else 0.0
        if not self._breaker.admits(now):
            self._look_for_life()
            cause = Cause.LOG_SILENT
        elif len(self._breaker) >= self._bounds.publications_max * (_SHARE_OF_HOLDS if takes_units else 1):
            cause = Cause.QUEUE_FULL
        elif age_seconds > self._bounds.backlog_age_seconds:
            cause = Cause.BACKLOG
            retry_after = max(retry_after, min(_RETRY_AFTER_SECONDS_MAX, math.ceil(age_seconds)))
        else:
            return
        self.refusals[cause] += 1
        raise NotTakenError(cause, retry_after)

    async def watch_log(self) -> None:
        """Look for signs of life of a silent log until cancelled, without side effects on it."""
        while True:
            await self._opened.wait()
            if await _answers(self._bootstrap_servers):
                self._breaker.show_life()
                self._opened.clear()
            await asyncio.sleep(self._bounds.probe_seconds)

    def _look_for_life(self) -> None:
        if not self._opened.is_set():
            _log.warning("the log does not acknowledge: commands are refused until it answers")
        self._opened.set()

    async def watch_backlog(self) -> None:
        """Read how far the workers are until cancelled, for all partitions at once."""
        while True:
            try:
                readings = await self._offsets.readings(self._places)
            except OffsetsUnavailableError:
                self.lag = {}
                _log.warning("how far the workers are cannot be told: no hold is refused for a backlog")
            else:
                self._take_in(readings, time.monotonic())
            await asyncio.sleep(self._bounds.backlog_poll_seconds)

    def _take_in(self, readings: Mapping[Place, Reading], now: float) -> None:
        self._lag_read_at = now
        lag: Counter[tuple[str, ...]] = Counter()
        for (topic, _), one in readings.items():
            lag[(self._kinds[topic],)] += max(0, one.end - one.committed)
        self.lag = lag
        self._backlog.read({place: (one.end, one.committed) for place, one in readings.items()}, now)

    def lag_read_seconds(self) -> float:
        """Return how long ago `lag`, by kind, was read (at first: how long this publisher exists)."""
        return time.monotonic() - self._lag_read_at


async def _answers(bootstrap_servers: str) -> bool:
    """Ask over a connection of its own whether a broker answers: an old one may be dead without knowing it."""
    client = AIOKafkaClient(
        bootstrap_servers=bootstrap_servers, client_id="firmhold-gateway-probe", request_timeout_ms=_PROBE_TIMEOUT_MS
    )
    try:
        await client.bootstrap()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
    return True
