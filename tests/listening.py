"""A listener to the broadcast of a screening: reads its stream and knows each seat by what he was told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

STATUS_OF = {"seat.held": "held", "seat.taken": "taken", "seat.released": "free"}


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    event: str
    id: str
    data: dict[str, Any]

    @property
    def epoch(self) -> str:
        """Return what versions compare within."""
        return self.id.partition("-")[0]

    @property
    def version(self) -> int:
        """Return the version, of which the id and the data have to say the same."""
        version = int(self.id.partition("-")[2])
        assert version == self.data["version"]
        return version


@dataclass
class Listening:
    """What one listener was told so far."""

    told: list[Told] = field(default_factory=list)
    seats: dict[str, str] = field(default_factory=dict)
    retries: list[int] = field(default_factory=list)
    is_over: bool = False
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def last_id(self) -> str:
        """Return what a browser would send as Last-Event-ID."""
        return self.told[-1].id if self.told else ""

    @property
    def events(self) -> list[str]:
        """Return the events in short: `snapshot`, `held A1`."""
        return [
            one.event if one.event == "snapshot" else f"{one.event.partition('.')[2]} {one.data['seat']}"
            for one in self.told
        ]

    def hear(self, one: Told) -> None:
        """Take an event as a page would; a version that came before, or of another order, is a fault."""
        if one.event == "snapshot":
            self.seats = {seat: status for status, seats in one.data["seats"].items() for seat in seats}
        else:
            assert self.told, "an event came before any snapshot"
            assert one.epoch == self.told[-1].epoch
            assert one.version > self.told[-1].version, (one, self.told[-1])
            self.seats[one.data["seat"]] = STATUS_OF[one.event]
        self.told.append(one)

    async def read(self, response: aiohttp.ClientResponse) -> None:
        """Read a stream to its end."""
        fields: dict[str, str] = {}
        try:
            async for line in response.content:
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                if "retry" in fields:
                    self.retries.append(int(fields["retry"]))
                async with self.news:
                    if "data" in fields:
                        self.hear(Told(fields["event"], fields["id"], msgspec.json.decode(fields["data"])))
                    self.news.notify_all()
                fields = {}
        except aiohttp.ClientError:
            pass  # the gateway is gone
        finally:
            async with self.news:
                self.is_over = True
                self.news.notify_all()

    async def until(self, *events: str, seconds: float = 20) -> None:
        """Return when the last events are these."""
        wanted = list(events)
        async with asyncio.timeout(seconds), self.news:
            await self.news.wait_for(lambda: self.events[-len(wanted) :] == wanted)

    async def end(self, seconds: float = 20) -> None:
        """Return when the stream has ended."""
        async with asyncio.timeout(seconds), self.news:
            await self.news.wait_for(lambda: self.is_over)


@asynccontextmanager
async def listening(
    session: aiohttp.ClientSession, screening: str, url: str = "", last_id: str = "", into: Listening | None = None
) -> AsyncIterator[Listening]:
    """Listen to a screening for the length of the block, as soon as there is a first event or it is clear where to go on.

    `into` is a listener who comes again; else it is a new one.
    """
    one = into or Listening()
    one.is_over = False
    last_id = last_id or one.last_id
    headers = {"Last-Event-ID": last_id} if last_id else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=20)
    async with session.get(f"{url}/screenings/{screening}/events", headers=headers, timeout=timeout) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
        reading = asyncio.create_task(one.read(response))
        try:
            if not last_id:
                async with asyncio.timeout(20), one.news:
                    await one.news.wait_for(lambda: one.told)
            yield one
        finally:
            response.close()
            await reading
