"""Whether a seat is held, and until when: from the mirror in Redis if it is whole, else from Postgres. It is advice.

It is as old as the cache may be where a worker could not tell Redis of a write: until it can, which it tries at once; if
it died, until another worker looks (`FIRMHOLD_MIRROR_LOOK_SECONDS`), at most until the marker of the screening ends
(`FIRMHOLD_MIRROR_MARKER_SECONDS`). Who knows of a newer version asks for that.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from gateway.cache_store import CacheUnavailableError
from schema.reads import Reads
from schema.rows import ResourceKey
from topics.mirror import HeldPool

KIND = "screening"
WORD = "seat"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the mirror has of one pool: the version as of which it is whole (None: it is not), and the hold that has it."""

    whole_at: int | None
    held: HeldPool | None


class MirrorReader(Protocol):
    """Where the mirror is."""

    async def read(self, key: ResourceKey, word: str, pool: str) -> Seen:
        """Return what is there, marker and pool of one instant. Raises CacheUnavailableError."""


class Source(Enum):
    """Where an answer came from."""

    MIRROR = "mirror"
    POSTGRES = "postgres"


class SeatMirror:
    """Tells of single seats."""

    def __init__(self, mirror: MirrorReader, reads: Reads) -> None:
        """Look into `mirror` first."""
        self._mirror = mirror
        self._reads = reads
        self.reads: Counter[Source] = Counter(dict.fromkeys(Source, 0))

    async def held_until(self, screening_id: str, seat: str, version_least: int = 0) -> datetime | None:
        """Return when the hold ends that has this seat now; None if none has, be the seat free, taken, blocked or unknown.

        A mirror that is older than `version_least` is not believed. Raises what asyncpg raises if Postgres, where it is
        needed, does not answer.
        """
        key = ResourceKey(KIND, screening_id)
        try:
            seen = await self._mirror.read(key, WORD, seat)
        except CacheUnavailableError:
            seen = Seen(None, None)
        if seen.whole_at is not None and seen.whole_at >= version_least:
            self.reads[Source.MIRROR] += 1
            return None if seen.held is None else seen.held.expires_at
        self.reads[Source.POSTGRES] += 1
        return await self._reads.seat_held_until(key, seat)
