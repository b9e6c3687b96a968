"""Since when a payment needs somebody: since it became what it is, however long ago it was heard of."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest_asyncio
from msgspec.structs import replace

import schema
from schema.connections import Timeouts, lazy_pool
from schema.open_payments import Need, OpenPayments, open_payments
from schema.rows import Payment, ResourceKey
from schema.store import Store
from schema.writing import Writes
from tests.contract.stores import NOW, order, payment, payment_event, sales
from topics.orders import OrderStatus, PaymentStatus

MIGRATIONS = Path(schema.__file__).parent / "migrations"
SHOE = ResourceKey("product", "shoe")
WEEK, DAY = timedelta(days=7), timedelta(days=1)
SOON = 3600.0  # NOW is when the tests were collected


@pytest_asyncio.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Give a pool of a database of its own."""
    async with lazy_pool(postgres_url, connections_max=1, timeouts=Timeouts(), role="tests") as pool:
        yield pool


async def write(pool: asyncpg.Pool, written: Writes) -> None:
    """Write in a transaction."""
    async with Store(pool).transaction() as transaction:
        await transaction.write(written)


async def age(pool: asyncpg.Pool, need: Need) -> float:
    """Return for how many seconds the only payment with a need has had it."""
    counted = await open_payments(pool)
    assert counted == {each: OpenPayments() for each in Need} | {need: OpenPayments(1, counted[need].oldest_seconds)}
    return counted[need].oldest_seconds


def of_last_week() -> Payment:
    """Return a payment of an order that was paid a week ago."""
    return replace(payment("p1", "o1"), arrived_at=NOW - WEEK)


async def test_a_refund_is_late_from_when_it_was_required(pool: asyncpg.Pool) -> None:
    """An order paid a week ago and called off now is owed for since now; a part that goes back does not begin it anew.

    Seen to fail (a week) by arrived_at, and (0) with the time of every write.
    """
    await write(pool, sales([(SHOE, order("o1", status=OrderStatus.PAID))], [(SHOE, of_last_week())]))
    await pool.execute("update payments set open_since = arrived_at")
    owed = replace(of_last_week(), status=PaymentStatus.REFUND_REQUIRED)
    await write(pool, sales(payments=[(SHOE, owed)]))
    assert await age(pool, Need.REFUND_REQUIRED) < SOON
    await pool.execute("update payments set open_since = open_since - interval '4 days'")
    await write(pool, sales(payments=[(SHOE, replace(owed, refunded_amount=1))]))
    assert 4 * DAY.total_seconds() <= await age(pool, Need.REFUND_REQUIRED) < 4 * DAY.total_seconds() + SOON


async def test_money_that_waited_in_vain_is_orphaned_from_then_on(pool: asyncpg.Pool) -> None:
    """Its waiting is a need of its own."""
    waiting = replace(of_last_week(), parked_until=NOW + DAY)
    await write(pool, sales(payments=[(SHOE, waiting)]))
    assert await age(pool, Need.PARKED) < SOON
    await pool.execute("update payments set open_since = arrived_at")
    assert await age(pool, Need.PARKED) >= WEEK.total_seconds()
    orphaned = replace(waiting, parked_until=None, status=PaymentStatus.REFUND_REQUIRED)
    await write(pool, sales(payments=[(SHOE, orphaned)]))
    assert await age(pool, Need.ORPHANED) < SOON


async def test_what_was_open_before_the_migration(pool: asyncpg.Pool) -> None:
    """It is open since the last that happened to it or its order. Seen to fail (a week) without the update."""
    owed = replace(of_last_week(), status=PaymentStatus.REFUND_REQUIRED)
    called_off = replace(order("o1", status=OrderStatus.PAID), updated_at=NOW - DAY)
    said = replace(payment_event("e1", owed), arrived_at=NOW - WEEK, decided_at=NOW - WEEK)
    await write(pool, sales([(SHOE, called_off)], [(SHOE, owed)], [said]))
    for end in (".rollback", ""):
        (path,) = MIGRATIONS.glob(f"*.payments-open-since.before{end}.sql")
        await pool.execute(path.read_text())
    assert DAY.total_seconds() <= await age(pool, Need.REFUND_REQUIRED) < DAY.total_seconds() + SOON
