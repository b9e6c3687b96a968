"""An installation a test, with nothing running yet: the test starts, stops and kills."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.installation import Installation, installation
from tests.servers import Urls


@pytest_asyncio.fixture
async def site(servers: Urls, postgres_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    """Give an installation on the shared servers."""
    async with installation(servers, postgres_url, tmp_path) as one:
        yield one
