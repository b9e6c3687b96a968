"""A sale: from the second it opens to the last payment. Buyers use the calls of a shop, the bank tells of the money."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.acceptance.people import Person, outcome
from tests.installation import eventually
from tests.shop import cancel_order, define_product, hold_units, on_sale, ordered, place_order, stock_of
from tests.till import Till, paid
from topics.orders import PaymentReport

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def status_of(somebody: Person, order_id: str) -> str:
    """Return how an order stands, by its buyer's page."""
    return str((await somebody.call("GET", f"/api/orders/{order_id}")).body["status"])


async def until_it_is(somebody: Person, order_id: str, status: str) -> None:
    """Look at an order until it stands so."""

    async def is_so() -> bool:
        return await status_of(somebody, order_id) == status

    await eventually(is_so, what=f"the order is {status}")


async def test_held_ordered_paid(alice: Person, bank: Till) -> None:
    """Alice holds two pairs, orders them, and pays: they are hers, and sold."""
    shoe = await on_sale(alice, 10, price=12_900)
    hold = await hold_units(alice, shoe, 2)
    assert await stock_of(alice, shoe) == (8, 10, 2)
    order = (await place_order(alice, hold.body["hold_id"])).body
    assert (order["status"], order["amount"], order["currency"]) == ("pending_payment", 25_800, "EUR")

    await bank.say(paid(shoe, order["id"], 25_800))
    bought = (await alice.call("GET", f"/api/orders/{order['id']}")).body
    assert (bought["status"], [one["status"] for one in bought["payments"]]) == ("paid", ["paid"])
    assert await stock_of(alice, shoe) == (8, 8, 0)


async def test_it_opens_at_its_second(alice: Person, bob: Person) -> None:
    """Whoever is too early is told so, and is not on any list; who comes then gets what is there, and no more.

    Seen to fail (a hold before the second) on a core that opens five minutes early.
    """
    opens_at = datetime.now(UTC) + timedelta(seconds=3)
    shoe = await on_sale(alice, 5, opens_at=opens_at.isoformat())
    early = await hold_units(bob, shoe)
    assert outcome(early) == (409, "not_open_yet")

    async def is_open() -> bool:
        return (await hold_units(alice, shoe)).status == 201

    await eventually(is_open, what="the sale opens")
    assert datetime.now(UTC) >= opens_at
    rush = await asyncio.gather(
        *((alice, bob)[number % 2].call("POST", f"/api/holds/{shoe}/1") for number in range(30))
    )
    granted = [reply for reply in rush if reply.status == 201]
    assert len(granted) == 4
    assert {outcome(reply) for reply in rush if reply.status != 201} == {(409, "sold_out")}
    assert await stock_of(bob, shoe) == (0, 5, 5)


async def test_e38_paid_too_late_but_still_there(alice: Person, bank: Till) -> None:
    """Her time to pay ran out; her money comes, nobody else took the pair, and so she gets it after all."""
    shoe = await on_sale(alice, 1, payment_seconds=1)
    order = await ordered(alice, shoe)
    await until_it_is(alice, order["id"], "cancelled")
    assert await stock_of(alice, shoe) == (1, 1, 0)

    await bank.say(paid(shoe, order["id"]))
    assert await status_of(alice, order["id"]) == "paid"
    assert await stock_of(alice, shoe) == (0, 0, 0)


async def test_e39_e40_paid_too_late_and_sold(alice: Person, bob: Person, bank: Till) -> None:
    """Bob has the last pair; Alice's money is to be given back, told once however often the bank says it, and she sees it."""
    shoe = await on_sale(alice, 1, payment_seconds=1)
    order = await ordered(alice, shoe)
    await until_it_is(alice, order["id"], "cancelled")
    bobs = await hold_units(bob, shoe)
    assert bobs.status == 201

    late = paid(shoe, order["id"])
    await bank.say(late)
    await bank.say(late)
    assert await status_of(alice, order["id"]) == "refund_required"
    assert len(set(await bank.refunds_of(shoe))) == 1
    await bank.say(msgspec.structs.replace(late, event_id=f"{late.event_id}-r", status=PaymentReport.REFUNDED))
    assert await status_of(alice, order["id"]) == "refunded"
    assert await stock_of(bob, shoe) == (0, 1, 1)


async def test_e35_changed_her_mind_after_paying(alice: Person, bank: Till) -> None:
    """A paid order that is called off is to be refunded; when the goods come back too, the next buyer has them."""
    shoe = await on_sale(alice, 1)
    order = await ordered(alice, shoe)
    payment = paid(shoe, order["id"])
    await bank.say(payment)
    assert outcome(await cancel_order(alice, order["id"])) == (200, "refund_required")
    assert await stock_of(alice, shoe) == (0, 0, 0)

    back = {"event_id": f"{payment.event_id}-r", "status": PaymentReport.REFUNDED, "return_units": True}
    await bank.say(msgspec.structs.replace(payment, **back))
    assert await status_of(alice, order["id"]) == "refunded"
    await bank.say(msgspec.structs.replace(payment, event_id=f"{payment.event_id}-late"))
    assert (await status_of(alice, order["id"]), await stock_of(alice, shoe)) == ("refunded", (1, 1, 0))


async def test_changed_her_mind_before_paying(alice: Person, bob: Person) -> None:
    """Her pair is free at once, and Bob gets it; her order is no longer to be had back."""
    shoe = await on_sale(alice, 1)
    order = await ordered(alice, shoe)
    assert outcome(await hold_units(bob, shoe)) == (409, "sold_out")
    assert outcome(await cancel_order(alice, order["id"])) == (200, "cancelled")
    assert (await hold_units(bob, shoe)).status == 201
    assert outcome(await place_order(alice, order["hold_id"])) == (409, "hold_used")


async def test_e12_a_hold_runs_out(alice: Person, bob: Person) -> None:
    """Two minutes by default, here one second: then the pair is Bob's, and Alice comes too late to order."""
    shoe = await on_sale(alice, 1, hold_seconds=1)
    hold = await hold_units(alice, shoe)

    async def is_bobs() -> bool:
        return (await hold_units(bob, shoe)).status == 201

    await eventually(is_bobs, what="the hold runs out")
    assert outcome(await place_order(alice, hold.body["hold_id"])) == (409, "hold_expired")


async def test_e50_the_price_is_that_of_the_hold(alice: Person, bank: Till) -> None:
    """The price goes up behind her hold; she pays what it was, and that is enough."""
    shoe = await on_sale(alice, 2, price=500)
    hold = await hold_units(alice, shoe)
    await define_product(alice, shoe, 2, 900)
    order = (await place_order(alice, hold.body["hold_id"])).body
    assert order["amount"] == 500
    await bank.say(paid(shoe, order["id"], 500))
    assert await status_of(alice, order["id"]) == "paid"
