"""Session set-up: who owns the tests' servers, and fixtures that hand out what is on them."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from firmhold.local.places import Places
from firmhold.local.servers import Servers
from tests.servers import Urls, end_servers, fresh_database, make_template, servers_apart, start_servers, take_places

PLACES = pytest.StashKey[Places]()
OWNED = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Own a set of places in the controller; a worker is told the controller's."""
    worker_input: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker_input is None:
        config.stash[PLACES], config.stash[OWNED] = take_places()
    else:
        root, downloads = Path(worker_input["places_root"]), Path(worker_input["places_downloads"])
        config.stash[PLACES] = Places(root=root, downloads=downloads)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: pytest.Item) -> None:
    """Tell an xdist worker where the servers are or will be."""
    places = node.config.stash[PLACES]
    node.workerinput["places_root"] = str(places.root)  # type: ignore[attr-defined] # an xdist WorkerController
    node.workerinput["places_downloads"] = str(places.downloads)  # type: ignore[attr-defined] # the same


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers when all workers are gone, after Ctrl-C too."""
    if OWNED in config.stash:
        end_servers(config.stash[PLACES])
        os.close(config.stash[OWNED])


@pytest.fixture(scope="session")
def places(request: pytest.FixtureRequest) -> Places:
    """Where this session's servers keep their things."""
    return request.config.stash[PLACES]


@pytest.fixture(scope="session")
def servers(places: Places) -> Urls:
    """Real Kafka, Postgres and Redis, shared by all tests of the session."""
    return start_servers(places)


@pytest.fixture(scope="session")
def template(places: Places, servers: Urls) -> str:
    """Name of a migrated database to copy."""
    return make_template(places, servers)


@pytest.fixture
def postgres_url(servers: Urls, template: str) -> Iterator[str]:
    """Give a migrated, empty database of the test's own."""
    with fresh_database(servers.postgres, template) as url:
        yield url


@pytest.fixture(scope="module")
def module_postgres_url(servers: Urls, template: str) -> Iterator[str]:
    """Give a migrated, empty database of the module's own."""
    with fresh_database(servers.postgres, template) as url:
        yield url


@pytest.fixture
def redis_url(servers: Urls) -> str:
    """Give an empty Redis database that no other xdist worker uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw-1")
    url = f"{servers.redis.rpartition('/')[0]}/{int(worker.removeprefix('gw')) + 1}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def topic_prefix() -> str:
    """Give a prefix for topics and groups that nobody else uses."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
def own_servers(places: Places) -> Iterator[Servers]:
    """Describe servers for this test alone, none started yet: for faults that others must not feel."""
    with servers_apart(places) as servers:
        yield servers
