"""What the contract suites of the store write, and on what."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg

from schema.reads import Reads
from schema.rows import Hold, Pool, Request, Resource, ResourceKey
from schema.store import Claim, ResourceWrite, Store, Transaction, Writes
from topics.resources import Counters, HoldStatus, Settings

LOCK_SECONDS = 2.5
IDLE_SECONDS = 1.0
TRANSACTION_SECONDS = 5.0
SETTLE_SECONDS = 0.3  # after so long, who waits for a lock does wait
AULA, BAR, CLUB = (ResourceKey("slot", name) for name in ("aula", "bar", "club"))
SETTINGS = Settings(hold_seconds=300, max_hold_seconds=1800)
NOW = datetime.now(UTC)

OpenPool = Callable[[], Any]


@dataclass(frozen=True)
class Server:
    """One of the two, and how a client opens its pool."""

    pool: OpenPool

    def store(self) -> Store:
        """Return the store of a client."""
        return Store(cast("asyncpg.Pool", self.pool()))

    def reads(self) -> Reads:
        """Return what a gateway reads with."""
        return Reads(cast("asyncpg.Pool", self.pool()))


def resource(version: int = 1, capacity: int = 5) -> Resource:
    """Return a resource as it may be stored."""
    return Resource(version, SETTINGS, Counters(capacity, 0, 0, capacity, 0), NOW)


def write_of(key: ResourceKey, expected: int = 0) -> ResourceWrite:
    """Return a resource's next version."""
    return ResourceWrite(key, expected, resource(expected + 1))


def hold(name: str, *, expires_in: float = 60, status: HoldStatus = HoldStatus.HELD, buyer: str | None = None) -> Hold:
    """Return a hold of two units."""
    expires_at = NOW + timedelta(seconds=expires_in)
    return Hold(name, "alice", None, buyer, None, status, 2, {"units": 2}, NOW, expires_at, expires_at)


def request(
    request_id: str, claim_id: str = "", *, key: ResourceKey = AULA, owns: bool = True, reason: str | None = None
) -> Request:
    """Return a decided request."""
    return Request(
        request_id=request_id,
        key=key,
        source="gateway/alice",
        claim_id=claim_id or request_id,
        owns_claim=owns,
        fingerprint=b"print",
        command="Hold",
        reason=reason,
        events='[{"word":  "for word"}]',
        arrived_at=NOW,
        decided_at=NOW,
        partition=1,
        offset=2,
    )


def writes(
    requests: Sequence[Request] = (),
    resources: Sequence[ResourceWrite] = (),
    pools: dict[tuple[ResourceKey, str], Pool] | None = None,
    holds: Sequence[tuple[ResourceKey, Hold]] = (),
) -> Writes:
    """Return what a batch writes."""
    return Writes(requests, resources, pools or {}, holds)


async def write(store: Store, *given: Writes) -> None:
    """Write, in a transaction each."""
    for one in given:
        async with store.transaction() as transaction:
            await transaction.write(one)


@asynccontextmanager
async def two_transactions(server: Server) -> AsyncIterator[tuple[Transaction, Transaction, AsyncExitStack]]:
    """Give two clients' open transactions; closing the stack commits the first."""
    async with server.store().transaction() as other, AsyncExitStack() as stack:
        one = await stack.enter_async_context(server.store().transaction())
        yield one, other, stack


async def waits(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a task still waits when it has had its time."""
    done, _ = await asyncio.wait((task,), timeout=SETTLE_SECONDS)
    return not done


async def assert_empty(store: Store) -> None:
    """Find nothing."""
    async with store.transaction() as transaction:
        assert await transaction.lock([AULA]) == {}
        _, decided = await transaction.clock_and_decided([Claim("gateway/alice", "r1", "r1")])
        assert decided == []
        assert await transaction.holds([AULA], NOW + timedelta(hours=1), ["h1"], 10) == {}
