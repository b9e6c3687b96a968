"""Fixtures of the contract suites."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.store import Store
from tests.contract.stores import IDLE_SECONDS, LOCK_SECONDS, TRANSACTION_SECONDS, Server
from tests.twins.memory_store import MemoryPool, MemoryPostgres
from tests.twins.row_locks import Patience


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Give an empty database on either."""
    if request.param == "memory":
        memory = MemoryPostgres(
            lambda: datetime.now(UTC),
            Patience(lock_seconds=LOCK_SECONDS, idle_seconds=IDLE_SECONDS, transaction_seconds=TRANSACTION_SECONDS),
        )
        yield Server(lambda: MemoryPool(memory))
        return
    timeouts = Timeouts(
        lock_ms=int(LOCK_SECONDS * 1000),
        transaction_ms=int(TRANSACTION_SECONDS * 1000),
        idle_in_transaction_ms=int(IDLE_SECONDS * 1000),
    )
    url = request.getfixturevalue("postgres_url")
    async with lazy_pool(url, connections_max=8, timeouts=timeouts, role="test", looks_up=True) as pool:
        yield Server(lambda: pool)


@pytest.fixture
def store(server: Server) -> Store:
    """Give a client's store."""
    return server.store()
