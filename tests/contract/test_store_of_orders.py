"""Orders and payments in the store, on Postgres and on its twin."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from schema.faults import is_culprit
from schema.orders import KnownPayment
from schema.rows import Order, Payment, Pool, UnitsAre
from schema.store import Store
from schema.writing import RacedError, ResourceWrite, Writes
from tests.contract.stores import (
    AULA,
    BAR,
    CLUB,
    NOW,
    Server,
    hold,
    order,
    payment,
    payment_event,
    sales,
    seen,
    two_transactions,
    waits,
    write,
    write_of,
    writes,
)
from topics.orders import EndedBy, OrderStatus, PaymentReport, PaymentStatus
from topics.resources import Counters

CANCELLED = OrderStatus.CANCELLED


def ended(name: str) -> Order:
    """Return an order that was not paid in time."""
    one = replace(order(name), status=CANCELLED, ended_by=EndedBy.DEADLINE, units_are=UnitsAre.RETURNED)
    return replace(one, token_hash="t", client_reference="c")


async def test_what_is_written_of_a_sale_is_read(store: Store) -> None:
    """Every column comes back as it went; payments come with their order, whether it is named or over."""
    orders = [order("o1"), ended("o2"), order("o3", due_in=-1)]
    payments = [payment("p1", "o1"), replace(payment("p2", "o3"), amount=None, currency=None), payment("p3", "o4")]
    payments[2] = replace(
        payments[2], status=PaymentStatus.REFUNDED, refunded_amount=300, returns_units=True, took_units=True
    )
    await write(store, sales([(AULA, one) for one in orders], [(AULA, one) for one in payments]))
    async with store.transaction() as transaction:
        found = await transaction.orders([AULA, BAR], NOW, ["o1", "o2", "o4"], 10)
    assert {key for key, _ in found} == {AULA}
    assert sorted(repr(row) for _, row in found) == sorted(map(repr, [*orders, *payments]))


async def test_of_orders_and_payments_that_are_over_the_oldest_are_read_and_so_many(store: Store) -> None:
    """Those at the instant included; what is ended or counted is not over, and named ones of another resource are not found."""
    orders = [(AULA, order(f"o{late}", due_in=late)) for late in (0, -1, -2, 1)] + [(BAR, order("bar", due_in=-9))]
    orders += [(AULA, replace(ended("over"), payment_due_at=NOW - timedelta(seconds=9)))]
    payments = [(AULA, payment(f"p{late}", f"none{late}", parked_for=late)) for late in (0, -1, -2, 1)]
    payments += [(AULA, payment("counted", "none")), (BAR, payment("bar", "none"))]
    await write(store, sales(orders, payments))
    async with store.transaction() as transaction:
        found = [row for _, row in await transaction.orders([AULA], NOW, ["bar"], 2)]
        assert sorted(row.order_id for row in found if isinstance(row, Order)) == ["o-1", "o-2"]
        assert sorted(row.payment_id for row in found if isinstance(row, Payment)) == ["p-1", "p-2"]
        every = await transaction.orders([AULA, BAR], NOW, [], 10)
    assert sorted(getattr(row, "payment_id", row.order_id) for _, row in every) == [
        *("bar", "o-1", "o-2", "o0", "p-1", "p-2", "p0")
    ]


async def test_an_order_or_payment_that_is_written_again_keeps_what_it_was_made_with(store: Store) -> None:
    """Of an order status, end, place of its units and time may change; of a payment not whose it is and when it came."""
    await write(store, sales([(AULA, order("o1"))], [(AULA, payment("p1", "o1", parked_for=9))]))
    later = replace(
        ended("o1"), account="mallory", quantity=1, amount=150, updated_at=NOW + timedelta(seconds=5), hold_id="other"
    )
    paid = replace(payment("p1", "o1"), status=PaymentStatus.REFUNDED, amount=1, currency="USD", refunded_amount=1)
    paid = replace(paid, returns_units=True, took_units=True, arrived_at=NOW + timedelta(seconds=5))
    await write(store, sales([(AULA, later)], [(AULA, paid)]))
    kept = replace(
        order("o1"),
        status=CANCELLED,
        ended_by=EndedBy.DEADLINE,
        units_are=UnitsAre.RETURNED,
        updated_at=later.updated_at,
    )
    async with store.transaction() as transaction:
        found = await transaction.orders([AULA], NOW, ["o1"], 9)
    assert found == [(AULA, kept), (AULA, replace(paid, arrived_at=NOW))]


@pytest.mark.parametrize(
    "bad",
    [
        sales([(AULA, replace(order("o1"), quantity=0, amount=0))]),
        sales([(AULA, replace(order("o1"), amount=299))]),
        sales([(AULA, replace(order("o1"), units_are=UnitsAre.TAKEN))]),
        sales([(AULA, replace(order("o1", status=OrderStatus.PAID), units_are=UnitsAre.RETURNED))]),
        sales(payments=[(AULA, replace(payment("p1", "o1"), refunded_amount=-1))]),
        sales(payments=[(AULA, replace(payment("p1", "o1", parked_for=9), status=PaymentStatus.REFUNDED))]),
    ],
    ids=["no unit", "amount", "pending, taken", "paid, returned", "refunded less than nothing", "parked, refunded"],
)
async def test_a_sale_that_cannot_be_is_refused(store: Store, bad: Writes) -> None:
    """A CHECK violation: the command's fault, 23514."""
    with pytest.raises(asyncpg.CheckViolationError) as fault:
        await write(store, bad)
    assert is_culprit(fault.value)


