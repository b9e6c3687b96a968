"""What is free of the resources of one kind, read through the cache. It knows no kind and no HTTP."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.cache import Cache, CacheBounds, Source, Value
from gateway.cache_store import CacheStore
from schema.reads import Reads, ResourceReading
from topics.redis_keys import ids_name, resource_name

_ids = msgspec.json.Decoder(list[str])
_TOO_MANY = b"-"
Show = Callable[[str, ResourceReading], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """Ids in their order, and whether there are more behind them."""

    ids: Sequence[str]
    has_more: bool


class Availability:
    """The availability of the resources of one kind, each as the JSON that `show` makes of it."""

    def __init__(
        self, kind: str, show: Show, reads: Reads, *, store: CacheStore, bounds: CacheBounds, ids_max: int
    ) -> None:
        """`bounds` are the kind's own; a list of more than `ids_max` ids is not cached."""
        self._kind = kind
        self._show = show
        self._reads = reads
        self._ids_max = ids_max
        self._resources = Cache(store, self._read_resources, bounds)
        self._lists = Cache(store, self._read_lists, bounds)

    def reads(self) -> Counter[Source]:
        """Return how many values, of resources and lists of ids, came from where."""
        return self._resources.reads + self._lists.reads

    async def of(self, resource_ids: Collection[str], version_least: int = 0) -> list[msgspec.Raw]:
        """Return what is free of those that exist, in the order of asking; raises what asyncpg raises."""
        names = [resource_name(self._kind, resource_id) for resource_id in resource_ids]
        values = await self._resources.get(names, version_least)
        return [msgspec.Raw(values[name].payload) for name in names if values[name].payload]

    async def page(self, after: str, ids_max: int) -> Page:
        """Return so many ids from behind `after` (empty: from the first); raises what asyncpg raises."""
        name = ids_name(self._kind)
        payload = (await self._lists.get([name]))[name].payload
        known = [] if payload == _TOO_MANY else _ids.decode(payload)
        if payload == _TOO_MANY or (after and after not in known):
            # Where an unknown id would stand is for Postgres to say: the order of texts is its own.
            ids = await self._reads.resource_ids(self._kind, after, ids_max + 1)
        else:
            begin = known.index(after) + 1 if after else 0
            ids = known[begin : begin + ids_max + 1]
        return Page(ids[:ids_max], has_more=len(ids) > ids_max)

    async def close(self) -> None:
        """End what is being read."""
        await self._resources.close()
        await self._lists.close()

    async def _read_resources(self, names: Sequence[str]) -> Mapping[str, Value]:
        ids = {name.partition(":")[2]: name for name in names}
        readings = await self._reads.resources(self._kind, ids)
        return {
            ids[resource_id]: Value(
                reading.version, msgspec.json.encode(self._show(resource_id, reading)), reading.expires_in_ms
            )
            for resource_id, reading in readings.items()
        }

    async def _read_lists(self, names: Sequence[str]) -> Mapping[str, Value]:
        ids = await self._reads.resource_ids(self._kind, "", self._ids_max + 1)
        payload = _TOO_MANY if len(ids) > self._ids_max else msgspec.json.encode(ids)
        return dict.fromkeys(names, Value(0, payload))
