"""Products, orders and payments on real Kafka and Postgres, through the log alone: what a gateway will ask for, and providers.

Nothing of the engine knows that these are no slots but the kind itself; so what is tested here is what is new of it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.reads import Reads
from schema.rows import ResourceKey
from tests.installation import eventually, installation
from tests.integration.expectations import fresh, headers_of
from tests.servers import Urls
from tests.till import BANK, PARTNER, SHOP, SIGNING_KEYS, Till, paid
from topics import events
from topics.commands import (
    CancelOrder,
    PlaceOrder,
    fingerprint,
)
from topics.identifiers import order_id_of, refund_id, request_id
from topics.orders import OrderStatus, PaymentStatus
from topics.producer import ResilientProducer
from topics.resources import HoldStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARKED_SECONDS = 2
ENVIRONMENT = {"FIRMHOLD_SIGNING_KEYS": SIGNING_KEYS, "FIRMHOLD_PARKED_PAYMENT_SECONDS": str(PARKED_SECONDS)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def till(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Till]:
    """Give a till of an installation with a worker."""
    async with installation(servers, module_postgres_url, logs, **ENVIRONMENT) as site:
        await site.start_worker()
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        yield Till(site, producer)
        await producer.stop()


async def test_from_hold_to_paid(till: Till) -> None:
    """Each step has its event, with a version of its own; rows and reads say the same.

    Seen to fail when the units of a paid order stay held too, and when no key may report payments.
    """
    shoe, order_id = await till.order(stock=3)
    payment = paid(shoe, order_id)
    assert await till.say(payment) == [events.PAYMENT_RECORDED, events.ORDER_PAID]
    mine = [event for event in await till.told() if event.key == shoe.encode()]
    assert [headers_of(event)["ce_type"] for event in mine] == [
        events.RESOURCE_DEFINED,
        events.HOLD_PLACED,
        events.ORDER_PLACED,
        events.PAYMENT_RECORDED,
        events.ORDER_PAID,
    ]
    assert [int(headers_of(event)["ce_sequence"]) for event in mine] == [1, 2, 3, 4, 5]
    last = msgspec.json.decode(mine[-1].value or b"")
    assert (last["counters"]["held"], last["counters"]["taken"], last["counters"]["remaining"]) == (0, 1, 2)
    async with lazy_pool(till.site.postgres, connections_max=1, timeouts=Timeouts(), role="tests") as pool:  # type: asyncpg.Pool
        reads = Reads(pool)
        found = await reads.order(order_id)
        assert found is not None
        order, is_over, payments = found
        assert (order.status, order.amount, order.currency, is_over) == (OrderStatus.PAID, 500, "EUR", False)
        assert [(it.payment_id, it.status) for it in payments] == [(payment.payment_id, PaymentStatus.PAID)]
        hold = await reads.hold(order.hold_id)
        assert hold is not None
        assert (hold[0].status, hold[0].order_id, hold[0].unit_price) == (HoldStatus.USED, order_id, 500)
        assert await reads.order(order_id.replace(shoe, "another")) is None


async def test_r6_only_who_may_reports_payments(till: Till) -> None:
    """Unsigned, or signed by a key without the scope: refused, and the provider's event is still to be had."""
    shoe, order_id = await till.order()
    payment = paid(shoe, order_id)
    for source, key in (("bank/webhook", None), ("partner/one", PARTNER), ("upstream/x", None)):
        for command in (payment, CancelOrder(resource_id=shoe, order_id=order_id)):
            await till.producer.send_all([till.record(command, source, f"bank/{payment.event_id}", key)])
    rejected = await till.caused_by(f"bank/{payment.event_id}")
    assert {headers_of(event)["ce_type"] for event in rejected} == {events.RECORD_REJECTED}
    assert {msgspec.json.decode(event.value or b"")["reason"] for event in rejected} == {"forbidden"}
    assert await till.status(order_id) is OrderStatus.PENDING_PAYMENT
    await till.say(payment)
    assert await till.status(order_id) is OrderStatus.PAID


async def test_e36_a_payment_that_is_said_ten_times(till: Till) -> None:
    """By one record again and again, and by another sender of the same event: applied once, told the same each time."""
    shoe, order_id = await till.order()
    payment = paid(shoe, order_id)
    await till.say(payment, times=5)
    await till.say(payment, times=5)
    ids = [headers_of(event)["ce_id"] for event in await till.caused_by(f"bank/{payment.event_id}")]
    assert len(set(ids)) == 2
    await till.producer.send_all([till.record(payment, "bank/another", "x", BANK)])
    assert [headers_of(event)["ce_type"] for event in await till.caused_by("x")] == [events.PAYMENT_UNCHANGED]
    async with till.site.database() as database:
        assert await database.fetchval("select count(*) from payment_events where order_id = $1", order_id) == 1
        assert await database.fetchval("select taken from resources where resource_id = $1", shoe) == 1
    assert await till.refunds_of(shoe) == []


async def test_r12_e32_a_payment_said_again_when_its_request_is_purged(till: Till) -> None:
    """It is answered from its row; so is an order that is asked for again.

    Seen to fail (a second order, `hold_used`) without `ordering.placed_before`, and (tried for ever) without
    `paying.recorded_before`.
    """
    shoe = fresh("shoe")
    await till.define(shoe)
    place = PlaceOrder(resource_id=shoe, hold_id=await till.hold(shoe))
    command_id = uuid.uuid4().hex
    order_id = order_id_of(await till.ask(place, command_id))
    payment = paid(shoe, order_id)
    await till.say(payment)
    async with till.site.database() as database:
        await database.execute("delete from requests where resource_id = $1", shoe)
    await till.say(payment)
    await till.ask(place, command_id)
    mine = [headers_of(event)["ce_type"] for event in await till.told() if event.key == shoe.encode()]
    assert mine[-2:] == [events.PAYMENT_UNCHANGED, events.ORDER_UNCHANGED]
    assert await till.status(order_id) is OrderStatus.PAID


