"""Starts the programs of bench/peers beside the stack, on its Postgres and Redis, and ends them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from firmhold.bench.cases import CONSTANT, REDIS_LOCK, REDIS_SCRIPT, ROW_LOCK
from firmhold.bench.holds import Contender, Found
from firmhold.bench.http_client import NotHttpError, close_all, connect, requests_of
from firmhold.local.ports import LOOPBACK, next_free
from firmhold.settings import Settings

CHECKOUT = Path(__file__).parents[2]
POOL_SIZES = (4, 8, 16, 32)
REDIS_CONNECTIONS = 32
READY_SECONDS = 90.0  # ten interpreters start at once
STOP_SECONDS = 10.0
SCHEMA = "bench_peers"
REDIS_KEYS = "bench-peers:*"
_FIRST_PORT = 21_000
_FOUND = f"select count(*) from {SCHEMA}.holds where hold_id = any ($1::text[])"  # noqa: S608 - a constant


class PeerError(Exception):
    """A peer did not start; the message has what it said."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers as contenders; of the sized ones there is one for each pool size, the best is chosen in the run."""

    plain: Sequence[Contender]
    sized: Sequence[Sequence[Contender]]
    constant: Contender


@asynccontextmanager
async def started_peers(settings: Settings) -> AsyncIterator[Peers]:
    """Start all; afterwards end them and drop what they stored."""
    postgres, redis_url = settings.postgres.get_secret_value(), settings.redis.get_secret_value()
    async with AsyncExitStack() as opened:
        pool = await opened.enter_async_context(asyncpg.create_pool(postgres, min_size=1, max_size=2))
        redis = await opened.enter_async_context(Redis.from_url(redis_url))
        opened.push_async_callback(_forget, pool, redis)

        async def in_postgres(ids: Sequence[str]) -> int:
            count: int = await pool.fetchval(_FOUND, ids)
            return count

        async def in_redis(ids: Sequence[str]) -> int:
            found = 0
            for begin in range(0, len(ids), 1000):
                found += await redis.exists(*(f"bench-peers:{one}" for one in ids[begin : begin + 1000]))
            return found

        async def nowhere(ids: Sequence[str]) -> int:
            return len(ids)

        def start(name: str, program: str, found: Found, *options: str) -> _Peer:
            peer = _Peer(Contender(name, f"http://{LOOPBACK}:{next(ports)}", found), program, options)
            opened.push_async_callback(peer.stop)
            return peer

        ports = _free_ports()
        of_postgres, of_redis = ("--postgres", postgres), ("--redis", redis_url)
        row_locks, redis_locks = [], []
        for size in POOL_SIZES:
            options = (*of_postgres, "--connections", str(size))
            row_locks.append(start(f"{ROW_LOCK}, pool {size}", "row_lock", in_postgres, *options))
            name = f"{REDIS_LOCK}, pool {size}"
            redis_locks.append(start(name, "redis_lock", in_postgres, *options, *of_redis))
        options = (*of_redis, "--connections", str(REDIS_CONNECTIONS))
        script = start(REDIS_SCRIPT, "redis_script", in_redis, *options)
        constant = start(CONSTANT, "constant", nowhere)
        await asyncio.gather(*(peer.ready() for peer in (*row_locks, *redis_locks, script, constant)))
        sized = [[peer.contender for peer in peers] for peers in (row_locks, redis_locks)]
        yield Peers([script.contender], sized, constant.contender)


def _free_ports() -> Iterator[int]:
    port = _FIRST_PORT
    while True:
        port = next_free(port + 1)
        yield port


class _Peer:
    """A program of bench/peers, run as a process."""

    def __init__(self, contender: Contender, program: str, options: Sequence[str]) -> None:
        self.contender = contender
        port = contender.url.rpartition(":")[2]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", f"bench.peers.{program}", "--port", port, *options],
            cwd=CHECKOUT,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    async def ready(self) -> None:
        """Return when it answers."""
        await _ready(self._process, self.contender.url)

    async def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def _ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    request = requests_of(url, "GET", {})("/readyz", "", b"")
    async with asyncio.timeout(READY_SECONDS):
        while True:
            if process.poll() is not None:
                said = process.stderr.read() if process.stderr else b""
                raise PeerError(f"{process.args!r} ended: {said.decode(errors='replace')}")
            try:
                connections = await connect(url, 1)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            try:
                await connections[0].ask(request)
            except NotHttpError:
                continue
            finally:
                close_all(connections)
            return


async def _forget(pool: asyncpg.Pool, redis: Redis) -> None:
    await pool.execute(f"drop schema if exists {SCHEMA} cascade")
    async for key in redis.scan_iter(match=REDIS_KEYS, count=10_000):
        await redis.unlink(key)
