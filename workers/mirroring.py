"""Mirror which pools are held, after the commit and before anybody is answered. It never holds up a command.

The mirror of a resource is whole while its marker stands: the version as of which every held pool has its key. Versions
have no gaps, so what is told next goes on from the marker or shows that something was not told: then the marker goes, a
missing key proves nothing any more, and the rebuild (`workers.mirror_rebuilding`) writes anew what Postgres has.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from schema.rows import ResourceKey
from topics.redis_patience import Rest
from workers.waiting import is_set_within

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a held pool (see `topics.mirror`), and for how long: what is left of its hold."""

    value: bytes
    lives_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch did to a resource from version `first` to `last`: pools held as of `last`, and pools free, by `pool_name`.

    A batch that changed nothing of it still knows its version: then `first` is one more than `last`.
    """

    key: ResourceKey
    first: int
    last: int
    held: Mapping[str, Kept] = field(default_factory=dict)
    free: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All held pools of a resource as of one version, by `pool_name`."""

    key: ResourceKey
    version: int
    held: Mapping[str, Kept]


class MirrorStore(Protocol):
    """Where the mirror is. Each method raises OSError or TimeoutError, and then may or may not have been done, or be yet.

    Whatever comes late, twice or in another order: of a pool the larger version wins, for as long as tombstones live.
    """

    async def tell(self, changes: Sequence[Change]) -> Collection[ResourceKey]:
        """Write what changed, and move markers on; return the resources whose mirror is not whole."""

    async def doubt(self, keys: Collection[ResourceKey]) -> None:
        """Take away the markers, and keep rebuilds that have begun from setting them."""

    async def check(self, versions: Mapping[ResourceKey, int]) -> Collection[ResourceKey]:
        """Let the markers that stand at these versions live anew; return the resources that have none, or an older one."""

    async def lock(self, keys: Collection[ResourceKey], owner: str) -> Collection[ResourceKey]:
        """Begin to rebuild, before Postgres is read; return those that nobody else is at. A lock ends by itself."""

    async def store(self, snapshots: Sequence[Snapshot], owner: str) -> Collection[ResourceKey]:
        """Write the resources anew whose locks the owner still has, the markers last; return those that are whole."""


class Mirror:
    """Tells of batches, one after the other; what the store does not take is counted, and left to the rebuild.

    While it rests nothing is told: else each batch would wait for the bound of every batch before it.
    """

    def __init__(self, store: MirrorStore, rest: Rest) -> None:
        """Write to `store`, which has a bound of its own, and is left alone after it failed."""
        self._store = store
        self._rest = rest
        self._turn = asyncio.Lock()
        self._doubted: set[ResourceKey] = set()
        self._wanted: set[ResourceKey] = set()
        self._woken = asyncio.Event()
        self.skipped = 0

    async def tell(self, changes: Sequence[Change]) -> None:
        """Tell what a batch changed. Raises nothing for the store."""
        if not changes:
            return
        async with self._turn:  # in the order of the batches: another order looks like something that was not told
            if self._rest.is_on:
                self._skip(changes)
                return
            try:
                behind = await self._store.tell(changes)
            except (OSError, TimeoutError) as fault:
                self._rest.begin()
                self._skip(changes)
                _log.warning(
                    "redis did not take a mirror write, a rebuild will", resources=len(changes), fault=repr(fault)
                )
            else:
                self._rest.end()
                self.want(behind)

    def _skip(self, changes: Sequence[Change]) -> None:
        self.skipped += 1
        self.doubt(change.key for change in changes)

    def want(self, keys: Collection[ResourceKey]) -> None:
        """Ask for a look at these resources: their mirror may not be whole."""
        if keys:
            self._wanted.update(keys)
            self._woken.set()

    def doubt(self, keys: Iterable[ResourceKey]) -> None:
        """Ask for a rebuild of these resources: their markers may be wrong."""
        self._doubted.update(keys)
        self._woken.set()

    def take_asked(self) -> tuple[set[ResourceKey], set[ResourceKey]]:
        """Hand out what is doubted and what is wanted; whoever takes it and fails gives it back."""
        asked = self._doubted, self._wanted
        self._doubted, self._wanted = set(), set()
        self._woken.clear()
        return asked

    async def asked_within(self, seconds: float) -> None:
        """Return when something is asked for, or the time is over."""
        await is_set_within(self._woken, seconds)
