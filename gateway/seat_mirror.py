"""Whether a seat is held, and until when: from the mirror in Redis if it is whole, else from Postgres. It is advice.

It is as old as the cache may be where a worker could not tell Redis of a write: until it can, which it tries at once; if
it died, until another worker looks (`FIRMHOLD_MIRROR_LOOK_SECONDS`), at most until the marker of the screening ends
(`FIRMHOLD_MIRROR_MARKER_SECONDS`). Who knows of a newer version asks for that.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from gateway.cache_store import CacheUnavailableError
from gateway.gathering import Gathering, Tell
from schema.rows import ResourceKey
from topics.mirror import HeldPool

KIND = "screening"
WORD = "seat"
_LOOKS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What the mirror has of one pool: the version as of which it is whole (None: it is not), and the hold that has it."""

    whole_at: int | None
    held: HeldPool | None


NOT_WHOLE = Seen(None, None)


class Pool(NamedTuple):
    """What names a pool that is told of by itself, and what such a pool is called."""

    key: ResourceKey
    word: str
    pool: str


class MirrorReader(Protocol):
    """Where the mirror is."""

    async def read(self, pools: Sequence[Pool]) -> Sequence[Seen]:
        """Return what is there of each, markers and pools of one instant. Raises CacheUnavailableError."""


ReadSource = Callable[[str, Collection[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], datetime]]]
"""Reads until when seats are held from Postgres: `schema.reads.Reads.seats_held_until`."""


class Source(Enum):
    """Where an answer came from."""

    MIRROR = "mirror"
    POSTGRES = "postgres"


class _Asked(NamedTuple):
    screening_id: str
    seat: str
    version_least: int


class SeatMirror:
    """Tells of single seats; who asks at once is answered with one look, and one query for what the mirror cannot tell."""

    def __init__(self, mirror: MirrorReader, read_source: ReadSource, *, seats_max: int, seconds: float) -> None:
        """Look into `mirror` first, for so many seats at a time at most; what is not told in so many seconds is late."""
        self._mirror = mirror
        self._read_source = read_source
        self.reads: Counter[Source] = Counter(dict.fromkeys(Source, 0))
        self._looks: Gathering[_Asked, datetime | None] = Gathering(
            self._look, readings_max=_LOOKS_AT_ONCE, keys_max=seats_max, seconds=seconds
        )

    async def held_until(self, screening_id: str, seat: str, version_least: int = 0) -> datetime | None:
        """Return when the hold ends that has this seat now; None if none has, be the seat free, taken, blocked or unknown.

        A mirror that is older than `version_least` is not believed. Raises what asyncpg raises if Postgres, where it is
        needed, does not answer.
        """
        asked = _Asked(screening_id, seat, version_least)
        return (await self._looks.ask([asked]))[asked]

    async def close(self) -> None:
        """End what is being read."""
        await self._looks.close()

    async def _look(self, asked: Sequence[_Asked], tell: Tell[_Asked, datetime | None]) -> None:
        pools = [Pool(ResourceKey(KIND, one.screening_id), WORD, one.seat) for one in asked]
        seen: Sequence[Seen] = [NOT_WHOLE] * len(pools)
        with suppress(CacheUnavailableError):
            seen = await self._mirror.read(pools)
        unknown: list[_Asked] = []
        for one, there in zip(asked, seen, strict=True):
            if there.whole_at is None or there.whole_at < one.version_least:
                unknown.append(one)
            else:
                tell(one, None if there.held is None else there.held.expires_at)
        self.reads[Source.MIRROR] += len(asked) - len(unknown)
        if unknown:
            self.reads[Source.POSTGRES] += len(unknown)
            held = await self._read_source(KIND, {(one.screening_id, one.seat) for one in unknown})
            for one in unknown:
                tell(one, held.get((one.screening_id, one.seat)))