async def test_e41_a_payment_before_its_order(till: Till) -> None:
    """It waits, and the order is paid as soon as it is placed."""
    shoe = fresh("shoe")
    await till.define(shoe)
    place = PlaceOrder(resource_id=shoe, hold_id=await till.hold(shoe))
    command_id = uuid.uuid4().hex
    request = request_id("product", shoe, SHOP, command_id, fingerprint("product", place))
    assert await till.say(paid(shoe, order_id_of(request), None)) == [events.PAYMENT_RECORDED]
    await till.ask(place, command_id)
    placed = [headers_of(event)["ce_type"] for event in await till.caused_by(command_id)]
    assert placed == [events.ORDER_PLACED, events.PAYMENT_RECORDED, events.ORDER_PAID]
    assert await till.status(order_id_of(request)) is OrderStatus.PAID


async def test_e41_a_payment_whose_order_never_comes(till: Till) -> None:
    """Behind its bound, though nobody touches the product: an alarm, and the money is to be given back, once.

    Seen to fail (never swept) without parked payments in `find_due_resources.sql`, and (swept for nothing) in
    `read_pools.sql`.
    """
    shoe = fresh("shoe")
    await till.define(shoe)
    payment = paid(shoe, order_id_of(request_id("product", shoe, SHOP, "never", bytes(32))))
    await till.say(payment)

    async def required() -> list[str]:
        return await till.refunds_of(shoe)

    assert await eventually(required, seconds=PARKED_SECONDS + 8) == [
        refund_id("product", shoe, payment.provider, payment.payment_id)
    ]
    types = [headers_of(event)["ce_type"] for event in await till.told() if event.key == shoe.encode()]
    assert types[-2:] == [events.PAYMENT_ORPHANED, events.REFUND_REQUIRED]


async def test_e38_an_order_whose_time_is_over_is_swept_and_recovered(till: Till) -> None:
    """The sweeper ends it; the late payment brings it back, as its unit is still there.

    Seen to fail (never swept) without orders in `find_due_resources.sql`.
    """
    shoe, order_id = await till.order(payment_seconds=1)
    await till.stands(order_id, OrderStatus.CANCELLED)
    assert await till.say(paid(shoe, order_id)) == [events.PAYMENT_RECORDED, events.ORDER_RECOVERED]
    assert await till.status(order_id) is OrderStatus.PAID


async def test_e39_a_late_payment_of_what_is_sold(till: Till) -> None:
    """It is to be given back, once, however often it is said; nothing is oversold."""
    shoe, order_id = await till.order(payment_seconds=1)
    await till.stands(order_id, OrderStatus.CANCELLED)
    await till.hold(shoe)
    payment = paid(shoe, order_id)
    expected = [events.PAYMENT_RECORDED, events.ORDER_REFUND_REQUIRED, events.REFUND_REQUIRED]
    assert await till.say(payment, times=3) == expected * (len(await till.refunds_of(shoe)))
    assert set(await till.refunds_of(shoe)) == {refund_id("product", shoe, "bank", payment.payment_id)}
    again = msgspec.structs.replace(payment, event_id=f"{payment.event_id}-again")
    assert await till.say(again) == [events.PAYMENT_RECORDED]
    async with till.site.database() as database:
        row = await database.fetchrow("select held, taken, remaining from resources where resource_id = $1", shoe)
    assert tuple(row or ()) == (1, 0, 0)


async def test_reads_count_an_order_that_is_over_as_free(till: Till) -> None:
    """Before anything ended it; with the sweeper's help they say the same after."""
    shoe, order_id = await till.order(payment_seconds=3600)
    async with till.site.database() as database:
        await database.execute("update orders set payment_due_at = now() where order_id = $1", order_id)
        async with lazy_pool(till.site.postgres, connections_max=1, timeouts=Timeouts(), role="tests") as pool:
            reading = await Reads(pool).resource(ResourceKey("product", shoe))
    assert reading is not None
    assert (reading.counters.held, reading.counters.remaining) == (0, 1)


async def test_one_payment_reported_for_orders_of_two_products_at_once(till: Till) -> None:
    """It counts for one of them, whoever is first; the other report is refused, and no worker is harmed."""
    one, two = await till.order(), await till.order()
    payment = paid(*one)
    other = msgspec.structs.replace(payment, resource_id=two[0], order_id=two[1], event_id=f"{payment.event_id}-two")
    first, second = await asyncio.gather(till.say(payment), till.say(other))
    assert sorted([first[-1], second[-1]]) == [events.ORDER_PAID, events.REQUEST_REFUSED]
    assert {await till.status(one[1]), await till.status(two[1])} == {OrderStatus.PAID, OrderStatus.PENDING_PAYMENT}


@pytest.mark.parametrize("order_id", ["order", "order_slot~x~" + "a" * 32, "order_product~another~" + "a" * 32])
async def test_e47_a_payment_of_no_order_is_dead_lettered(till: Till, order_id: str) -> None:
    """Signed but unusable: its order's id must say where the order is, or will be."""
    payment = paid(fresh("shoe"), order_id)
    assert await till.say(payment) == [events.RECORD_REJECTED]
    dead = await till.site.records(till.site.settings.catalogue().dead_letters("product"))
    mine = [letter for letter in dead if headers_of(letter).get("ce_id") == f"bank/{payment.event_id}"]
    assert len(mine) == 1
