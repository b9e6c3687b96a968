"""Tell the cache that availability changed, after the commit and before anybody is answered. It never holds up a command."""

import time
from collections.abc import Collection, Mapping
from typing import Protocol

import structlog

from schema.rows import ResourceKey
from topics.redis_keys import ids_name, resource_name

_log = structlog.get_logger(__name__)
_AWAY_SECONDS = 1.0


class Tombstones(Protocol):
    """Where gateways look for what they may no longer serve; raises OSError or TimeoutError if it does not take it."""

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str], outcomes: bytes = b"") -> None:
        """Raise the tombstone of each name to its version, and forget what is cached or being read of other names.

        The larger version wins: a late invalidation of an old write must not undo that of a newer one. Then tell gateways
        the message of outcomes, if there is one.
        """


class Invalidator:
    """Writes tombstones; what the cache does not take is counted, the entries' lifetime heals it."""

    def __init__(self, tombstones: Tombstones) -> None:
        """Write to `tombstones`, which has a bound of its own."""
        self._tombstones = tombstones
        self._away_until = float("-inf")
        self.skipped = 0

    async def invalidate(
        self, versions: Mapping[ResourceKey, int], kinds_defined: Collection[str] = (), outcomes: bytes = b""
    ) -> bool:
        """Tell of resources at their versions, and of kinds of which there may be a new one; then the outcomes, as a message.

        One at its first version is new: who created it may have died before he told. Return whether all of it was told;
        raises nothing for the cache.
        """
        if not versions and (not outcomes or time.monotonic() < self._away_until):
            return not outcomes  # outcomes alone need not wait for a cache that was away a moment ago
        kinds = {*kinds_defined, *(key.kind for key, version in versions.items() if version == 1)}
        names = {resource_name(key.kind, key.resource_id): version for key, version in versions.items()}
        try:
            await self._tombstones.write(names, [ids_name(kind) for kind in sorted(kinds)], outcomes)
        except (OSError, TimeoutError) as fault:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            if names:
                self.skipped += 1
                _log.warning(
                    "redis did not take an invalidation, the TTL will", resources=len(names), fault=repr(fault)
                )
            return False
        return True
