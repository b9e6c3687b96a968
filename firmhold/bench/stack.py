"""The running stack that is measured, found by the settings that its own processes have."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from firmhold.bench.cases import FIRMHOLD
from firmhold.bench.holds import Contender
from firmhold.settings import Settings

_PAID = "select count(*) from orders where order_id = any ($1::text[]) and status = 'paid'"
_FOUND = "select count(*) from holds where hold_id = any ($1::text[]) and status = 'held'"


@dataclass(frozen=True, slots=True)
class Stack:
    """Firmhold as one to be asked for holds, and how many of these orders are paid in Postgres."""

    contender: Contender
    paid_orders: Callable[[Sequence[str]], Awaitable[int]]


@asynccontextmanager
async def running_stack(settings: Settings) -> AsyncIterator[Stack]:
    """Give the stack."""
    pool = await asyncpg.create_pool(settings.postgres.get_secret_value(), min_size=1, max_size=2)

    def counted(query: str) -> Callable[[Sequence[str]], Awaitable[int]]:
        async def count(ids: Sequence[str]) -> int:
            found: int = await pool.fetchval(query, ids)
            return found

        return count

    async with pool:
        contender = Contender(
            FIRMHOLD, settings.url.rstrip("/"), counted(_FOUND), settings.admin_key.get_secret_value()
        )
        yield Stack(contender, counted(_PAID))
