"""The real servers that tests run on: started when a test first wants them, once for all xdist workers.

Whichever worker comes first starts them; the controller, which owns the places, ends them by their records. So pure
tests pay nothing, and what a killed run left behind is ended by the next one. `FIRMHOLD_TEST_KAFKA`,
`FIRMHOLD_TEST_POSTGRES` and `FIRMHOLD_TEST_REDIS` name servers elsewhere; a missing server is a failure, never a skip.
"""

import fcntl
import json
import os
import random
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from firmhold.local.places import Places
from firmhold.local.servers import AlreadyRunningError, Servers, clean_up, forget, own
from schema.migrate import migrate

TEMPLATE = "firmhold_template"
PLACES_TRIED = 8

_kept: list[Servers] = []  # a server's handle must outlive the test that asked first


@dataclass(frozen=True)
class Urls:
    """Where the tests' servers are."""

    kafka: str
    postgres: str
    redis: str


def take_places() -> tuple[Places, int]:
    """Own the first free set of places below `.local/`, empty: another pytest may be at work in this checkout.

    Returns:
        The places, and the descriptor that holds them.

    """
    checkout = Places.of_checkout()
    busy: AlreadyRunningError | None = None
    for number in range(1, PLACES_TRIED + 1):
        places = checkout.apart("test" if number == 1 else f"test-{number}")
        try:
            descriptor = own(places)
        except AlreadyRunningError as error:
            busy = error
            continue
        for root in places.root.glob("apart-*"):
            clean_up(places.apart(root.name))
            forget(places.apart(root.name))
            shutil.rmtree(root)
        clean_up(places)
        forget(places)
        state_file(places).unlink(missing_ok=True)
        return places, descriptor
    assert busy is not None
    raise busy


def state_file(places: Places) -> Path:
    """Where the first process tells the others what it started."""
    return places.run / "test-servers.json"


@contextmanager
def _state(places: Places) -> Iterator[dict[str, dict[str, str]]]:
    """Read, and afterwards write, what was started so far, one process at a time."""
    places.make()
    with (places.run / "test-servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = state_file(places)
        state: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
        yield state
        path.write_text(json.dumps(state))


def start_servers(places: Places) -> Urls:
    """Give the tests' servers, starting those that no URL in the environment names and nobody has started."""
    with _state(places) as state:
        if "urls" not in state:
            names = ("kafka", "postgres", "redis")
            given = {name: os.environ.get(f"FIRMHOLD_TEST_{name.upper()}", "") for name in names}
            servers = Servers.at(places, given, start_quickly=True)
            _kept.append(servers)
            servers.start()
            state["urls"] = asdict(Urls(**servers.urls))
        return Urls(**state["urls"])


def end_servers(places: Places) -> None:
    """End whatever runs in these places, whoever started it."""
    for servers in _kept:
        servers.stop()
    _kept.clear()
    clean_up(places)


def make_template(places: Places, urls: Urls) -> str:
    """Migrate one database that all others are copied from; returns its name."""
    with _state(places) as state:
        if "template" not in state:
            drop_database(urls.postgres, TEMPLATE)
            with psycopg.connect(urls.postgres, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
            migrate(database_url(urls.postgres, TEMPLATE))
            state["template"] = {"name": TEMPLATE}
        return TEMPLATE


def database_url(url: str, database: str) -> str:
    """Name another database of the same server."""
    return f"{url.rpartition('/')[0]}/{database}"


@contextmanager
def fresh_database(url: str, template: str | None = None) -> Iterator[str]:
    """Create a database of one's own, by default from the template given, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    source = sql.Identifier(template or "template0")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), source))
    try:
        yield database_url(url, name)
    finally:
        drop_database(url, name)


def drop_database(url: str, name: str) -> None:
    """Drop a database though somebody may still be connected to it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def servers_apart(places: Places) -> Iterator[Servers]:
    """Describe a set of servers of one's own, to start, stop and kill at will; what is left of them goes afterwards."""
    mine = places.apart(f"apart-{uuid.uuid4().hex[:8]}")
    mine.make()
    servers = Servers.at(mine, start_quickly=True)
    # Far from the usual ports and from each other: nobody takes a port while its server is down for a test.
    for place, server in enumerate(servers.ours):
        server.preferred_port = random.randrange(20_000, 32_000, 10) + 3 * place
    try:
        yield servers
    finally:
        for server in servers.ours:
            server.kill()
        forget(mine)
        shutil.rmtree(mine.root)