async def test_a_hold_makes_one_order(store: Store) -> None:
    """A second order of it is a culprit's fault, 23505."""
    await write(store, sales([(AULA, order("o1"))]))
    with pytest.raises(asyncpg.UniqueViolationError) as fault:
        await write(store, sales([(AULA, replace(order("o2"), hold_id="hold of o1"))]))
    assert is_culprit(fault.value)


async def test_pools_tell_whether_a_sale_of_their_resource_is_over(store: Store) -> None:
    """By an order or a parked payment, at the instant or before; not by one that is to come, paid or counted."""
    three = {(key, "units"): Pool(5, 0, 0, 5) for key in (AULA, BAR, CLUB)}
    await write(store, writes(resources=[write_of(key) for key in (AULA, BAR, CLUB)], pools=three))
    orders = [(AULA, order("o1", due_in=0)), (CLUB, order("o2", due_in=3600))]
    orders += [(CLUB, order("o3", due_in=-9, status=OrderStatus.PAID))]
    payments = [(BAR, payment("p1", "none", parked_for=-1)), (CLUB, payment("p2", "o3"))]
    await write(store, sales(orders, payments))
    found = await seen(store, AULA, BAR, CLUB, pools=dict.fromkeys((AULA, BAR, CLUB)))
    assert {key for key, _, _ in found.pools} == {AULA, BAR, CLUB}
    assert found.with_due_sales == {AULA, BAR}


async def test_r3_a_payment_of_another_order_is_raced(store: Store) -> None:
    """And nothing of its batch stays."""
    await write(store, sales(payments=[(AULA, payment("p1", "o1"))]))
    with pytest.raises(RacedError):
        await write(store, sales(payments=[(BAR, payment("p0", "o2")), (BAR, payment("p1", "o2"))]))
    assert await known(store, "p0", "p1") == [None, "o1"]


async def test_r3_an_event_of_a_provider_is_recorded_once(store: Store) -> None:
    """Of whatever payment: who comes second is raced."""
    await write(store, sales(payment_events=[payment_event("e1", payment("p1", "o1"))]))
    for again in (payment("p1", "o1"), payment("p2", "o2")):
        with pytest.raises(RacedError):
            await write(store, sales(payment_events=[payment_event("e0", again), payment_event("e1", again)]))


async def known(store: Store, *payment_ids: str) -> list[str | None]:
    """Return the orders of payments."""
    async with store.transaction() as transaction:
        found = await transaction.known_payments([("stripe", payment_id, "") for payment_id in payment_ids])
    return [it.order_id for it in sorted(found, key=lambda it: it.payment_id)]


