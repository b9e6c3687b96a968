"""What a cache must be able to do for `gateway.cache`, and what it keeps. Redis implements it, and a twin in the tests.

Instants are milliseconds of the cache's own clock, so that gateways whose clocks differ agree on what is fresh.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class CacheUnavailableError(Exception):
    """The cache did not answer in time, or not what it should: do without."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached value: as of which version, until when it may be served as it is, and until when it is kept at all."""

    version: int
    payload: bytes
    fresh_until_ms: int
    kept_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cache has under one name: an entry, and the version below which no value is right any more."""

    now_ms: int
    entry: Entry | None
    tombstone: int

    def fresh(self, version_least: int) -> Entry | None:
        """Return the entry if it may be served as it is."""
        entry = self.stale(version_least)
        return entry if entry is not None and self.now_ms < entry.fresh_until_ms else None

    def stale(self, version_least: int) -> Entry | None:
        """Return the entry, however old, unless something newer is known to exist."""
        if self.entry is None or self.entry.version < max(self.tombstone, version_least):
            return None
        return self.entry


@dataclass(frozen=True, slots=True)
class Locked:
    """What was seen at the moment of locking, and which of the names are ours now; the others are somebody else's."""

    seen: Mapping[str, Seen]
    taken: Collection[str] = field(default_factory=frozenset)


class CacheStore(Protocol):
    """A cache of named values. Every method raises CacheUnavailableError, and then may or may not have been done."""

    async def read(self, names: Sequence[str]) -> Mapping[str, Seen]:
        """Return what there is under each name."""

    async def lock(self, names: Sequence[str], owner: str, lock_ms: int) -> Locked:
        """Take the locks that nobody has, for so long at most, and look once more, in one step."""

    async def store(self, entries: Mapping[str, Entry], owner: str, taken: Collection[str]) -> Collection[str]:
        """Store what may be stored, release the owner's locks on `taken`, and return the names that were stored.

        A value is stored only while its name is locked by `owner` and its version is not below the tombstone's.
        """
