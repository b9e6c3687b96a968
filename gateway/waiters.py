"""Who waits for the outcome of which request. Bounded; an outcome is handed to every waiter of its request."""

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Answer:
    """The event that answers a request: its type, its data as JSON, and the record that was decided."""

    type: str
    data: bytes
    record: str


class Waiter:
    """Waits for one request; `gap` is set when the reader may have missed the answer, so that Postgres is asked."""

    def __init__(self) -> None:
        """Begin to wait."""
        self.answer: Answer | None = None
        self.gap = asyncio.Event()
        self._answered: asyncio.Future[None] | None = None
        self._news: asyncio.Future[None] | None = None

    def tell(self, answer: Answer) -> None:
        """Hand over the answer."""
        if self.answer is None:
            self.answer = answer
            if self._answered is not None and not self._answered.done():
                self._answered.set_result(None)
        self._wake()

    def tell_of_gap(self) -> None:
        """Say that the answer may have been missed."""
        self.gap.set()
        self._wake()

    def has_news(self) -> bool:
        """Tell whether there is an answer or a gap."""
        return self.answer is not None or self.gap.is_set()

    def answered(self) -> asyncio.Future[None]:
        """Return what is done when the answer is there; for who waits for other things too."""
        if self._answered is None or self._answered.cancelled():
            self._answered = asyncio.get_running_loop().create_future()
            if self.answer is not None:
                self._answered.set_result(None)
        return self._answered

    async def wait(self, seconds: float) -> None:
        """Return when there is an answer or a gap, or after so many seconds. One at a time may wait so."""
        if self.has_news():
            return
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._news
        finally:
            timer.cancel()
            self._news = None

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Waiters:
    """All who wait at this gateway."""

    def __init__(self, waiters_max: int) -> None:
        """Let at most so many wait at once."""
        self._waiters_max = waiters_max
        self._by_request: dict[str, list[Waiter]] = {}
        self._since: dict[str, float] = {}
        self._count = 0
        self.closing = False

    def __len__(self) -> int:
        """Return how many wait."""
        return self._count

    def since(self) -> float | None:
        """Return since when (of the monotonic clock) somebody who was not told has been waiting, at most; None if nobody has."""
        return next(iter(self._since.values()), None)

    def awaits(self, request_id: str) -> bool:
        """Tell whether anybody waits for this request who was not told yet."""
        return any(waiter.answer is None for waiter in self._by_request.get(request_id, ()))

    def waiting_for(self, request_id: str) -> AbstractContextManager[Waiter | None]:
        """Wait for the length of the block; None if too many wait already, or the gateway is stopping."""
        if self.closing or self._count >= self._waiters_max:
            return nullcontext()
        return _Waiting(self, request_id)

    def join(self, request_id: str) -> Waiter:
        """Begin to wait; for `waiting_for`, which ends it too."""
        waiter = Waiter()
        self._by_request.setdefault(request_id, []).append(waiter)
        self._since.setdefault(request_id, time.monotonic())
        self._count += 1
        return waiter

    def leave(self, request_id: str, waiter: Waiter) -> None:
        """Wait no longer."""
        self._count -= 1
        waiters = self._by_request[request_id]
        waiters.remove(waiter)
        if not waiters:
            del self._by_request[request_id]
            self._since.pop(request_id, None)

    def answer(self, request_id: str, answer: Answer) -> None:
        """Hand the answer to whoever waits for it."""
        self._since.pop(request_id, None)
        for waiter in self._by_request.get(request_id, ()):
            waiter.tell(answer)

    def close(self) -> None:
        """Let nobody wait any more: each looks in Postgres once, and answers with what is known."""
        self.closing = True
        self.tell_of_gap()

    async def drained(self, seconds: float) -> None:
        """Let who waits be answered for so long, then close."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._by_request and asyncio.get_running_loop().time() < deadline:
            answers = [waiter.answered() for waiters in self._by_request.values() for waiter in waiters]
            await asyncio.wait(answers, timeout=deadline - asyncio.get_running_loop().time())
            await asyncio.sleep(0)
        self.close()

    def tell_of_gap(self) -> None:
        """Let everybody look in Postgres: events may have been missed."""
        for waiters in self._by_request.values():
            for waiter in waiters:
                waiter.tell_of_gap()


class _Waiting(AbstractContextManager[Waiter | None]):
    """The block in which a request is waited for. A class, as each hold passes here and a generator costs twice as much."""

    __slots__ = ("_request_id", "_waiter", "_waiters")

    def __init__(self, waiters: Waiters, request_id: str) -> None:
        self._waiters = waiters
        self._request_id = request_id

    def __enter__(self) -> Waiter:
        self._waiter = self._waiters.join(self._request_id)
        return self._waiter

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiters.leave(self._request_id, self._waiter)
