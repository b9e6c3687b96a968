"""One installation for all stories, with a worker and up to two gateways; they keep apart by slot ids."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.acceptance.people import Person, person
from tests.installation import BOB_KEY, Installation, installation
from tests.servers import Urls, fresh_database
from tests.till import SIGNING_KEYS, Till
from topics.producer import ResilientProducer


@pytest.fixture(scope="package")
def package_postgres_url(servers: Urls, template: str) -> Iterator[str]:
    """Give a migrated, empty database of the stories' own."""
    with fresh_database(servers.postgres, template) as url:
        yield url


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def running(
    servers: Urls, package_postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Give an installation with a gateway and a worker."""
    logs, more = tmp_path_factory.mktemp("logs"), {"FIRMHOLD_SIGNING_KEYS": SIGNING_KEYS}
    async with installation(servers, package_postgres_url, logs, **more) as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def second_url(running: Installation) -> str:
    """Give the URL of a second gateway, which clients know by the address of the first."""
    return await running.start_gateway(FIRMHOLD_URL=running.gateway_url)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def alice(running: Installation) -> AsyncIterator[Person]:
    """Give a buyer."""
    async with person(running) as somebody:
        yield somebody


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def bob(running: Installation) -> AsyncIterator[Person]:
    """Give another buyer."""
    async with person(running, BOB_KEY) as somebody:
        yield somebody


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def bank(running: Installation) -> AsyncIterator[Till]:
    """Give a bank, whose word on payments is signed and believed."""
    producer = ResilientProducer(running.urls.kafka, client_id="tests")
    yield Till(running, producer)
    await producer.stop()
