"""`firmhold requests show`: what an operator is told of a request, of an order, and of money whose order has not come."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from schema import queries
from schema.open_payments import Need
from tests.installation import Installation, eventually, installation
from tests.integration.expectations import fresh
from tests.servers import Urls
from tests.till import SHOP, SIGNING_KEYS, Till, metric, paid
from topics.commands import CancelOrder, Hold, PlaceOrder
from topics.identifiers import order_id_of, request_id
from topics.orders import PaymentReport
from topics.producer import ResilientProducer

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARKED_SECONDS = 6
USAGE = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def till(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Till]:
    """Give a till of an installation that waits for orders for some seconds."""
    more = {
        "FIRMHOLD_SIGNING_KEYS": SIGNING_KEYS,
        "FIRMHOLD_PARKED_PAYMENT_SECONDS": str(PARKED_SECONDS),
        "FIRMHOLD_OPEN_PAYMENTS_SECONDS": "0.2",
    }
    async with installation(servers, module_postgres_url, logs, **more) as site:
        await site.start_worker()
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        yield Till(site, producer)
        await producer.stop()


async def show(site: Installation, asked: str) -> tuple[int | None, str]:
    """Run the command; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "firmhold.cli", "requests", "show", asked),
        env=site.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def told(site: Installation, name: str, label: str) -> dict[str, float]:
    """Return what the worker's metric tells, by its only label."""
    return await metric(site, site.processes[0], name, label)


async def effects(site: Installation) -> dict[str, float]:
    """Return what payments came to, as the worker's metrics have it."""
    return await told(site, "firmhold_payments_total", "effect")


async def needs(site: Installation) -> dict[str, float]:
    """Return how many payments need what."""
    return await told(site, "firmhold_payments_open", "need")


async def needing(site: Installation, before: dict[str, float], **more: int) -> None:
    """Return as soon as so many more payments than before need this, and no other."""

    async def are() -> bool:
        return await needs(site) == {need: count + more.get(need, 0) for need, count in before.items()}

    await eventually(are, seconds=PARKED_SECONDS + 10, what=f"open payments are {more} more than {before}")


async def test_a_request_a_hold_and_an_order(till: Till) -> None:
    """Each by its id: command, claim, place in the log, outcome, events; the order with its money and what was said."""
    shoe, order_id = await till.order(stock=1)
    await till.say(paid(shoe, order_id, 200))
    await till.say(paid(shoe, order_id, 400))
    code, text = await show(till.site, order_id)
    assert code == 0
    for part in (
        f"req_{order_id.removeprefix('order_')}: PlaceOrder for product {shoe}",
        f"from {SHOP}, id ",
        "  succeeded",
        "told order.placed, version 3, the answer",
        f"{order_id}: paid, 500 EUR due ",
        "600 counted, 100 too much, 0 to be given back",
        "of bank: paid 200 EUR",
        "bank said paid 400 EUR of ",
    ):
        assert part in text, text
    sold_out = await till.ask(Hold(resource_id=shoe))
    for one in (sold_out, sold_out.replace("req_", "hold_")):
        code, text = await show(till.site, one)
        assert (code, "refused: sold_out" in text) == (0, True)
    cancel = await till.ask(CancelOrder(resource_id=shoe, order_id=order_id))
    assert f"{order_id}: refund_required" in (await show(till.site, cancel))[1]


