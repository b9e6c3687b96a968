"""A twin of Postgres as `schema.store` uses it: sessions that know the named queries, in READ COMMITTED.

It goes where a pool of asyncpg goes, so that the real `Store` runs on it, and `tests/contract/test_store.py` holds both
to one suite. It knows what that suite states and nothing more: a statement that it does not know raises.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any, cast

import asyncpg

from schema import queries
from schema.one_statement import Part
from schema.store import Store
from tests.twins import memory_orders as orders_
from tests.twins import memory_seat_holds as seat_holds_
from tests.twins import memory_snapshot as snapshot_
from tests.twins import memory_tables as tables_
from tests.twins.joined import parts_of
from tests.twins.line import DirectLine, Line, Unplugged
from tests.twins.memory_tables import Read, Row, Tables
from tests.twins.row_locks import Locks, Patience

_READS: dict[str, Read] = {
    queries.READ_BATCH: snapshot_.read_batch,
    queries.READ_POOLS_OF: tables_.read_pools_of,
    queries.FIND_DUE_RESOURCES: tables_.due_resources,
    queries.READ_RESOURCES: tables_.read_resources,
    queries.READ_RESOURCE_IDS: tables_.read_resource_ids,
    queries.READ_ORDERS: orders_.read_orders,
    queries.READ_PAYMENTS: orders_.read_payments,
    queries.READ_KNOWN_PAYMENTS: orders_.read_known_payments,
}
_WRITES = {
    queries.WRITE_POOLS: tables_.write_pools,
    queries.WRITE_HOLDS: tables_.write_holds,
    queries.PLACE_HOLDS: tables_.place_holds,
    queries.WRITE_ORDERS: orders_.write_orders,
}
_AUDITS = {
    queries.WRITE_SEAT_HOLDS: seat_holds_.write_seat_holds,
    queries.END_SEAT_HOLDS: seat_holds_.end_seat_holds,
}


_CARRIED_LONGEST = timedelta(seconds=5)


class _FewerRowsError(asyncpg.PostgresError):
    """What `require_rows` raises (schema/migrations/0010)."""

    sqlstate = "RC001"


class MemoryPostgres:
    """The server: what is committed, who has which lock, and a clock."""

    def __init__(self, clock: Callable[[], datetime], patience: Patience | None = None) -> None:
        """Be empty."""
        self.clock = clock
        self.patience = patience or Patience()
        self.tables = Tables()
        self.locks = Locks(self.patience)
        self.commits = 0
        self._numbers = count(1)

    def number(self) -> int:
        """Return the number of a new transaction."""
        return next(self._numbers)


class _Session:
    """One connection, on the server's side."""

    def __init__(self, server: MemoryPostgres) -> None:
        self._server = server
        self._changes = Tables()
        self._idle: asyncio.TimerHandle | None = None
        self._longest: asyncio.TimerHandle | None = None
        self._is_aborted = False
        self._number = server.number()
        self.is_closed = False

    async def begin(self) -> None:
        patience = self._server.patience
        self._longest = asyncio.get_running_loop().call_later(patience.transaction_seconds, self.close)
        self._await_client()

    async def end(self, *, commit: bool) -> None:
        """Commit or roll back; what was aborted is rolled back in any case."""
        self._require_open()
        if commit and not self._is_aborted:
            self._server.tables.take_over(self._changes)
            self._server.commits += 1
        self._finish()

    def close(self) -> None:
        """Roll back and hang up: the client is gone, or took too long."""
        self.is_closed = True
        self._finish()

    async def run_alone(self, query: str, values: Sequence[Any]) -> list[Row]:
        """Run a statement that is a transaction by itself. It ends as it ends, whatever becomes of the client meanwhile."""
        try:
            rows = await self.run(query, values)
            await self.end(commit=True)
        finally:
            self.close()
        return rows

    def _finish(self) -> None:
        self._changes = Tables()
        self._is_aborted = False
        for timer in (self._idle, self._longest):
            if timer is not None:
                timer.cancel()
        self._server.locks.release_all(self)

    def _require_open(self) -> None:
        if self.is_closed:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    def _await_client(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._server.patience.idle_seconds, self.close)

    async def run(self, query: str, values: Sequence[Any]) -> list[Row]:
        """Run a statement; whatever it raises aborts the transaction."""
        self._require_open()
        if self._is_aborted:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        if self._idle is not None:
            self._idle.cancel()
        try:
            rows = await self._run(query, values)
        except asyncpg.PostgresError:
            self._is_aborted = True
            raise
        finally:
            if self.is_closed:  # while it waited: what it was given meanwhile goes to the next
                self._finish()
        self._require_open()
        self._await_client()
        return rows

    async def _run(self, query: str, values: Sequence[Any]) -> list[Row]:
        server = self._server
        if query in _READS:
            if not self._changes.is_empty():
                raise AssertionError("the twin does not read what the same transaction wrote: nothing of ours does")
            return _READS[query](server.tables, server.clock(), values)
        if query in _WRITES:
            _WRITES[query](server.tables, self._changes, values)
            return []
        if query in _AUDITS:
            return _AUDITS[query](server.tables, self._changes, values)
        parts = parts_of(query, values)
        if parts:
            return await self._run_parts(parts)
        waiting = {
            queries.LOCK_RESOURCES: self._lock_resources,
            queries.WRITE_REQUESTS: self._insert_requests,
            queries.WRITE_RESOURCES: self._write_resources,
            queries.WRITE_PAYMENTS: self._write_payments,
            queries.WRITE_PAYMENT_EVENTS: self._insert_payment_events,
        }
        if query not in waiting:
            raise AssertionError(f"the twin does not know this statement: {query}")
        return await waiting[query](values)

    async def _run_parts(self, parts: Sequence[Part]) -> list[Row]:
        """Run them in their order; what one of them reads is as of the beginning."""
        resources = dict(self._server.tables.resources)
        for part in parts:
            match part.query:
                case queries.FIND_CREATED_RESOURCES:
                    rows = [resources[key] for key in zip(*part.arguments, strict=True) if key in resources]
                case queries.FIND_TRACES:
                    rows = tables_.traces(self._server.tables, *part.arguments)
                case queries.CHECK_CLOCK:
                    rows = (
                        [{}]
                        if self._server.clock() - _CARRIED_LONGEST <= part.arguments[0] <= self._server.clock()
                        else []
                    )
                case _:
                    rows = await self._run(part.query, part.arguments)
            if part.rows_wanted not in (None, len(rows)):
                raise _FewerRowsError(f"{part.name}: {len(rows)} rows instead of {part.rows_wanted}")
        return [{"written_by": self._number}]

    async def _lock_resources(self, values: Sequence[Any]) -> list[Row]:
        """Lock what exists, in id order; the rows are read when they are ours."""
        resources = self._server.tables.resources
        keys = sorted(key for key in set(zip(*values, strict=True)) if key in resources)
        for key in keys:
            await self._server.locks.take(self, ("resource", key))
        return [resources[key] for key in keys]

    async def _insert_requests(self, values: Sequence[Any]) -> list[Row]:
        """Insert those whose id and claim are free; wait where another transaction is about to take one."""
        inserted = []
        for row in tables_.requests_of(values):
            claim = row["source"], row["claim_id"]
            is_there = await self._is_taken(("request", row["request_id"]), self._has_request, row["request_id"])
            is_owned = row["owns_claim"] and await self._is_taken(("claim", claim), self._has_owner, claim)
            if is_there and not is_owned:
                raise tables_.unique_violation("requests_pkey")
            if not is_owned:
                self._changes.requests[row["request_id"]] = row
                if row["owns_claim"]:
                    self._changes.owners[claim] = row["request_id"]
                inserted.append({"request_id": row["request_id"]})
        return inserted

    async def _write_payments(self, values: Sequence[Any]) -> list[Row]:
        """Create or update them; wait where another transaction is about to, and look again at whose it is."""
        written = []
        for row in orders_.payments_of(values):
            await self._server.locks.take(self, ("payment", (row["provider"], row["payment_id"])))
            if orders_.write_payment(self._server.tables, self._changes, row):
                written.append({"payment_id": row["payment_id"]})
        return written

    async def _insert_payment_events(self, values: Sequence[Any]) -> list[Row]:
        """Insert those that nobody recorded; wait where another transaction is about to."""
        inserted = []
        for row in orders_.payment_events_of(values):
            event = row["provider"], row["event_id"]
            if not await self._is_taken(("payment event", event), self._has_payment_event, event):
                self._changes.payment_events[event] = row
                inserted.append({"event_id": row["event_id"]})
        return inserted

    def _has_payment_event(self, event: tuple[str, str]) -> bool:
        return event in self._server.tables.payment_events or event in self._changes.payment_events

    async def _is_taken(self, lock: tuple[str, Any], has: Callable[[Any], bool], what: Any) -> bool:  # noqa: ANN401
        if has(what):
            return True
        await self._server.locks.take(self, lock)
        return has(what)

    def _has_request(self, request_id: str) -> bool:
        return request_id in self._server.tables.requests or request_id in self._changes.requests

    def _has_owner(self, claim: tuple[str, str]) -> bool:
        return claim in self._server.tables.owners or claim in self._changes.owners

    async def _write_resources(self, values: Sequence[Any]) -> list[Row]:
        written = []
        for row, expected in tables_.resources_of(values):
            key = row["kind"], row["resource_id"]
            await self._server.locks.take(self, ("resource", key))
            before = self._server.tables.resources.get(key)
            if before is None or before["written_by"] == expected:
                self._changes.resources[key] = row | {"written_by": self._number}
                written.append({"resource_id": row["resource_id"]})
        return written


