"""Read through a cache: what is fresh is served from it, what is missing is read by one gateway at a time and stored.

It knows neither what is cached nor in what: names and values are given. It never makes an answer wrong: a value is served
only if no write that was answered before the asking makes it old, and where the cache cannot tell, the source is read.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import NamedTuple

from gateway.cache_store import CacheStore, CacheUnavailableError, Entry, Locked, Seen
from gateway.gathering import Gathering, Tell

_ASKS_AT_ONCE = 4
_LOADS_AT_ONCE = 8


def _now() -> float:
    """Return the event loop's time: in a simulation it is not that of the machine."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Value:
    """What was read from the source: as of which version, and in how long it will change by itself, if it will."""

    version: int
    payload: bytes
    changes_in_ms: int | None = None


ABSENT = Value(0, b"")


class Source(Enum):
    """Where a value came from; docs/metrics.md says what to conclude."""

    HIT = "hit"
    SHARED = "shared"
    LOADED = "loaded"
    STALE = "stale"
    BYPASSED = "bypassed"


@dataclass(frozen=True, slots=True)
class CacheBounds:
    """How long things live and are waited for."""

    fresh_ms: int
    stale_ms: int
    lock_ms: int
    wait_ms: int
    names_max: int
    poll_ms: int = 20
    read_ms: int = 2_000
    looks_apart_ms: int = 1


class Wanted(NamedTuple):
    """A name, and the least version that its asker takes."""

    name: str
    version_least: int


ReadSource = Callable[[Sequence[str]], Awaitable[Mapping[str, Value]]]


class Cache:
    """Values by name, read with `read_source` where the store has none that may be served."""

    def __init__(
        self,
        store: CacheStore,
        read_source: ReadSource,
        bounds: CacheBounds,
        *,
        clock_seconds: Callable[[], float] = _now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`read_source` reads all names at once and leaves out what does not exist; clock and pause are for waiting only."""
        self._store = store
        self._read_source = read_source
        self._bounds = bounds
        self._clock_seconds = clock_seconds
        self._pause = pause
        self.reads: Counter[Source] = Counter()
        self._being_stored: dict[str, asyncio.Future[None]] = {}
        self._looks: Gathering[str, Seen | None] = Gathering(
            self._look,
            readings_max=_ASKS_AT_ONCE,
            keys_max=bounds.names_max,
            seconds=bounds.read_ms / 1000,
            apart_seconds=bounds.looks_apart_ms / 1000,
        )
        self._loads: Gathering[Wanted, Value] = Gathering(
            self._load, readings_max=_LOADS_AT_ONCE, keys_max=bounds.names_max, seconds=bounds.read_ms / 1000
        )

    async def get(self, names: Collection[str], version_least: int = 0) -> dict[str, Value]:
        """Return the value of each name (ABSENT: there is none); raises what `read_source` raises.

        A cached version below `version_least` is not served; what the source has, is.
        """
        looked = await self._looks.ask(names)
        found: dict[str, Value] = {}
        missing: list[Wanted] = []
        for name, seen in looked.items():
            entry = None if seen is None else seen.fresh(version_least)
            if entry is None:
                missing.append(Wanted(name, version_least))
            else:
                found[name] = _value(entry)
        self.reads[Source.HIT] += len(found)
        if missing:
            found |= {wanted.name: value for wanted, value in (await self._loads.ask(missing)).items()}
        return found

    async def close(self) -> None:
        """End what is being read."""
        await self._looks.close()
        await self._loads.close()

    async def _look(self, names: Sequence[str], tell: Tell[str, Seen | None]) -> None:
        try:
            looked: Mapping[str, Seen] = await self._store.read(names)
        except CacheUnavailableError:
            looked = {}
        for name in names:
            tell(name, looked.get(name))

    async def _load(self, wanted: Sequence[Wanted], tell: Tell[Wanted, Value]) -> None:
        """Read what the cache does not have: under the lock and stored, or else directly and not stored."""
        untold = dict.fromkeys(wanted)

        def told(one: Wanted, value: Value) -> None:
            del untold[one]
            tell(one, value)

        with suppress(CacheUnavailableError):
            await self._load_with_locks(untold, told)
        if untold:
            values = await self._read_source(_names(untold))
            self.reads[Source.BYPASSED] += len(untold)
            for one in list(untold):
                told(one, values.get(one.name, ABSENT))

    async def _load_with_locks(self, untold: Collection[Wanted], tell: Tell[Wanted, Value]) -> None:
        """Tell what others store while we wait for their locks, and what we read under our own."""
        owner = uuid.uuid4().hex
        deadline = self._clock_seconds() + self._bounds.wait_ms / 1000
        if storing := {self._being_stored[name] for name in _names(untold) if name in self._being_stored}:
            # Else we found our own lock, and took it for another gateway's.
            await asyncio.wait(storing, timeout=self._bounds.wait_ms / 1000)
        while True:
            locked = await self._store.lock(_names(untold), owner, self._bounds.lock_ms)
            for one in list(untold):
                if (entry := locked.seen[one.name].fresh(one.version_least)) is not None:
                    self.reads[Source.SHARED] += 1
                    tell(one, _value(entry))
            if locked.taken:
                await self._load_locked(locked, owner, untold, tell)
            if not untold:
                return
            if self._clock_seconds() >= deadline:
                break
            await self._pause(self._bounds.poll_ms / 1000)
        for one in list(untold):
            if (entry := locked.seen[one.name].stale(one.version_least)) is not None:
                self.reads[Source.STALE] += 1
                tell(one, _value(entry))

    async def _load_locked(
        self, locked: Locked, owner: str, untold: Collection[Wanted], tell: Tell[Wanted, Value]
    ) -> None:
        """Read, tell and store what we have the locks of, and release them whatever happens.

        Nobody waits for the storing: what was read after he asked is right for him, stored or not.
        """
        release = partial(self._store.store, owner=owner, taken=locked.taken)
        missing = [one for one in untold if one.name in locked.taken]
        if not missing:
            await release({})
            return
        names = _names(missing)
        try:
            values = await self._read_source(names)
        except Exception:
            with suppress(CacheUnavailableError):
                await release({})
            raise
        # The clock was read under the lock, before the source was: nothing is fresh for longer than it is so.
        entries = {name: self._entry(values.get(name, ABSENT), locked.seen[name].now_ms) for name in names}
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._being_stored |= dict.fromkeys(names, stored)
        try:
            self.reads[Source.LOADED] += len(missing)
            for one in missing:
                tell(one, values.get(one.name, ABSENT))
            with suppress(CacheUnavailableError):
                await release(entries)
        finally:
            for name in names:
                if self._being_stored.get(name) is stored:
                    del self._being_stored[name]
            stored.set_result(None)

    def _entry(self, value: Value, now_ms: int) -> Entry:
        fresh_ms = self._bounds.fresh_ms
        if value.changes_in_ms is not None:
            fresh_ms = min(fresh_ms, value.changes_in_ms)
        # What strangers may name at will is not kept for longer than it serves.
        stale_ms = self._bounds.stale_ms if value.payload else 0
        return Entry(value.version, value.payload, now_ms + fresh_ms, now_ms + fresh_ms + stale_ms)


def _value(entry: Entry) -> Value:
    return Value(entry.version, entry.payload)


def _names(wanted: Collection[Wanted]) -> list[str]:
    return list(dict.fromkeys(one.name for one in wanted))