async def test_known_payments_are_read_wherever_they_live(store: Store) -> None:
    """By the provider and both ids; an event may have been recorded of another payment. What it said comes with it."""
    one, other = payment("p1", "o1"), replace(payment("p2", "o2"), provider="paypal")
    said = replace(payment_event("e1", one), report=PaymentReport.REFUNDED, amount=7, currency="USD", return_units=True)
    await write(store, sales(payments=[(AULA, one), (BAR, other)], payment_events=[said]))
    asked = [("stripe", "p1", "e2"), ("stripe", "p2", "e1"), ("paypal", "p2", "e1")]
    async with store.transaction() as transaction:
        found = await transaction.known_payments(asked)
    assert sorted(found, key=repr) == [
        KnownPayment("paypal", "p2", "e1", "o2", None),
        KnownPayment("stripe", "p1", "e2", "o1", None),
        KnownPayment("stripe", "p2", "e1", None, said.words),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (sales(payments=[(AULA, payment("p1", "o1"))]), sales(payments=[(BAR, payment("p1", "o2"))])),
        (
            sales(payment_events=[payment_event("e1", payment("p1", "o1"))]),
            sales(payment_events=[payment_event("e1", payment("p2", "o2"))]),
        ),
    ],
    ids=["payment", "event"],
)
async def test_r3_what_another_is_about_to_record_is_waited_for(server: Server, first: Writes, second: Writes) -> None:
    """If it commits, the second is raced."""
    async with two_transactions(server) as (one, other, commit):
        await one.write(first)
        writing = asyncio.create_task(other.write(second))
        assert await waits(writing)
        await commit.aclose()
        with pytest.raises(RacedError):
            await writing


async def test_a_payment_that_another_moves_is_waited_for_and_moved_from_there(server: Server) -> None:
    """Of the same order, the second is not raced: the locks of resources are what orders the two."""
    await write(server.store(), sales(payments=[(AULA, payment("p1", "o1", parked_for=9))]))
    moved = replace(payment("p1", "o1"), refunded_amount=5)
    async with two_transactions(server) as (one, other, commit):
        await one.write(sales(payments=[(AULA, payment("p1", "o1"))]))
        writing = asyncio.create_task(other.write(sales(payments=[(AULA, moved)])))
        assert await waits(writing)
        await commit.aclose()
        await writing
    async with server.store().transaction() as transaction:
        assert await transaction.orders([AULA], NOW, ["o1"], 1) == [(AULA, moved)]


async def test_due_resources_come_by_orders_and_parked_payments_too(store: Store) -> None:
    """By whatever of them is over first; what is paid or counted is not over."""
    await write(store, writes(holds=[(CLUB, hold("h1", expires_in=-2))]))
    orders = [(AULA, order("o1", due_in=-3)), (CLUB, order("o2", due_in=-9, status=OrderStatus.PAID))]
    await write(store, sales(orders, [(BAR, payment("p1", "none", parked_for=-1)), (BAR, payment("p2", "none"))]))
    assert [page async for page in store.due_resources(10)] == [[AULA, CLUB, BAR]]
    assert [page async for page in store.due_resources(1) if page] == [[AULA], [CLUB], [BAR]]


async def test_a_gateway_reads_what_was_not_paid_in_time_as_free(server: Server) -> None:
    """And an order's deadline may be what ends next."""
    resource_ = replace(write_of(AULA).resource, counters=Counters(9, 6, 0, 3, 0))
    await write(
        server.store(),
        writes([], [ResourceWrite(AULA, None, resource_)], {(AULA, "units"): Pool(9, 6, 0, 9)}),
        writes(holds=[(AULA, hold("h1", expires_in=9000))]),
        sales([(AULA, order("o1", due_in=-1)), (AULA, order("o2", due_in=6000)), (AULA, ended("o3"))]),
    )
    found = (await server.reads().resources("slot", ["aula"]))["aula"]
    assert found.counters == Counters(9, 4, 0, 5, 0)
    assert found.expires_in_ms is not None
    assert 2_400_000 < found.expires_in_ms <= 6_000_000  # NOW is when the tests were collected
