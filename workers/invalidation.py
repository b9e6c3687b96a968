"""Tell the cache that availability changed, after the commit and before anybody is answered. It never holds up a command."""

from collections.abc import Collection, Mapping
from typing import Protocol

import structlog

from schema.rows import ResourceKey
from topics.redis_keys import ids_name, resource_name
from topics.redis_patience import Rest

_log = structlog.get_logger(__name__)


class Tombstones(Protocol):
    """Where gateways look for what they may no longer serve; raises OSError or TimeoutError if it does not take it."""

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str], outcomes: bytes = b"") -> None:
        """Raise the tombstone of each name to its version, and forget what is cached or being read of other names.

        The larger version wins: a late invalidation of an old write must not undo that of a newer one. Then tell gateways
        the message of outcomes, if there is one.
        """


class Invalidator:
    """Writes tombstones; what the cache does not take is counted, the entries' lifetime heals it.

    While it rests outcomes alone are not told: their events will. Tombstones are tried all the same.
    """

    def __init__(self, tombstones: Tombstones, rest: Rest) -> None:
        """Write to `tombstones`, which has a bound of its own."""
        self._tombstones = tombstones
        self._rest = rest
        self.skipped = 0

    async def invalidate(
        self, versions: Mapping[ResourceKey, int], kinds_defined: Collection[str] = (), outcomes: bytes = b""
    ) -> bool:
        """Tell of resources at their versions, and of kinds of which there may be a new one; then the outcomes, as a message.

        One at its first version is new: who created it may have died before he told. Return whether all of it was told;
        raises nothing for the cache.
        """
        if not versions and (not outcomes or self._rest.is_on):
            return not outcomes
        kinds = {*kinds_defined, *(key.kind for key, version in versions.items() if version == 1)}
        names = {resource_name(key.kind, key.resource_id): version for key, version in versions.items()}
        try:
            await self._tombstones.write(names, [ids_name(kind) for kind in sorted(kinds)], outcomes)
        except (OSError, TimeoutError) as fault:
            self._rest.begin()
            if names:
                self.skipped += 1
                _log.warning(
                    "redis did not take an invalidation, the TTL will", resources=len(names), fault=repr(fault)
                )
            return False
        self._rest.end()
        return True