async def test_e41_money_that_waits_for_its_order(till: Till) -> None:
    """Until when it waits; behind that, that it is to be given back. The metric to alert on counts it once.

    Fails (nothing counted) if only the events that answer are looked at.
    """
    shoe = fresh("shoe")
    await till.define(shoe)
    order_id = order_id_of(request_id("product", shoe, SHOP, "never", bytes(32)))
    payment = paid(shoe, order_id)
    before, open_before = await effects(till.site), await needs(till.site)
    await till.say(payment)
    await needing(till.site, open_before, parked=1)
    assert 0 < (await told(till.site, "firmhold_payments_open_seconds", "need"))["parked"] < PARKED_SECONDS + 10
    code, text = await show(till.site, order_id)
    assert (code, f"{order_id}: this order has not come" in text) == (0, True), text
    assert f"payment {payment.payment_id} of bank: paid 500 EUR, waits for its order until " in text
    assert f"bank said paid 500 EUR of {payment.payment_id}: parked" in text

    async def is_orphaned() -> bool:
        return (await effects(till.site)).get("orphaned", 0) == before.get("orphaned", 0) + 1

    await eventually(is_orphaned, seconds=PARKED_SECONDS + 10, what="the alarm")
    await needing(till.site, open_before, orphaned=1)
    assert f"payment {payment.payment_id} of bank: refund_required 500 EUR\n" in (await show(till.site, order_id))[1]
    await till.say(payment)
    assert (await effects(till.site))["parked"] == before["parked"] + 1
    await till.say(msgspec.structs.replace(payment, event_id=f"{payment.event_id}-r", status=PaymentReport.REFUNDED))
    await needing(till.site, open_before)


async def test_e42_e39_money_that_somebody_must_look_at(till: Till) -> None:
    """Of another currency, and to be given back: each is a gauge from Postgres, and so any worker's, until it is refunded.

    Seen to fail (orphaned) when the order is not looked for.
    """
    shoe, order_id = await till.order()
    before = await needs(till.site)
    assert before.keys() == {need.value for need in Need}
    dollars = msgspec.structs.replace(paid(shoe, order_id), currency="USD")
    once, twice = paid(shoe, order_id), paid(shoe, order_id)
    for payment in (dollars, once, twice):
        await till.say(payment)
    await needing(till.site, before, mismatched=1, refund_required=1)
    for payment in (dollars, twice):
        back = {"event_id": f"{payment.event_id}-r", "status": PaymentReport.REFUNDED, "amount": None, "currency": None}
        await till.say(msgspec.structs.replace(payment, **back))
    await needing(till.site, before)
    assert (await told(till.site, "firmhold_payments_open_seconds", "need"))["mismatched"] == 0


async def test_the_count_reads_open_payments_alone(till: Till) -> None:
    """By indexes of their own, whose conditions the query repeats. Seen to fail (no such index) with another condition."""
    async with till.site.database() as database:
        await database.execute("set enable_seqscan = off")
        plan = await database.fetch(f"explain {queries.COUNT_OPEN_PAYMENTS}")
    for index in ("payments_open", "requests_refused_payments"):
        assert any(index in row[0] for row in plan), plan


async def test_a_refused_payment_is_counted_for_a_day(till: Till) -> None:
    """By Postgres, whatever becomes of the worker that refused it. Seen to fail (for ever) without a bound on its time."""
    shoe = fresh("shoe")
    payment = paid(shoe, order_id_of(request_id("product", shoe, SHOP, "never", bytes(32))))
    before = await needs(till.site)
    await till.say(payment)
    await needing(till.site, before, refused=1)
    async with till.site.database() as database:
        aged = "update requests set decided_at = decided_at - interval '25 hours' where resource_id = $1"
        assert await database.execute(aged, shoe) == "UPDATE 1"
    await needing(till.site, before)


async def test_an_order_that_came_in_time_has_its_money(till: Till) -> None:
    """Its request tells of the payment that waited; no alarm is raised for it."""
    shoe = fresh("shoe")
    await till.define(shoe)
    place = PlaceOrder(resource_id=shoe, hold_id=await till.hold(shoe))
    placed = await till.ask(place, "in time")
    order_id = order_id_of(placed)
    text = (await show(till.site, placed))[1]
    assert f"{order_id}: pending_payment" in text
    await till.say(paid(shoe, order_id))
    assert f"{order_id}: paid" in (await show(till.site, placed))[1]


@pytest.mark.parametrize("asked", ["nothing", "order_product~shoe~" + "a" * 32, "refund_product~shoe~" + "a" * 32])
async def test_what_is_not_there_is_told_in_a_sentence(till: Till, asked: str) -> None:
    """Exit code 2, no traceback."""
    code, text = await show(till.site, asked)
    assert code == USAGE
    assert "is no id of" in text or "nothing is" in text
    assert "Traceback" not in text
