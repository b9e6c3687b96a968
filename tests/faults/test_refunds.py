"""A worker dies between storing that money is to be given back, or is refused, and saying so."""

from pathlib import Path

import pytest

from firmhold.audit.running import Scope
from firmhold.audit.running import audit as firmhold_audit
from tests.auditing import audit
from tests.installation import eventually, installation
from tests.integration.expectations import fresh, headers_of
from tests.servers import Urls
from tests.till import SHOP, SIGNING_KEYS, Till, metric, paid
from topics import events
from topics.commands import CancelOrder
from topics.identifiers import order_id_of, refund_id, request_id
from topics.producer import ResilientProducer
from workers.crash_points import CrashPoint

BATCHES_BEFORE = 4  # definition, hold, order, payment: each is answered before the next is sent


@pytest.mark.chaos
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


@pytest.mark.chaos
async def test_killed_before_it_put_a_refused_payment_aside(servers: Urls, postgres_url: str, tmp_path: Path) -> None:
    """The next worker puts it aside, and counts it; one that comes behind both still tells of it, and so does the audit.

    Seen to fail (never put aside) on letters for what is decided anew alone, in `Emitter._put_aside`, and (nothing refused)
    on counting only what is decided anew, and on a watch that does not ask Postgres for refusals.
    """
    more = {
        "FIRMHOLD_SIGNING_KEYS": SIGNING_KEYS,
        "FIRMHOLD_SWEEP_SECONDS": "0",
        "FIRMHOLD_OPEN_PAYMENTS_SECONDS": "0.2",
    }
    async with installation(servers, postgres_url, tmp_path, **more) as site:
        dying = await site.start_worker(CrashPoint.AFTER_COMMIT.value, "1")
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        till = Till(site, producer)
        shoe = fresh("shoe")
        payment = paid(shoe, order_id_of(request_id("product", shoe, SHOP, "never", bytes(32))))
        command_id = await till.report(payment)
        assert await dying.wait(20) != 0
        letters = site.settings.catalogue().dead_letters("product")
        assert await site.records(letters) == []
        second = await site.start_worker()
        await till.caused_by(command_id)
        await producer.stop()
        (letter,) = await site.records(letters)
        assert headers_of(letter)["firmhold-dlq-reason"] == "refused_payment"
        assert payment.event_id in headers_of(letter)["firmhold-dlq-detail"]
        assert (await metric(site, second, "firmhold_payments_total", "effect"))["refused"] == 1
        await second.stop()
        third = await site.start_worker()

        async def is_told() -> bool:
            return (await metric(site, third, "firmhold_payments_open", "need")).get("refused") == 1

        await eventually(is_told, what="a worker that never saw the record tells of it")
        assert (await metric(site, third, "firmhold_payments_total", "effect"))["refused"] == 0
        await audit(site, (), kind="product")
        notes = [note.text for check in await firmhold_audit(site.settings, Scope()) for note in check.notes]
        assert notes == ["it reports a payment and was refused (not_found): see that the money was given back"]
