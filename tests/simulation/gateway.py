"""A gateway of the simulation, as far as it reads: the real availability and cache-aside; only the servers are twins."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import cast

import asyncpg
import msgspec

from gateway import slots
from gateway.availability import Availability
from gateway.resting_cache import RestingCache
from schema.faults import is_transient
from schema.reads import Reads
from tests.simulation.caching import StoreOfGateway
from tests.simulation.evidence import ListRead, SlotRead
from tests.simulation.site import KIND, Site
from tests.simulation.world import Process
from tests.twins.memory_store import MemoryPool

_REST_SECONDS = 1.0
_IDS_MAX = 1_000
_MEAN_PAUSE_SECONDS = 0.3


class Shown(msgspec.Struct):
    """What a client reads of a slot."""

    slot_id: str
    version: int
    capacity: int
    held: int
    remaining: int


class Gateway:
    """One life of a gateway, whose clients ask what is free."""

    def __init__(self, site: Site, name: str, random: Random) -> None:
        """Prepare; `start` lets it be asked."""
        self.name = name
        self.process: Process = site.world.process(name)
        self._site = site
        self._random = random
        bounds = site.bounds
        self._stale_for = timedelta(milliseconds=bounds.stale_ms and bounds.fresh_ms + bounds.stale_ms)
        store = StoreOfGateway(site.cache, site.line("redis"))
        self._availability = Availability(
            KIND,
            slots.Slots().availability,
            Reads(cast("asyncpg.Pool", MemoryPool(site.postgres, site.line("postgres")))),
            store=RestingCache(store, _REST_SECONDS, site.world.time),
            bounds=bounds,
            ids_max=_IDS_MAX,
        )

    def start(self, slots_: Sequence[str]) -> None:
        """Let clients ask for these slots, several at once."""
        for _ in range(3):
            self.process.start(self._be_asked(slots_))

    async def _be_asked(self, slots_: Sequence[str]) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / _MEAN_PAUSE_SECONDS))
            try:
                if self._random.random() < 0.1:
                    await self._list()
                else:
                    await self._read(self._random.sample(slots_, self._random.randint(1, 3)))
            except Exception as fault:
                if not is_transient(fault):
                    raise
                self._site.counts["reads that failed with Postgres"] += 1

    async def _read(self, ids: Sequence[str]) -> None:
        site = self._site
        least = {resource_id: site.news.version_least(resource_id, site.world.time()) for resource_id in ids}
        asked_at = site.now()
        payloads = await self._availability.of(ids)
        shown = {one.slot_id: one for one in (msgspec.json.decode(payload, type=Shown) for payload in payloads)}
        for resource_id in ids:
            one = shown.get(resource_id, Shown(resource_id, 0, 0, 0, 0))
            read = SlotRead(
                reader=self.name,
                resource_id=resource_id,
                asked_at=asked_at,
                answered_at=site.now(),
                stale_for=self._stale_for,
                version_least=least[resource_id],
                version=one.version,
                units=(one.capacity, one.held, one.remaining),
            )
            site.reads.append(read)
            site.world.take_in(repr(read))

    async def _list(self) -> None:
        site = self._site
        least = site.news.ids_least(site.world.time())
        page = await self._availability.page("", _IDS_MAX)
        site.lists.append(ListRead(self.name, site.now(), least, frozenset(page.ids)))
