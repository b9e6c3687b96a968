"""The migration that notes which payments took units: what was refunded before it is known by the providers' own words."""

from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

import schema
from schema.connections import Timeouts, lazy_pool
from schema.rows import Order, Payment, ResourceKey, UnitsAre
from schema.store import Store
from tests.contract.stores import order, payment, payment_event, sales
from topics.orders import EndedBy, OrderStatus, PaymentEffect, PaymentReport, PaymentStatus

MIGRATIONS = Path(schema.__file__).parent / "migrations"
SHOE = ResourceKey("product", "shoe")


def statements(end: str) -> str:
    """Return what the migration, or its rollback, runs."""
    (path,) = MIGRATIONS.glob(f"*.payments-took-units.before{end}.sql")
    return path.read_text()


def owed(name: str, order_id: str) -> Payment:
    """Return a payment that was asked back."""
    return replace(payment(name, order_id), status=PaymentStatus.REFUND_REQUIRED)


def called_off(name: str) -> Order:
    """Return an order that was paid and called off; its units are not back."""
    one = order(name, status=OrderStatus.REFUND_REQUIRED)
    return replace(one, ended_by=EndedBy.REQUEST, units_are=UnitsAre.TAKEN)


async def test_what_was_refunded_before_the_migration(postgres_url: str) -> None:
    """Money that counted for an order that was sold and called off took its units; of what was parked only the first.

    Money charged twice did not, nor that of an order whose units are back; of an order that is still paid nobody can tell.
    Seen to fail (nothing took units) without the update in the migration, without the status of the order (`part`), with
    whatever was parked (`second`), and with a payment that was heard of first and paid later (`heard`).
    """
    orders = [
        order("paid", status=OrderStatus.PAID),
        *(called_off(name) for name in ("sold", "early")),
        replace(order("back", status=OrderStatus.REFUNDED), units_are=UnitsAre.RETURNED),
    ]
    second = owed("a second", "early")
    payments = {
        "counted": (owed("counted", "sold"), PaymentEffect.COUNTED),
        "twice": (owed("twice", "sold"), PaymentEffect.REFUND_REQUIRED),
        "first": (
            replace(owed("first", "early"), arrived_at=second.arrived_at - timedelta(seconds=1)),
            PaymentEffect.PARKED,
        ),
        "second": (second, PaymentEffect.PARKED),
        "heard": (
            replace(owed("heard", "early"), arrived_at=second.arrived_at - timedelta(seconds=9)),
            PaymentEffect.PARKED,
        ),
        "counts": (payment("counts", "paid"), PaymentEffect.COUNTED),
        "part": (owed("part", "paid"), PaymentEffect.COUNTED),
        "beside": (owed("beside", "paid"), PaymentEffect.PARKED),
        "returned": (owed("returned", "back"), PaymentEffect.COUNTED),
    }
    said = {name: replace(payment_event(f"e-{name}", one), effect=effect) for name, (one, effect) in payments.items()}
    said["heard"] = replace(said["heard"], report=PaymentReport.PROCESSING)
    async with lazy_pool(postgres_url, connections_max=1, timeouts=Timeouts(), role="tests") as pool:  # type: asyncpg.Pool
        written = sales(
            [(SHOE, one) for one in orders],
            [(SHOE, one) for one, _ in payments.values()],
            list(said.values()),
        )
        async with Store(pool).transaction() as transaction:
            await transaction.write(written)
        await pool.execute(statements(".rollback"))
        await pool.execute(statements(""))
        rows = await pool.fetch("select payment_id from payments where took_units")
    assert {row["payment_id"] for row in rows} == {"counted", "first"}
