"""The sweeper: publishes `Expire` for resources with holds whose time is over and that nobody touches. It edits no row.

Without it every answer is still right; only the news of idle expiries would be late. Each worker looks after the
partitions that are assigned to it.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from schema.faults import is_transient
from schema.rows import ResourceKey
from topics.catalogue import Catalogue
from topics.commands import Expire
from topics.producer import Record, SendAll
from topics.record import command_record
from topics.signatures import WORKER_SOURCE_PREFIX, SigningKey

_log = structlog.get_logger(__name__)
SOURCE = f"{WORKER_SOURCE_PREFIX}sweeper"


@dataclass(frozen=True, slots=True)
class Sweep:
    """The named bounds of a sweeper."""

    pause_seconds: float
    again_seconds: float
    resources_max: int


class Sweeper:
    """Looks for what is due, again and again."""

    def __init__(
        self,
        *,
        due_resources: Callable[[int], Awaitable[list[ResourceKey]]],
        is_ours: Callable[[ResourceKey], bool],
        send_all: SendAll,
        catalogue: Catalogue,
        signing_key: SigningKey,
        sweep: Sweep,
    ) -> None:
        """Connect the parts; `is_ours` tells whether the partition of a resource is assigned to this worker."""
        self._due_resources = due_resources
        self._is_ours = is_ours
        self._send_all = send_all
        self._catalogue = catalogue
        self._signing_key = signing_key
        self._sweep = sweep
        self._sent_at: dict[ResourceKey, float] = {}
        self.published = 0

    @property
    def is_on(self) -> bool:
        """Tell whether it sweeps at all."""
        return self._sweep.pause_seconds > 0

    async def run(self) -> None:
        """Sweep until cancelled; a server that does not answer only makes it late."""
        while self.is_on:
            try:
                await self.sweep_once()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                _log.warning("the sweeper could not look for what is due", fault=repr(fault))
            await asyncio.sleep(self._sweep.pause_seconds)

    async def sweep_once(self) -> None:
        """Publish an Expire for each resource of ours with holds whose time is over, unless one is on its way."""
        now = time.monotonic()
        due = [key for key in await self._due_resources(self._sweep.resources_max) if self._is_ours(key)]
        self._sent_at = {key: at for key, at in self._sent_at.items() if now - at < self._sweep.again_seconds}
        asked = [key for key in due if key not in self._sent_at]
        if not asked:
            return
        await self._send_all([self._record(key) for key in asked])
        self._sent_at |= dict.fromkeys(asked, now)
        self.published += len(asked)

    def _record(self, key: ResourceKey) -> Record:
        return command_record(
            self._catalogue.commands(key.kind),
            key.kind,
            Expire(resource_id=key.resource_id),
            source=SOURCE,
            command_id=str(uuid.uuid4()),
            signing_key=self._signing_key,
        )
