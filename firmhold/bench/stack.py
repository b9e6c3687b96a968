"""The running stack that is measured, found by the settings that its own processes have."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from firmhold.bench.cases import FIRMHOLD
from firmhold.bench.holds import Contender
from firmhold.settings import Settings

_FOUND = "select count(*) from holds where hold_id = any ($1::text[]) and status = 'held'"


@asynccontextmanager
async def running_stack(settings: Settings) -> AsyncIterator[Contender]:
    """Give Firmhold as one to be asked for holds."""
    pool = await asyncpg.create_pool(settings.postgres.get_secret_value(), min_size=1, max_size=2)

    async def found(ids: Sequence[str]) -> int:
        count: int = await pool.fetchval(_FOUND, ids)
        return count

    async with pool:
        yield Contender(FIRMHOLD, settings.url.rstrip("/"), found, settings.admin_key.get_secret_value())