class _Connection:
    """A session as its client sees it: what `schema.store` asks of asyncpg's connections."""

    def __init__(self, server: MemoryPostgres, line: Line, opened: set[_Session]) -> None:
        self._server = server
        self._line = line
        self._opened = opened
        self._session: _Session | None = None

    async def fetch(self, query: str, *values: object) -> list[Row]:
        """Run a statement, by itself where no transaction is open."""
        run = _Session(self._server).run_alone if self._session is None else self._session.run
        return await self._line.ask(lambda: run(query, values))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self._session = session = _Session(self._server)
        self._opened.add(session)
        try:
            await self._line.ask(session.begin)
            try:
                yield
            except Exception:
                await self._roll_back(session)
                raise
            await self._line.ask(lambda: session.end(commit=True))
        except Unplugged:  # the server will notice: see `hang_up`
            raise
        except BaseException:
            self._drop(session)
            raise
        self._drop(session)

    def _drop(self, session: _Session) -> None:
        session.close()
        self._opened.discard(session)
        self._session = None

    async def _roll_back(self, session: _Session) -> None:
        try:
            await self._line.ask(lambda: session.end(commit=False))
        except (asyncpg.PostgresError, OSError):
            session.close()


class MemoryPool:
    """A pool of one client's connections: what `schema.store` and `schema.reads` ask of asyncpg's pools."""

    def __init__(self, server: MemoryPostgres, line: Line | None = None) -> None:
        """Reach the server over a line."""
        self._server = server
        self._line = line or DirectLine()
        self._open: set[_Session] = set()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[_Connection]:
        """Give a connection for the block."""
        yield _Connection(self._server, self._line, self._open)

    async def fetch(self, query: str, *values: object) -> list[Row]:
        """Run one statement by itself."""
        return await _Connection(self._server, self._line, self._open).fetch(query, *values)

    def hang_up(self) -> None:
        """Close every session: the client died, and the server has noticed."""
        for session in self._open:
            session.close()
        self._open.clear()


def memory_store(server: MemoryPostgres, line: Line | None = None) -> Store:
    """Return the real store on the twin."""
    return store_on(MemoryPool(server, line))


def store_on(pool: MemoryPool) -> Store:
    """Return the real store on a pool of the twin's."""
    return Store(cast("asyncpg.Pool", pool))
