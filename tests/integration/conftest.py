"""One installation for a module, with a gateway and a worker running; tests keep apart by slot ids."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.installation import Client, Installation, installation
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
