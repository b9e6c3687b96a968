"""A worker dies between storing that a refund is required and saying so."""

from pathlib import Path

from tests.auditing import audit
from tests.installation import installation
from tests.servers import Urls
from tests.till import SIGNING_KEYS, Till, paid
from topics import events
from topics.commands import CancelOrder
from topics.identifiers import refund_id
from topics.producer import ResilientProducer
from workers.crash_points import CrashPoint

BATCHES_BEFORE = 4  # definition, hold, order, payment: each is answered before the next is sent


async def test_e40_killed_before_it_said_that_a_refund_is_required(
    servers: Urls, postgres_url: str, tmp_path: Path
) -> None:
    """The next worker says it, with the id of the payment; who hears it twice can tell.

    Seen to fail (never said) on sending nothing for repeated outcomes, in `Emitter.records`.
    """
    more = {"FIRMHOLD_SIGNING_KEYS": SIGNING_KEYS, "FIRMHOLD_SWEEP_SECONDS": "0"}
    async with installation(servers, postgres_url, tmp_path, **more) as site:
        dying = await site.start_worker(CrashPoint.AFTER_COMMIT.value, str(BATCHES_BEFORE + 1))
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        till = Till(site, producer)
        shoe, order_id = await till.order()
        payment = paid(shoe, order_id)
        await till.say(payment)
        await till.send(CancelOrder(resource_id=shoe, order_id=order_id), "call it off")
        assert await dying.wait(20) != 0
        assert await till.refunds_of(shoe) == []
        await site.start_worker()
        told = await till.caused_by("call it off")
        await producer.stop()
        refund = refund_id("product", shoe, payment.provider, payment.payment_id)
        assert await till.refunds_of(shoe) == [refund]
        assert len(told) == 2
        assert [event.key for event in told] == [shoe.encode()] * 2
        assert events.REFUND_REQUIRED in {str(dict(event.headers)["ce_type"], "utf-8") for event in told}
        await audit(site, (), kind="product")
