"""The tables of the peers that keep holds in Postgres, and how each begins anew."""

import asyncpg

SCHEMA = "bench_peers"
_TABLES = f"""
create schema if not exists {SCHEMA};
create table if not exists {SCHEMA}.slots (
    slot_id text primary key, capacity bigint not null, held bigint not null
) with (fillfactor = 50);
create table if not exists {SCHEMA}.holds (
    key text primary key, hold_id text not null unique, slot_id text not null, quantity bigint not null,
    answer bytea not null
);
"""
DEFINE = f"""
insert into {SCHEMA}.slots values ($1, $2, 0) on conflict (slot_id) do update set capacity = excluded.capacity
"""  # noqa: S608 - a constant


async def open_pool(url: str, connections: int) -> asyncpg.Pool:
    """Return a pool of so many open connections, with the tables there; asyncpg keeps each statement prepared."""
    pool = await asyncpg.create_pool(
        url, min_size=connections, max_size=connections, server_settings={"jit": "off", "timezone": "UTC"}
    )
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(20261121)")
        await connection.execute(_TABLES)
    return pool
