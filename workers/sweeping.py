"""The sweeper: publishes `Expire` for resources with holds whose time is over and that nobody touches. It edits no row.

Without it every answer is still right; only the news of idle expiries would be late. Each worker looks after the
partitions that are assigned to it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog

from schema.faults import is_transient
from schema.rows import ResourceKey
from topics.catalogue import Catalogue
from topics.commands import Expire
from topics.log_records import Record
from topics.producer import SendAll
from topics.record import command_record
from topics.signatures import WORKER_SOURCE_PREFIX, SigningKey
from workers.counting import now
from workers.progress import Progress

_log = structlog.get_logger(__name__)
SOURCE = f"{WORKER_SOURCE_PREFIX}sweeper"


def _random_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Sweep:
    """The named bounds of a sweeper."""

    pause_seconds: float
    again_seconds: float
    holds_max: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """An Expire that was published: when (by the event loop), and where it lies."""

    at: float
    topic: str
    partition: int
    offset: int


class Sweeper:
    """Looks for what is due, again and again.

    A resource is asked for once: its next Expire is published when this worker has decided the first and the resource is
    still due. Else a backlog would grow by an Expire a second for each resource that waits in it.
    """

    def __init__(
        self,
        *,
        due_resources: Callable[[int], AsyncIterator[list[ResourceKey]]],
        is_ours: Callable[[ResourceKey], bool],
        progress: Progress,
        send_all: SendAll,
        catalogue: Catalogue,
        signing_key: SigningKey,
        sweep: Sweep,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        """Connect the parts; `is_ours` tells whether the partition of a resource is assigned to this worker."""
        self._due_resources = due_resources
        self._is_ours = is_ours
        self._progress = progress
        self._send_all = send_all
        self._catalogue = catalogue
        self._signing_key = signing_key
        self._sweep = sweep
        self._new_id = new_id
        self._asked: dict[ResourceKey, _Asked] = {}
        self._looked_at = now()
        self.published = 0

    @property
    def is_on(self) -> bool:
        """Tell whether it sweeps at all."""
        return self._sweep.pause_seconds > 0

    def age_seconds(self) -> float | None:
        """Return how long ago the last look ended (at first: this began), or None if it does not sweep."""
        return now() - self._looked_at if self.is_on else None

    async def run(self) -> None:
        """Sweep until cancelled; a server that does not answer only makes it late."""
        while self.is_on:
            try:
                await self.sweep_once()
                self._looked_at = now()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                _log.warning("the sweeper could not look for what is due", fault=repr(fault))
            await asyncio.sleep(self._sweep.pause_seconds)

    async def sweep_once(self) -> None:
        """Publish an Expire for each resource of ours with holds whose time is over, unless one is on its way."""
        # Before the look: what is decided after it began may still be due in what it finds.
        self._asked = {key: asked for key, asked in self._asked.items() if self._is_waiting(key, asked)}
        async for page in self._due_resources(self._sweep.holds_max):
            await self._ask([key for key in page if key not in self._asked and self._is_ours(key)])

    def _is_waiting(self, key: ResourceKey, asked: _Asked) -> bool:
        """Tell whether an Expire is still to be decided by us. An end of the wait is the net for whatever lost it."""
        return (
            now() - asked.at < self._sweep.again_seconds
            and not self._progress.is_past(asked.topic, asked.partition, asked.offset)
            and self._is_ours(key)
        )

    async def _ask(self, keys: Sequence[ResourceKey]) -> None:
        records = [self._record(key) for key in keys]
        places = await self._send_all(records)
        at = now()
        self.published += len(records)
        for key, record, place in zip(keys, records, places, strict=True):
            self._asked[key] = _Asked(at, record.topic, place.partition, place.offset)

    def _record(self, key: ResourceKey) -> Record:
        return command_record(
            self._catalogue.commands(key.kind),
            key.kind,
            Expire(resource_id=key.resource_id),
            source=SOURCE,
            command_id=self._new_id(),
            signing_key=self._signing_key,
        )
