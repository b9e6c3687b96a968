"""A door before Postgres that counts the queries that go through, and can be held shut while somebody waits behind it."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

EXECUTE = b"E"  # of the extended protocol, which asyncpg uses for every query that is not its own housekeeping


class Door:
    """Connections to Postgres that go through here."""

    def __init__(self, url: str) -> None:
        """Lead to the server of `url`."""
        self._target = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.url = ""
        self.queries = 0
        self.held = asyncio.Event()

    def shut(self) -> None:
        """Hold back what Postgres answers to queries from now on; `held` is set when there is something.

        Not to housekeeping: a connection that is opened, or a statement that is prepared, has read nothing yet.
        """
        self.held.clear()
        self._open.clear()

    def reopen(self) -> None:
        """Let it through."""
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways until either side ends it."""
        assert self._target.hostname is not None
        inner_reader, inner_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        asked = asyncio.Event()
        ways = [
            asyncio.create_task(self._questions(reader, inner_writer, asked)),
            asyncio.create_task(self._answers(inner_reader, writer, asked)),
        ]
        self._tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._tasks.difference_update(ways)
        writer.close()
        inner_writer.close()

    async def _questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        kind = b""  # the first messages have none: a request for TLS, the start-up
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(4)
                (length,) = struct.unpack("!I", head)
                body = await reader.readexactly(length - 4)
                if kind == EXECUTE:
                    self.queries += 1
                    asked.set()
                writer.write(kind + head + body)
                await writer.drain()
                is_tls_request = not kind and length == 8
                kind = b"" if is_tls_request else await reader.readexactly(1)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if asked.is_set() and not self._open.is_set():
                    self.held.set()
                    await self._open.wait()
                asked.clear()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def door_to(url: str) -> AsyncIterator[Door]:
    """Give a door to the Postgres of a URL; its own `url` is what goes through it."""
    door = Door(url)
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    parts = urlsplit(url)
    host = "{}:{}".format(*server.sockets[0].getsockname())
    credentials, at, _ = parts.netloc.rpartition("@")
    door.url = urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}"))
    try:
        yield door
    finally:
        door.reopen()
        server.close()
        for task in list(door._tasks):
            task.cancel()
