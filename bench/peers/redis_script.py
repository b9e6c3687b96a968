"""Peer 3: one Lua script in Redis for each request. Nothing of it is durable."""

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from redis.asyncio import BlockingConnectionPool, Redis

from bench.peers.serving import answer, arguments, body_of_hold, hold_id_of, read_hold, read_slot, serve, sold_out

# KEYS: the slot, the idempotency key. ARGV: quantity, the answer. Returns the answer, and whether it is new.
HOLD = """
local known = redis.call('GET', KEYS[2])
if known then return {known, 0} end
if redis.call('HINCRBY', KEYS[1], 'remaining', -ARGV[1]) < 0 then
    redis.call('HINCRBY', KEYS[1], 'remaining', ARGV[1])
    return {false, 0}
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', 3600)
return {ARGV[2], 1}
"""
PREFIX = "bench-peers"
REDIS = web.AppKey("redis", Redis)
SCRIPT = web.AppKey("script", object)


async def hold(request: web.Request) -> web.Response:
    """Hold units, or answer as the first time if the key was used."""
    slot_id, key = request.match_info["slot_id"], request.headers["Idempotency-Key"]
    quantity = read_hold(await request.read()).quantity
    hold_id = hold_id_of(slot_id, key)
    script: Any = request.app[SCRIPT]
    body, is_new = await script(
        keys=[f"{PREFIX}:slot:{slot_id}", f"{PREFIX}:{hold_id}"],
        args=[quantity, body_of_hold(slot_id, hold_id, quantity)],
    )
    if body is None:
        return sold_out()
    return answer(body, 201 if is_new else 200)


async def define(request: web.Request) -> web.Response:
    """Create a slot."""
    capacity = read_slot(await request.read()).capacity
    await request.app[REDIS].hset(f"{PREFIX}:slot:{request.match_info['slot_id']}", "remaining", str(capacity))
    return answer(b"{}")


async def _redis(app: web.Application) -> AsyncIterator[None]:
    app[REDIS] = Redis.from_pool(BlockingConnectionPool.from_url(OPTIONS.redis, max_connections=OPTIONS.connections))
    app[SCRIPT] = app[REDIS].register_script(HOLD)
    yield
    await app[REDIS].aclose()


if __name__ == "__main__":
    PARSER = arguments()
    PARSER.add_argument("--redis", required=True)
    PARSER.add_argument("--connections", type=int, required=True)
    OPTIONS = PARSER.parse_args()
    serve(OPTIONS.port, [web.post("/slots/{slot_id}/hold", hold), web.put("/slots/{slot_id}", define)], _redis)
