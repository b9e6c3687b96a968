"""Peer 1: one transaction and `select … for update` for each request. The row is locked as late as it can be."""

from collections.abc import AsyncIterator

import asyncpg
from aiohttp import web

from bench.peers.postgres_tables import DEFINE, SCHEMA, open_pool
from bench.peers.serving import (
    answer,
    arguments,
    body_of_hold,
    hold_id_of,
    read_hold,
    read_slot,
    serve,
    sold_out,
)

LOCK = f"select capacity - held as remaining from {SCHEMA}.slots where slot_id = $1 for update"  # noqa: S608 - a constant
KNOWN = f"select answer from {SCHEMA}.holds where key = $1"  # noqa: S608 - the same
TAKE = f"""
with taken as (update {SCHEMA}.slots set held = held + $3 where slot_id = $1)
insert into {SCHEMA}.holds (slot_id, key, quantity, hold_id, answer) values ($1, $2, $3, $4, $5)
"""  # noqa: S608 - the same
POOL = web.AppKey("pool", asyncpg.Pool)


async def hold(request: web.Request) -> web.Response:
    """Hold units, or answer as the first time if the key was used."""
    slot_id, key = request.match_info["slot_id"], request.headers["Idempotency-Key"]
    quantity = read_hold(await request.read()).quantity
    body, is_new = await take(request.app[POOL], slot_id, key, quantity)
    if body is None:
        return sold_out()
    return answer(body, 201 if is_new else 200)


async def take(pool: asyncpg.Pool, slot_id: str, key: str, quantity: int) -> tuple[bytes | None, bool]:
    """Return the answer, None if sold out, and whether it is new."""
    hold_id = hold_id_of(slot_id, key)
    async with pool.acquire() as connection:
        try:
            async with connection.transaction():
                remaining = await connection.fetchval(LOCK, slot_id)
                if remaining is None or remaining < quantity:
                    return await connection.fetchval(KNOWN, key), False
                body = body_of_hold(slot_id, hold_id, quantity)
                await connection.execute(TAKE, slot_id, key, quantity, hold_id, body)
        except asyncpg.UniqueViolationError:
            return await connection.fetchval(KNOWN, key), False
    return body, True


async def define(request: web.Request) -> web.Response:
    """Create a slot."""
    capacity = read_slot(await request.read()).capacity
    await request.app[POOL].execute(DEFINE, request.match_info["slot_id"], capacity)
    return answer(b"{}")


async def _pool(app: web.Application) -> AsyncIterator[None]:
    app[POOL] = await open_pool(OPTIONS.postgres, OPTIONS.connections)
    yield
    await app[POOL].close()


if __name__ == "__main__":
    PARSER = arguments()
    PARSER.add_argument("--postgres", required=True)
    PARSER.add_argument("--connections", type=int, required=True)
    OPTIONS = PARSER.parse_args()
    serve(OPTIONS.port, [web.post("/slots/{slot_id}/hold", hold), web.put("/slots/{slot_id}", define)], _pool)
