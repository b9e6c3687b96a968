"""Peer 2: a lock in Redis around the same transaction. Requests of this process queue, so that one of them asks Redis."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from aiohttp import web
from redis.asyncio import BlockingConnectionPool, Redis

from bench.peers.postgres_tables import DEFINE, open_pool
from bench.peers.row_lock import take
from bench.peers.serving import answer, arguments, read_hold, read_slot, serve, sold_out

RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
LOCK_MS = 5_000
PAUSE_SECONDS = 0.001
POOL = web.AppKey("pool", asyncpg.Pool)
REDIS = web.AppKey("redis", Redis)
RELEASE_SCRIPT = web.AppKey("release", object)
QUEUES: web.AppKey[defaultdict[str, asyncio.Lock]] = web.AppKey("queues", defaultdict)


async def hold(request: web.Request) -> web.Response:
    """Hold units under the slot's lock."""
    slot_id, key = request.match_info["slot_id"], request.headers["Idempotency-Key"]
    quantity = read_hold(await request.read()).quantity
    redis, name, owner = request.app[REDIS], f"bench-peers:lock:{slot_id}", uuid.uuid4().hex
    async with request.app[QUEUES][slot_id]:
        while not await redis.set(name, owner, nx=True, px=LOCK_MS):  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            body, is_new = await take(request.app[POOL], slot_id, key, quantity)
        finally:
            release: Any = request.app[RELEASE_SCRIPT]
            await release(keys=[name], args=[owner])
    if body is None:
        return sold_out()
    return answer(body, 201 if is_new else 200)


async def define(request: web.Request) -> web.Response:
    """Create a slot."""
    capacity = read_slot(await request.read()).capacity
    await request.app[POOL].execute(DEFINE, request.match_info["slot_id"], capacity)
    return answer(b"{}")


async def _servers(app: web.Application) -> AsyncIterator[None]:
    app[POOL] = await open_pool(OPTIONS.postgres, OPTIONS.connections)
    # More clients than connections wait for one; the plain pool would refuse them.
    app[REDIS] = Redis.from_pool(BlockingConnectionPool.from_url(OPTIONS.redis, max_connections=64, timeout=None))
    app[RELEASE_SCRIPT] = app[REDIS].register_script(RELEASE)
    app[QUEUES] = defaultdict(asyncio.Lock)
    yield
    await app[REDIS].aclose()
    await app[POOL].close()


if __name__ == "__main__":
    PARSER = arguments()
    PARSER.add_argument("--postgres", required=True)
    PARSER.add_argument("--redis", required=True)
    PARSER.add_argument("--connections", type=int, required=True)
    OPTIONS = PARSER.parse_args()
    serve(OPTIONS.port, [web.post("/slots/{slot_id}/hold", hold), web.put("/slots/{slot_id}", define)], _servers)
