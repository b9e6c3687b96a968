"""Keep the mirror of held pools whole: write from Postgres what Redis lost, was not told, or may have wrong.

Each look compares every marker with Postgres: one that stands at the version of its resource lives on, what is behind or
has none is rebuilt. A worker that dies before it tells Redis of a commit is found so, and nobody has to know of it.
"""

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog

from firmhold.exposition import Histogram
from firmhold.metrics import MIRROR_REBUILD_SECONDS
from schema.faults import is_transient
from schema.live_seats import LiveSeats, SeatsReading
from schema.rows import ResourceKey
from topics.mirror import HeldPool, encode_held
from topics.redis_keys import pool_name
from workers.backoff import backoff
from workers.core.kinds.registry import KINDS
from workers.counting import now
from workers.mirror_changes import MIRRORED_KINDS
from workers.mirroring import Kept, Mirror, MirrorStore, Snapshot

_log = structlog.get_logger(__name__)
_LOOKED_AT_ONCE = 500
_REBUILT_AT_ONCE = 4  # of resources that may have thousands of pools each: no reading keeps the event loop for long
_SECOND_LOOK_SECONDS = 0.2
_RETRY_FIRST_SECONDS, _RETRY_LONGEST_SECONDS = 0.1, 0.5


@dataclass(frozen=True, slots=True)
class Rebuild:
    """The named bounds of a rebuilder: pauses between looks, and between those that write everything anew."""

    look_seconds: float
    anew_seconds: float


class Rebuilder:
    """Looks at what is asked for at once, and at everything again and again; several workers may."""

    def __init__(self, mirror: Mirror, store: MirrorStore, live: LiveSeats, rebuild: Rebuild) -> None:
        """Write to `store` what `live` reads; nobody waits for it, so its bound may be longer than that of `mirror`."""
        self._mirror = mirror
        self._store = store
        self._live = live
        self._rebuild = rebuild
        self._looked_at = now()
        self._anew_at = now()
        self.rebuilt = 0
        self.seconds = Histogram(MIRROR_REBUILD_SECONDS)

    @property
    def is_on(self) -> bool:
        """Tell whether it rebuilds at all; without it no marker stands, and gateways ask Postgres."""
        return self._rebuild.look_seconds > 0

    def age_seconds(self) -> float | None:
        """Return how long ago the last look at everything ended (at first: this began), or None if it does not look."""
        return now() - self._looked_at if self.is_on else None

    async def run(self) -> None:
        """Rebuild until cancelled, beginning at once; a server that does not answer only makes it late."""
        look_at = now()
        pauses = backoff(_RETRY_FIRST_SECONDS, _RETRY_LONGEST_SECONDS)
        while self.is_on:
            try:
                await self.mend()
                if now() >= look_at:
                    await self.look()
                    look_at = now() + self._rebuild.look_seconds
            except Exception as fault:
                if not is_transient(fault):
                    raise
                _log.warning("the mirror could not be rebuilt", fault=repr(fault))
                await asyncio.sleep(next(pauses))
            else:
                pauses = backoff(_RETRY_FIRST_SECONDS, _RETRY_LONGEST_SECONDS)
                await self._mirror.asked_within(max(0.0, look_at - now()))

    async def mend(self) -> None:
        """Rebuild what may be wrong, and look at what may not be whole."""
        doubted, wanted = self._mirror.take_asked()
        try:
            # Before Postgres is asked, however long that takes: a marker that may be wrong must not stand.
            await self._store.doubt(doubted)
            await self._rebuild_all(doubted)
            await self._mend_behind(await self._live.versions_of(wanted - doubted))
        except BaseException:
            self._mirror.doubt(doubted)
            self._mirror.want(wanted)
            raise

    async def look(self) -> None:
        """Look at all resources, page by page; every so often write all of them anew, as Redis may have lost a key alone."""
        began, is_anew = now(), now() >= self._anew_at
        for kind in MIRRORED_KINDS:
            after = ""
            while page := await self._live.versions(kind, after, _LOOKED_AT_ONCE):
                await (self._rebuild_all(page) if is_anew else self._mend_behind(page))
                after = list(page)[-1].resource_id
        self._looked_at = now()
        if is_anew:
            self._anew_at = began + self._rebuild.anew_seconds

    async def _mend_behind(self, versions: Mapping[ResourceKey, int]) -> None:
        """Rebuild what has no marker, or one that stays behind: who has just committed is about to move his."""
        behind = await self._store.check(versions) if versions else ()
        if behind:
            await asyncio.sleep(_SECOND_LOOK_SECONDS)
            await self._rebuild_all(await self._store.check({key: versions[key] for key in behind}))

    async def _rebuild_all(self, keys: Collection[ResourceKey]) -> None:
        ordered = sorted(keys, key=lambda key: (key.kind, key.resource_id))
        for kind, of_kind in groupby(ordered, key=lambda key: key.kind):
            ids = [key.resource_id for key in of_kind]
            for begin in range(0, len(ids), _REBUILT_AT_ONCE):
                await self._rebuild_some(kind, ids[begin : begin + _REBUILT_AT_ONCE])

    async def _rebuild_some(self, kind: str, ids: Sequence[str]) -> None:
        """Rebuild a few; those that were not finished are looked at again, unless another worker did them meanwhile."""
        began = now()
        owner = uuid.uuid4().hex
        keys = [ResourceKey(kind, resource_id) for resource_id in ids]
        ours = await self._store.lock(keys, owner)
        readings = await self._live.held(kind, [key.resource_id for key in ours]) if ours else []
        whole = await self._store.store([_snapshot(reading) for reading in readings], owner) if readings else ()
        self._mirror.want([key for key in keys if key not in whole])
        self.rebuilt += len(whole)
        if ours:
            self.seconds.observe(now() - began)


def _snapshot(reading: SeatsReading) -> Snapshot:
    key, kind = reading.key, KINDS[reading.key.kind]
    held: dict[str, Kept] = {}
    for seat in reading.held:
        word = kind.told_alone(seat.seat)
        if word is not None and seat.lives_ms > 0:
            value = encode_held(HeldPool(reading.version, seat.hold_id, seat.expires_at))
            held[pool_name(word, seat.seat)] = Kept(value, seat.lives_ms)
    return Snapshot(key, reading.version, held)
