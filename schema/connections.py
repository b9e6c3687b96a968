"""Open pools of connections to Postgres whose sessions cannot keep a row for long."""

from dataclasses import dataclass

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


def lazy_pool(url: str, *, connections_max: int, timeouts: Timeouts, role: str) -> asyncpg.Pool:
    """Return a pool that connects when first used, so that a process starts while Postgres is away.

    `role` is shown in pg_stat_activity. Enter the pool (`async with`) to make it usable and to close it.
    """
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=connections_max,
        timeout=timeouts.connect_seconds,
        reset=_leave_as_it_is,
        command_timeout=timeouts.command_seconds,
        server_settings={
            "application_name": f"{APPLICATION_NAME} {role}",
            "lock_timeout": str(timeouts.lock_ms),
            "statement_timeout": str(timeouts.statement_ms),
            "transaction_timeout": str(timeouts.transaction_ms),
            "idle_in_transaction_session_timeout": str(timeouts.idle_in_transaction_ms),
            "timezone": "UTC",
            "jit": "off",
        },
    )


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Spare a round trip: asyncpg ends what is open of a transaction, and nothing else here outlives a statement.

    No session of ours sets, listens, declares a cursor or takes an advisory lock that is not its transaction's.
    """
