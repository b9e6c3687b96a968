"""The store as a worker uses it: what a batch reads and writes. It decides nothing.

Every method takes whole sets, so that a batch costs the same few statements however many commands it has.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from schema import queries
from schema.orders import KnownPayment, Named, read_known_payments, read_orders, read_payments
from schema.rows import Order, Payment, Pool, ResourceKey
from schema.snapshots import Snapshot, Wanted, columns_of, pool_of, read_snapshot
from schema.writing import RacedError, Writes, write_all

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Connection = PoolConnectionProxy


class LockNeededError(Exception):
    """The batch needs to read more than one statement reads: run it under locks, so that nothing changes in between."""


class Transaction:
    """The reading and the writing of one batch. The methods are called in the order in which they stand here.

    Locking: within a transaction, on resources that nobody else changes until its end. Else one statement reads and one
    writes, each a transaction by itself, and what was read is checked when it is written: see docs/decisions/0007.
    """

    def __init__(self, connection: Connection, *, is_locking: bool = True) -> None:
        """Work on a connection, which has an open transaction if it is to lock."""
        self._connection = connection
        self.is_locking = is_locking

    async def lock(self, keys: Collection[ResourceKey]) -> int:
        """Lock those of the resources that exist, in the order of their ids, and return how many they are."""
        return len(await self._connection.fetch(queries.LOCK_RESOURCES, *columns_of(keys)))

    async def read(self, wanted: Wanted) -> Snapshot:
        """Read what is wanted, as of one instant; locking, of resources that are locked before.

        Raises RacedError if a resource came into being after it was looked for: it could not be locked.
        """
        locked = await self.lock(wanted.keys) if self.is_locking else None
        snapshot = await read_snapshot(self._connection, wanted)
        if locked not in (None, len(snapshot.resources)):
            message = f"one of {len(wanted.keys)} resources was created while the batch was read"
            raise RacedError(message)
        return snapshot

    async def pools_of(self, named: Sequence[tuple[ResourceKey, str]]) -> list[tuple[ResourceKey, str, Pool]]:
        """Return pools of locked resources by their names."""
        self._require_lock()
        columns = columns_of([key for key, _ in named])
        rows = await self._connection.fetch(queries.READ_POOLS_OF, *columns, [name for _, name in named])
        return [pool_of([*row.values()]) for row in rows]

    async def orders(
        self, keys: Collection[ResourceKey], until: datetime, order_ids: Collection[str], due_max: int
    ) -> list[tuple[ResourceKey, Order | Payment]]:
        """Return the orders of locked resources that are of these ids, or not paid in time, and all payments of them.

        And the payments that waited for their order until then, or whose order has one of these ids and has not come. Of
        what is over the oldest, `due_max` of each resource.
        """
        self._require_lock()
        found = await read_orders(self._connection, keys, until, order_ids, due_max)
        named = {*order_ids, *(order.order_id for _, order in found)}
        return [*found, *await read_payments(self._connection, keys, until, named, due_max)]

    async def known_payments(self, named: Collection[Named]) -> list[KnownPayment]:
        """Return what is known of payments that commands report, wherever they live."""
        self._require_lock()
        return await read_known_payments(self._connection, named)

    async def write(self, writes: Writes) -> int | None:
        """Write what was decided; raises RacedError, and nothing of it stays, if that was on what is no longer so.

        Return `written_by` of its resources; None if there was nothing to write.
        """
        return await write_all(self._connection, writes)

    def _require_lock(self) -> None:
        if not self.is_locking:
            raise LockNeededError


class Store:
    """The Postgres store of a worker."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Use a pool of `schema.connections.lazy_pool`."""
        self._pool = pool

    async def due_resources(self, page_rows: int) -> AsyncIterator[list[ResourceKey]]:
        """Yield, page by page, all resources that have holds, orders or payments that are over, the longest overdue first.

        A page is made of so many of these, or a few more. It is advice.
        """
        after: datetime | None = _BEGINNING
        while after is not None:
            rows = await self._pool.fetch(queries.FIND_DUE_RESOURCES, after, page_rows)
            yield [ResourceKey(row["kind"], row["resource_id"]) for row in rows]
            after = rows[0]["until"] if rows and rows[0]["found"] >= page_rows else None

    async def purge_requests(self, older_than: timedelta, requests_max: int) -> int | None:
        """Forget requests that were decided so long ago, so many at most, and return how many; None if another is at it."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(queries.LOCK_PURGING):
                return None
            status: str = await connection.execute(queries.PURGE_REQUESTS, older_than, requests_max)
        return int(status.removeprefix("DELETE "))

    @asynccontextmanager
    async def transaction(self, *, is_locking: bool = True) -> AsyncIterator[Transaction]:
        """Run a batch in one READ COMMITTED transaction: committed at the end, rolled back if anything is raised.

        Or, not locking, in a statement that reads and another one that writes.
        """
        async with self._pool.acquire() as connection:
            if not is_locking:
                yield Transaction(connection, is_locking=False)
                return
            async with connection.transaction():
                yield Transaction(connection)
