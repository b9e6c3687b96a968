"""Open pools of connections to Postgres whose sessions cannot keep a row for long."""

from dataclasses import dataclass
from typing import Any

import asyncpg

APPLICATION_NAME = "firmhold"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a session may wait or idle before Postgres ends it: a paused process must not keep its locks."""

    lock_ms: int = 4_000
    statement_ms: int = 8_000
    transaction_ms: int = 15_000
    idle_in_transaction_ms: int = 4_000
    connect_seconds: float = 5.0
    command_seconds: float = 10.0


class _Session(asyncpg.Connection):
    """Spares the reset after a committed transaction or a statement that ran to its end: a batch waits for it in vain.

    Nothing of ours outlives either. After anything else it is needed. asyncpg prepares a statement with Flush instead of
    Sync: a read that is cancelled between preparing and executing leaves an implicit transaction open, in which the next
    BEGIN may be refused.
    """

    _is_clean = False

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """Run a command; asyncpg's transactions end with one."""
        self._is_clean = False
        status = await super().execute(query, *args, timeout=timeout)
        self._is_clean = query == "COMMIT;"
        return status

    async def fetch(self, query: str, *args: Any, **options: Any) -> list[Any]:  # noqa: ANN401 - asyncpg's
        """Run a statement; outside a transaction it is one."""
        self._is_clean = False
        rows: list[Any] = await super().fetch(query, *args, **options)
        self._is_clean = not self.is_in_transaction()
        return rows

    def get_reset_query(self) -> str:
        """Return what is run when the connection goes back to its pool."""
        is_clean, self._is_clean = self._is_clean, False
        return "" if is_clean else super().get_reset_query()


LOOK_UPS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""For sessions that look rows up by their keys: planning a batch's statements costs Postgres more than running them. They are
planned once, maybe while the tables are empty, and so for what is there later: by index, whatever is there now."""


def lazy_pool(url: str, *, connections_max: int, timeouts: Timeouts, role: str, looks_up: bool = False) -> asyncpg.Pool:
    """Return a pool that connects when first used, so that a process starts while Postgres is away.

    `role` is shown in pg_stat_activity; with `looks_up` statements are planned once, to find rows by their keys. Enter the
    pool (`async with`) to make it usable and to close it.
    """
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=connections_max,
        timeout=timeouts.connect_seconds,
        connection_class=_Session,
        command_timeout=timeouts.command_seconds,
        server_settings={
            "application_name": f"{APPLICATION_NAME} {role}",
            "lock_timeout": str(timeouts.lock_ms),
            "statement_timeout": str(timeouts.statement_ms),
            "transaction_timeout": str(timeouts.transaction_ms),
            "idle_in_transaction_session_timeout": str(timeouts.idle_in_transaction_ms),
            "timezone": "UTC",
            "jit": "off",
            **(LOOK_UPS if looks_up else {}),
        },
    )
