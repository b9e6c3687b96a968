"""The three servers together: started at the same time, each replaced by its URL where one is given.

The tests and `make up` both build on this. It must not know the gateway, the worker or the tests.
"""

import fcntl
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from firmhold.local.failure import LocalError
from firmhold.local.given import check_given
from firmhold.local.kafka_server import KafkaServer
from firmhold.local.places import Places
from firmhold.local.postgres_server import PostgresServer
from firmhold.local.processes import end_leftovers
from firmhold.local.redis_server import RedisServer
from firmhold.local.server import Server
from firmhold.local.unprivileged import forget_open_ground

STOP_ORDER = ("gateway", "worker", "redis", "kafka", "postgres")


class AlreadyRunningError(LocalError):
    """Another launcher holds these places."""

    def __init__(self, places: Places, pid: int | None) -> None:
        self.pid = pid
        super().__init__(f"Firmhold is already up in {places.root} (process {pid}): `make down` stops it.")


@dataclass
class Servers:
    """Kafka, Postgres and Redis; one whose URL was given is none of ours to start and stop."""

    kafka: KafkaServer | None
    postgres: PostgresServer | None
    redis: RedisServer | None
    given: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(
        cls,
        places: Places,
        given: Mapping[str, str] | None = None,
        *,
        cancel: Event | None = None,
        say: Callable[[str], None] = lambda _: None,
        start_quickly: bool = False,
    ) -> "Servers":
        """Describe the servers of some places; `given` has the URLs by name (`kafka`, `postgres`, `redis`).

        Those that `start_quickly` are for a short life.
        """
        known = {name: url for name, url in (given or {}).items() if url}
        return cls(
            kafka=None
            if "kafka" in known
            else KafkaServer(places, cancel=cancel, say=say, starts_quickly=start_quickly),
            postgres=None if "postgres" in known else PostgresServer(places, cancel=cancel),
            redis=None if "redis" in known else RedisServer(places, cancel=cancel),
            given=known,
        )

    @property
    def ours(self) -> list[Server]:
        """Those that we start, in the order in which they stop."""
        return [server for server in (self.redis, self.kafka, self.postgres) if server is not None]

    @property
    def urls(self) -> dict[str, str]:
        """Where each is found, by name."""
        return self.given | {server.name: server.url for server in self.ours}

    def start_each(self, pool: Executor) -> dict[str, Future[None]]:
        """Begin to start ours and to ask the given ones whether they are there; by name, each done when it serves."""
        starting = {server.name: pool.submit(server.start) for server in self.ours}
        return starting | {name: pool.submit(check_given, name, url) for name, url in self.given.items()}

    def start(self) -> None:
        """Start ours together; all or none of ours are left running.

        Raises:
            LocalError: one could not be started.

        """
        with ThreadPoolExecutor(3) as pool:
            starting = self.start_each(pool)
        try:
            for each in starting.values():
                each.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop ours in order."""
        for server in self.ours:
            server.stop()


def own(places: Places) -> int:
    """Become the one launcher of these places; the lock ends with this process, however it ends.

    Returns:
        The descriptor that holds the lock; children do not inherit it.

    Raises:
        AlreadyRunningError: another process is.

    """
    places.make()
    descriptor = os.open(places.run / "launcher.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        raise AlreadyRunningError(places, int(holder) if holder.isdecimal() else None) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def clean_up(places: Places) -> list[str]:
    """End what a dead launcher left here and take its notes away; the caller owns the places."""
    ended = end_leftovers(places, STOP_ORDER)
    places.environment_file.unlink(missing_ok=True)
    return ended


def forget(places: Places) -> None:
    """Delete the data of servers that are stopped; the caller owns the places."""
    forget_open_ground(places.data)
    places.forget_data()
