"""What the tests of this package ask of answers and records, said once."""

import asyncio
import contextlib
import re
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from tests.installation import Installation, Process, Reply, eventually

_INTERNALS = re.compile(
    r"traceback|file \"|asyncpg|aiokafka|msgspec|pydantic|sqlstate|\.py\b|select |insert "
    r"|\.commands|\.events|postgresql:|\b0x[0-9a-f]{6}",
    re.IGNORECASE,
)
_RETRIES = {"same_key", "new_key", "never"}


def fresh(name: str = "slot") -> str:
    """Return the id of a slot that no other test uses."""
    return f"{name}-{uuid.uuid4().hex[:10]}"


def problem(reply: Reply, status: int, kind: str) -> dict[str, Any]:
    """Return the problem that a reply carries, which must be complete and tell nothing of our insides."""
    assert reply.status == status, reply.body
    assert reply.response.content_type == "application/problem+json"
    body: dict[str, Any] = reply.body
    check_members(body, status, kind)
    if status == 503:
        assert int(reply.response.headers["Retry-After"]) >= 1
    return body


def check_members(body: dict[str, Any], status: int, kind: str) -> None:
    """Check a problem object, answered or polled."""
    assert body["type"].startswith("http://")
    assert (body["type"].rpartition("/problems/")[2], body["status"]) == (kind, status)
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("/")
    assert body["retry"] in _RETRIES
    shown = {name: text for name, text in body.items() if name not in {"type", "instance"}}
    assert _INTERNALS.search(str(shown)) is None, shown


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    """Return the headers of a record as texts."""
    return {name: (content or b"").decode("utf-8", "replace") for name, content in record.headers}


async def events_of(running: Installation, resource_id: str) -> list[ConsumerRecord]:
    """Return all events of a slot, in their order, as soon as those of every command that was sent are there."""
    await eventually(running.is_worked_off, what="every command is worked off")
    records = await running.records(running.settings.catalogue().events("slot"))
    return [record for record in records if record.key == resource_id.encode()]


async def caused_by(running: Installation, command_id: str, *, count: int = 1) -> list[ConsumerRecord]:
    """Return the events that a command caused, as soon as there are at least `count`."""

    async def enough() -> list[ConsumerRecord] | None:
        records = await running.records(running.settings.catalogue().events("slot"))
        found = [record for record in records if headers_of(record).get("ce_causationid") == command_id]
        return found if len(found) >= count else None

    found: list[ConsumerRecord] = await eventually(enough, what=f"{count} events of command {command_id}")
    return found


@asynccontextmanager
async def sleeping(worker: Process) -> AsyncIterator[None]:
    """Keep a worker from working for the length of the block, shorter than its session with the broker lasts."""
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


@dataclass
class Silence:
    """A server that accepts connections and never answers."""

    address: str = ""
    connections: int = 0
    is_over: bool = False


@asynccontextmanager
async def silence() -> AsyncIterator[Silence]:
    """Give such a server on a local port."""
    silent = Silence()
    writers: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.connections += 1
        writers.append(writer)
        with contextlib.suppress(OSError):
            while not silent.is_over and await reader.read(65_536):
                pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    silent.address = "{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield silent
    finally:
        server.close()
        silent.is_over = True  # for a connection that is only now being accepted
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
