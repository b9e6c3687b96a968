"""What a connection leaves behind when it goes back to its pool: nothing, and it costs a round trip only where it may."""

import asyncio

import asyncpg
import pytest

from schema.connections import Timeouts, lazy_pool


async def test_what_ran_to_its_end_spares_the_reset(postgres_url: str) -> None:
    """A committed transaction and a statement by itself: each batch of a worker waits for every round trip.

    What failed does not, nor what another call ran. Seen to fail (a RESET more) with asyncpg's own connections, and (none)
    without looking whether it ran to its end.
    """
    said: list[str] = []
    async with lazy_pool(postgres_url, connections_max=1, timeouts=Timeouts(), role="tests") as pool:
        async with pool.acquire() as connection:
            connection.add_query_logger(lambda record: said.append(record.query))
        said.clear()
        async with pool.acquire() as connection, connection.transaction():
            await connection.fetch("select 1")
        assert said == ["BEGIN;", "select 1", "COMMIT;"]
        await pool.fetch("select 2")
        assert said[-1] == "select 2"
        with pytest.raises(asyncpg.DivisionByZeroError):
            await pool.fetch("select 1 / 0")
        assert "RESET ALL" in said[-1]
        await pool.execute("set statement_timeout = 1")
        assert "RESET ALL" in said[-1]
        async with pool.acquire() as connection:
            await connection.execute("begin")
            await connection.fetch("select 3")
        assert "RESET ALL" in said[-1]


async def test_a_cancelled_read_leaves_no_transaction_open(postgres_url: str) -> None:
    """A read may be cancelled between being prepared and being executed.

    Seen to fail ("must be called before any query") without a reset after what is no committed transaction.
    """
    async with lazy_pool(postgres_url, connections_max=1, timeouts=Timeouts(), role="tests") as pool:
        for number in range(100):
            reading = asyncio.ensure_future(pool.fetchrow(f"select {number} as number, $1::text as word", "word"))
            for _ in range(number % 25):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait((reading,))
            async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
                assert await connection.fetchval("select 1") == 1
