"""The migration that notes which payments took units: what was refunded before it is known by the providers' own words."""

from dataclasses import replace
from pathlib import Path

import schema
from schema.connections import Timeouts, lazy_pool
from schema.rows import Payment, ResourceKey, UnitsAre
from schema.store import Store
from tests.contract.stores import order, payment, payment_event, sales
from topics.orders import OrderStatus, PaymentEffect, PaymentStatus

MIGRATIONS = Path(schema.__file__).parent / "migrations"
SHOE = ResourceKey("product", "shoe")


def statements(end: str) -> str:
    """Return what the migration, or its rollback, runs."""
    (path,) = MIGRATIONS.glob(f"*.payments-took-units.before{end}.sql")
    return path.read_text()


def owed(name: str, order_id: str) -> Payment:
    """Return a payment that was asked back."""
    return replace(payment(name, order_id), status=PaymentStatus.REFUND_REQUIRED)


async def test_what_was_refunded_before_the_migration(postgres_url: str) -> None:
    """Money that counted for a sold order took its units; money charged twice, or of an order whose units are back, did not.

    Seen to fail (nothing took units) without the update in the migration.
    """
    sold, back = order("sold", status=OrderStatus.PAID), order("back", status=OrderStatus.REFUNDED)
    back = replace(back, units_are=UnitsAre.RETURNED)
    payments = {
        "counted": (owed("counted", "sold"), PaymentEffect.COUNTED),
        "parked": (owed("parked", "sold"), PaymentEffect.PARKED),
        "twice": (owed("twice", "sold"), PaymentEffect.REFUND_REQUIRED),
        "counts": (payment("counts", "sold"), PaymentEffect.COUNTED),
        "returned": (owed("returned", "back"), PaymentEffect.COUNTED),
    }
    async with lazy_pool(postgres_url, connections_max=1, timeouts=Timeouts(), role="tests") as pool:  # type: asyncpg.Pool
        written = sales(
            [(SHOE, one) for one in (sold, back)],
            [(SHOE, one) for one, _ in payments.values()],
            [replace(payment_event(f"e-{name}", one), effect=effect) for name, (one, effect) in payments.items()],
        )
        async with Store(pool).transaction() as transaction:
            await transaction.write(written)
        await pool.execute(statements(".rollback"))
        await pool.execute(statements(""))
        rows = await pool.fetch("select payment_id from payments where took_units")
    assert {row["payment_id"] for row in rows} == {"counted", "parked"}
