"""Answer many askers with few readings: a reading serves only those who asked before it began.

So whoever asks after a write was answered never gets what somebody else read before that write, and a thousand who ask at
once cost two readings at most. It must not know what is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Tell = Callable[[K, V], None]
Read = Callable[[Sequence[K], Callable[[K, V], None]], Awaitable[None]]


class Gathering(Generic[K, V]):
    """Gathers keys that are asked for; no key is read twice at once."""

    def __init__(
        self, read: Read[K, V], *, readings_max: int, keys_max: int, seconds: float, apart_seconds: float = 0.0
    ) -> None:
        """`read` is given keys, so many at most, and tells each one's value as soon as it knows it.

        A value that is not there so many `seconds` after it was first asked for is late for all who wait for it. Readings
        begin `apart_seconds` apart, so that under load each serves more askers; the first one begins at once.
        """
        self._read = read
        self._readings_max = readings_max
        self._keys_max = keys_max
        self._seconds = seconds
        self._apart_seconds = apart_seconds
        self._began_at = float("-inf")
        self._asked: dict[K, asyncio.Future[V]] = {}
        self._being_read: set[K] = set()
        self._readings: set[asyncio.Task[None]] = set()
        self._will_begin = False

    async def ask(self, keys: Iterable[K]) -> dict[K, V]:
        """Return the value of each key, read after this call; raises what the reading raises, TimeoutError if it is late."""
        futures: dict[K, asyncio.Future[V]] = {}
        for key in keys:
            future = self._asked.get(key)
            if future is None or future.done():
                future = self._asked[key] = self._bounded(key)
            futures[key] = future
        self._begin_soon()
        for future in futures.values():
            if not future.done():
                await asyncio.shield(future)  # others wait for it too: our being cancelled is not its end
        return {key: future.result() for key, future in futures.items()}

    def _bounded(self, key: K) -> asyncio.Future[V]:
        """Return a future that fails when it is late: one timer for all who wait for it, as each of theirs would cost more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V] = loop.create_future()
        timer = loop.call_later(self._seconds, self._be_late, key, future)
        future.add_done_callback(lambda _: timer.cancel())
        return future

    def _be_late(self, key: K, future: asyncio.Future[V]) -> None:
        if self._asked.get(key) is future:
            del self._asked[key]  # nobody waits for it any more
        _fail(future, TimeoutError())

    async def close(self) -> None:
        """End what is being read; whoever still waits is cancelled."""
        readings = list(self._readings)
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)

    def _begin_soon(self) -> None:
        """Begin when all who ask in this turn of the event loop have asked."""
        if not self._will_begin:
            self._will_begin = True
            loop = asyncio.get_running_loop()
            pause_seconds = self._began_at + self._apart_seconds - loop.time()
            if pause_seconds > 0:
                loop.call_later(pause_seconds, self._begin)
            else:
                loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._will_begin = False
        waiting = [key for key in self._asked if key not in self._being_read]
        while waiting and len(self._readings) < self._readings_max:
            keys, waiting = waiting[: self._keys_max], waiting[self._keys_max :]
            loop = asyncio.get_running_loop()
            self._began_at = loop.time()
            # In a context of its own: it reads for many, and log lines of it are not about one request.
            reading = loop.create_task(self._run({key: self._asked.pop(key) for key in keys}), context=Context())
            self._being_read.update(keys)
            self._readings.add(reading)
            reading.add_done_callback(self._ended)

    def _ended(self, reading: asyncio.Task[None]) -> None:
        self._readings.discard(reading)
        self._begin_soon()

    async def _run(self, untold: dict[K, asyncio.Future[V]]) -> None:
        def tell(key: K, value: V) -> None:
            self._being_read.discard(key)
            future = untold.pop(key)
            if not future.done():
                future.set_result(value)
            if key in self._asked:
                self._begin_soon()

        try:
            await self._read(list(untold), tell)
        except Exception as fault:  # noqa: BLE001 - it is the askers' to judge
            for future in untold.values():
                _fail(future, fault)
        finally:
            self._being_read.difference_update(untold)
            for future in untold.values():
                future.cancel()  # only those that were told nothing at all


def _fail(future: asyncio.Future[V], fault: Exception) -> None:
    if not future.done():
        future.set_exception(fault)
        future.exception()  # seen: the askers may all have gone
