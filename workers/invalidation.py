"""Tell the cache that availability changed, after the commit and before anybody is answered. It never holds up a command."""

from collections.abc import Collection, Mapping
from typing import Protocol

import structlog

from schema.rows import ResourceKey
from topics.redis_keys import ids_name, resource_name

_log = structlog.get_logger(__name__)


class Tombstones(Protocol):
    """Where gateways look for what they may no longer serve; raises OSError or TimeoutError if it does not take it."""

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str]) -> None:
        """Raise the tombstone of each name to its version, and forget what is cached or being read of other names.

        The larger version wins: a late invalidation of an old write must not undo that of a newer one.
        """


class Invalidator:
    """Writes tombstones; what the cache does not take is counted, the entries' lifetime heals it."""

    def __init__(self, tombstones: Tombstones) -> None:
        """Write to `tombstones`, which has a bound of its own."""
        self._tombstones = tombstones
        self.skipped = 0

    async def invalidate(self, versions: Mapping[ResourceKey, int], kinds_defined: Collection[str] = ()) -> None:
        """Tell of resources at their versions, and of kinds of which there may be a new one. Raises nothing for the cache.

        One at its first version is new: who created it may have died before he told.
        """
        if not versions:
            return
        kinds = {*kinds_defined, *(key.kind for key, version in versions.items() if version == 1)}
        names = {resource_name(key.kind, key.resource_id): version for key, version in versions.items()}
        try:
            await self._tombstones.write(names, [ids_name(kind) for kind in sorted(kinds)])
        except (OSError, TimeoutError) as fault:
            self.skipped += 1
            _log.warning("redis did not take an invalidation, the TTL will", resources=len(names), fault=repr(fault))
