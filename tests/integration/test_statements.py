"""What a batch costs in statements: orders cost theirs only where commands ask for them, or where some are over."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

from asyncpg.connection import LoggedQuery

from schema import queries
from schema.connections import Timeouts, lazy_pool
from schema.store import Store, Transaction
from tests.unit.builders import arrived
from topics.commands import Command, DefineResource, Expire, Hold, PlaceOrder, RecordPayment
from topics.identifiers import hold_id_of, order_id_of
from topics.orders import PaymentReport
from workers.applying import Applied, Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks
from workers.keeping import Keeper

ORDERING = {
    queries.READ_ORDERS,
    queries.READ_PAYMENTS,
    queries.READ_KNOWN_PAYMENTS,
}


class Counted:
    """An applier on a database, and the statements of its last batch."""

    def __init__(self, store: Store, expiries_max: int = 1_000) -> None:
        """Listen to the transactions of a store."""
        self.store = store
        self.statements: list[str] = []
        self.applier = Applier(
            self.transaction,
            request_retention=timedelta(days=14),
            expiries_max=expiries_max,
            reached=Hooks().reached,
            keeper=Keeper(partial(next, count(step=60))),  # nothing is kept for so long: each batch reads
        )

    @asynccontextmanager
    async def transaction(self, *, is_locking: bool = True) -> AsyncIterator[Transaction]:
        """Give a transaction whose statements are written down."""

        def write_down(query: LoggedQuery) -> None:
            if query.query.startswith(
                "--"
            ):  # ours; asyncpg asks for types of its own when a connection first needs them
                self.statements.append(query.query)

        async with self.store.transaction(is_locking=is_locking) as transaction:
            with transaction._connection.query_logger(write_down):
                yield transaction

    async def apply(self, *commands: Command, kind: str = "product") -> Sequence[Arrived]:
        """Decide commands in one batch; return them as they arrived."""
        self.statements.clear()
        batch = [
            arrived(command, claim=uuid.uuid4().hex, appended_at=datetime.now(UTC), kind=kind) for command in commands
        ]
        applied: Applied = await self.applier.apply(batch)
        assert [outcome.repeated for outcome in applied.outcomes] == [False] * len(batch)
        return batch


async def test_orders_cost_nothing_where_there_are_none(postgres_url: str) -> None:
    """A batch of holds of products has the statements of one of slots, with orders on the product too, until one is over.

    Seen to fail on reading the orders of whatever kind takes them.
    """
    async with lazy_pool(postgres_url, connections_max=2, timeouts=Timeouts(), role="tests") as pool:
        counted = Counted(Store(pool))
        await counted.apply(DefineResource(resource_id="room", capacity=9), kind="slot")
        await counted.apply(Hold(resource_id="room"), kind="slot")
        of_slots = list(counted.statements)
        await counted.apply(
            DefineResource(resource_id="shoe", capacity=9, price=5, currency="EUR", payment_seconds=3600)
        )
        (hold,) = await counted.apply(Hold(resource_id="shoe"))
        assert counted.statements == of_slots
        assert not ORDERING & set(of_slots)
        placing = PlaceOrder(resource_id="shoe", hold_id=hold_id_of(hold.request_id))
        (order,) = await counted.apply(placing)
        assert counted.statements == [queries.LOCK_RESOURCES, *of_slots[:1], queries.READ_ORDERS, queries.READ_PAYMENTS]
        order_id = order_id_of(order.request_id)
        await counted.apply(*[payment(order_id, number) for number in range(50)])
        assert set(counted.statements) >= ORDERING
        assert len(counted.statements) == 1 + 1 + len(ORDERING)
        assert len(counted.statements) == len(set(counted.statements)), "a statement is sent once a batch"
        await counted.apply(Hold(resource_id="shoe"), Hold(resource_id="shoe"))
        assert counted.statements == of_slots
        (hold,) = await counted.apply(Hold(resource_id="shoe"))
        await counted.apply(PlaceOrder(resource_id="shoe", hold_id=hold_id_of(hold.request_id)))
        await pool.execute("update orders set payment_due_at = now() where status = 'pending_payment'")
        await counted.apply(Expire(resource_id="shoe"))
        assert ORDERING & set(counted.statements) == {queries.READ_ORDERS, queries.READ_PAYMENTS}
        assert await pool.fetchval("select count(*) from orders where status = 'cancelled'") == 1
        assert await pool.fetchval("select count(*) from payments where status = 'refund_required'") == 49


def payment(order_id: str, number: int) -> RecordPayment:
    """Return one of many payments of the whole amount."""
    return RecordPayment(
        resource_id="shoe",
        order_id=order_id,
        provider="bank",
        payment_id=f"p{number}",
        event_id=f"e{number}",
        status=PaymentReport.PAID,
    )
