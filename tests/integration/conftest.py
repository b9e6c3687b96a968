"""One installation for a module, with a gateway and a worker running; tests keep apart by slot ids."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.installation import Client, Installation, installation
from tests.postgres_door import Door, door_to
from tests.servers import Urls


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes' output is kept."""
    return tmp_path_factory.mktemp("logs")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation with a gateway and a worker."""
    async with installation(servers, module_postgres_url, logs) as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(running: Installation) -> AsyncIterator[Client]:
    """Give a client of the account alice."""
    async with running.client() as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(running: Installation) -> AsyncIterator[Door]:
    """Give the door before the second gateway's Postgres."""
    async with door_to(running.postgres) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def second(running: Installation, door: Door) -> AsyncIterator[Client]:
    """Give a client of a second gateway, which is patient: a thousand at once may take a busy machine seconds."""
    url = await running.start_gateway(FIRMHOLD_POSTGRES=door.url, FIRMHOLD_POSTGRES_READ_TIMEOUT_SECONDS="30")
    async with running.client(url=url) as client:
        yield client
