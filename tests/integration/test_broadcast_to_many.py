"""A thousand listeners of one screening on one gateway: all are told everything, and what that costs in memory."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.box_office import TOKEN, BoxOffice
from tests.installation import ALICE_KEY, Process, eventually, installation
from tests.listening import Listening, listening
from tests.servers import Urls
from topics.commands import Cancel, Confirm, Hold
from topics.producer import ResilientProducer
from topics.seating import Row

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.chaos]
LISTENERS = 1_000
ROWS = tuple(Row(row=f"{a}{b}", seats=100) for a in "ABCDE" for b in "ABCDEFGHIJ")  # 5,000 seats
MEMORY_MAX_BYTES = 35_000_000  # 19 MB were measured


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[BoxOffice]:
    """Give a box office of an installation with a worker and a gateway."""
    async with installation(servers, module_postgres_url, logs) as site:
        await site.start_worker()
        await site.start_gateway(FIRMHOLD_STREAM_STUCK_SECONDS="1")
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        yield BoxOffice(site, producer)
        await producer.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(office: BoxOffice) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session that may have any number of connections."""
    headers = {"Authorization": f"Bearer {ALICE_KEY}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as one:
        yield one


def resident_bytes(process: Process) -> int:
    """Return how much memory a process has."""
    pages = int(Path(f"/proc/{process.popen.pid}/statm").read_text().split()[1])
    return pages * 4096


async def test_a_thousand_listeners_are_told_everything(office: BoxOffice, session: aiohttp.ClientSession) -> None:
    """Each the same, each event once, without a second snapshot."""
    screening = await office.define(*ROWS)
    gateway, url = office.site.processes[-1], office.site.gateway_url
    async with listening(session, screening, url):
        before = resident_bytes(gateway)
    async with AsyncExitStack() as stack:
        everybody: list[Listening] = []
        for _ in range(0, LISTENERS, 100):
            everybody += await asyncio.gather(
                *(stack.enter_async_context(listening(session, screening, url)) for _ in range(100))
            )
        pairs = [(f"AA{number}", f"AA{number + 1}") for number in range(1, 40, 2)]
        holds = await office.ask(*(Hold(resource_id=screening, seats=pair, token_hash=TOKEN) for pair in pairs))
        await office.ask(*(Confirm(resource_id=screening, hold_id=hold_id, token_hash=TOKEN) for hold_id in holds))
        wanted = [f"taken AA{number}" for number in range(1, 41)]
        await asyncio.gather(*(one.until(*wanted, seconds=60) for one in everybody))
        grown = resident_bytes(gateway) - before
        assert {len(one.told) for one in everybody} == {1 + 80}
        assert len({tuple(one.events) for one in everybody}) == 1
        assert grown < MEMORY_MAX_BYTES, f"{grown / LISTENERS:.0f} bytes for each listener"
    assert await _told(session, url, 'firmhold_snapshots_total{cause="new"}') >= LISTENERS
    assert await _told(session, url, "firmhold_listeners_dropped_total") == 0


async def test_who_takes_nothing_is_let_go(office: BoxOffice, session: aiohttp.ClientSession) -> None:
    """Soon, and with little kept for him meanwhile; who listens beside him hears all.

    Seen to fail without a bound on how long a write may take: he is counted as a listener until he leaves.
    """
    screening = await office.define(*ROWS)
    url = URL(office.site.gateway_url)
    assert url.host is not None
    assert url.port is not None
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect((url.host, url.port))
        request = f"GET /screenings/{screening}/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ALICE_KEY}\r\n\r\n"
        stuck.sendall(request.encode())
        async with listening(session, screening, str(url)) as one:
            for row in ("AA", "AB", "AC", "AD"):
                seats = [f"{row}{number}" for number in range(1, 101)]
                hold_id = await office.hold(screening, *seats)
                await office.ask(Cancel(resource_id=screening, hold_id=hold_id, token_hash=TOKEN))
                await one.until(*(f"released {seat}" for seat in seats))
            assert one.events.count("snapshot") == 1
            await eventually(lambda: _is_let_go(session, str(url)), what="the stuck one is let go")


async def _is_let_go(session: aiohttp.ClientSession, url: str) -> bool:
    dropped, left = [
        await _told(session, url, name) for name in ("firmhold_listeners_dropped_total", "firmhold_listeners ")
    ]
    return (dropped, left) == (1, 1)


async def _told(session: aiohttp.ClientSession, url: str, metric: str) -> float:
    async with session.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(metric))
