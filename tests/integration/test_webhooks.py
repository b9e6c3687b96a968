"""Webhooks of payment providers over HTTP, through Kafka to the order: two gateways, one worker."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests import provider
from tests.installation import ALICE_KEY, eventually
from tests.integration.expectations import check_members, headers_of, silence, sleeping
from tests.integration.webhook_shop import Shop, open_shop
from tests.provider import OLD_SECRET, STRIPE_PATH, STRIPE_SECRET, Webhook, intent, stripe_event, webhook
from tests.servers import Urls
from topics import events
from topics.identifiers import refund_id
from topics.orders import OrderStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Shop]:
    """Give a shop with two gateways and a worker."""
    async with open_shop(servers, module_postgres_url, logs) as one:
        yield one


async def test_paid_by_webhook(shop: Shop) -> None:
    """Without an amount the whole is paid; the answer waits for Kafka, not for the decision."""
    _, order_id = await shop.order(stock=3)
    assert await shop.hears(webhook(order_id)) == (200, {"message": "ok"})
    await shop.stands(order_id, OrderStatus.PAID)
    assert await shop.money(order_id) == [("standard-webhooks", "paid", "counted")]


async def test_paid_by_stripe(shop: Shop) -> None:
    """The PaymentIntent's turns and its charge's refund are one payment; what says nothing new is passed over."""
    _, order_id = await shop.order()
    payment = intent(order_id, 500)
    charge = {"id": "ch_1", "payment_intent": payment["id"], "currency": "eur", "metadata": payment["metadata"]}
    before = len(await shop.put_aside())
    await shop.takes(
        stripe_event("payment_intent.created", payment),
        stripe_event("payment_intent.processing", payment),
        stripe_event("charge.succeeded", charge),
        stripe_event("payment_intent.succeeded", payment),
    )
    assert await shop.status(order_id) is OrderStatus.PAID
    await shop.takes(stripe_event("charge.refunded", charge | {"amount_refunded": 500, "refunded": True}))
    assert await shop.status(order_id) is OrderStatus.REFUNDED
    assert [said for _, said, _ in await shop.money(order_id)] == ["processing", "paid", "refunded"]
    assert len(await shop.put_aside()) == before


async def test_e33_a_failed_try_and_then_paid(shop: Shop) -> None:
    """Stripe's failed try ends nothing. Seen to fail (`cancelled`) when it is taken for the final `failed`."""
    _, order_id = await shop.order()
    payment = intent(order_id, 500)
    await shop.takes(stripe_event("payment_intent.payment_failed", payment | {"amount_received": 0}))
    assert await shop.status(order_id) is OrderStatus.PENDING_PAYMENT
    await shop.takes(stripe_event("payment_intent.succeeded", payment))
    assert await shop.status(order_id) is OrderStatus.PAID


async def test_e34_paid_and_then_failed(shop: Shop) -> None:
    """What comes late is recorded, and changes nothing."""
    _, order_id = await shop.order()
    await shop.takes(webhook(order_id, payment_id="p-34"), webhook(order_id, "failed", payment_id="p-34"))
    assert await shop.status(order_id) is OrderStatus.PAID
    assert await shop.money(order_id) == [
        ("standard-webhooks", "paid", "counted"),
        ("standard-webhooks", "failed", "ignored"),
    ]


@pytest.mark.parametrize("is_stripe", [False, True])
async def test_a_failed_payment_is_final(shop: Shop, *, is_stripe: bool) -> None:
    """Our own `failed`, and Stripe's `canceled`: the unit returns."""
    shoe, order_id = await shop.order()
    payment = intent(order_id, 500)
    await shop.takes(stripe_event("payment_intent.canceled", payment) if is_stripe else webhook(order_id, "failed"))
    assert await shop.status(order_id) is OrderStatus.CANCELLED
    await shop.hold(shoe)


async def test_e35_refunded_and_then_paid_again(shop: Shop) -> None:
    """A copy of the payment does nothing; other money is to be given back, once; the unit that returned stays free."""
    shoe, order_id = await shop.order()
    first, second = webhook(order_id, payment_id="p-35"), webhook(order_id, payment_id="p-35-two")
    await shop.takes(first, webhook(order_id, "refunded", payment_id="p-35", return_units=True))
    assert await shop.status(order_id) is OrderStatus.REFUNDED
    await shop.takes(first, webhook(order_id, payment_id="p-35"), second, second)
    assert await shop.status(order_id) is OrderStatus.REFUNDED
    assert set(await shop.refunds_of(shoe)) == {refund_id("product", shoe, "standard-webhooks", "p-35-two")}
    await shop.hold(shoe)


async def test_e36_the_same_event_on_two_gateways(shop: Shop) -> None:
    """At once on both, and again when its request is long purged: applied once, each time answered 2xx.

    Seen to fail (recorded ten times) when a gateway gives events ids of its own.
    """
    shoe, order_id = await shop.order()
    hook = webhook(order_id, amount=200, currency="EUR")
    answers = await asyncio.gather(*(shop.hears(hook, gateway=number % 2) for number in range(10)))
    assert {status for status, _ in answers} == {200}
    await eventually(shop.all_is_decided)
    async with shop.site.database() as database:
        await database.execute("delete from requests where resource_id = $1 and command = 'RecordPayment'", shoe)
    await shop.takes(hook)
    assert await shop.money(order_id) == [("standard-webhooks", "paid", "counted")]
    assert await shop.status(order_id) is OrderStatus.PENDING_PAYMENT


async def test_e42_parts_add_up(shop: Shop) -> None:
    """In cents of the order's currency; another currency, or nothing at all, is kept and changes nothing."""
    _, order_id = await shop.order()
    await shop.takes(
        webhook(order_id, amount=500, currency="USD"),
        webhook(order_id, amount=0, currency="EUR"),
        webhook(order_id, amount=300, currency="EUR"),
    )
    assert await shop.status(order_id) is OrderStatus.PENDING_PAYMENT
    await shop.takes(webhook(order_id, amount=300, currency="eur"))
    assert await shop.status(order_id) is OrderStatus.PAID
    assert [effect for _, _, effect in await shop.money(order_id)] == ["mismatched", "mismatched", "counted", "counted"]


async def test_an_order_past_its_deadline_is_shown_as_a_worker_will_leave_it(shop: Shop) -> None:
    """With money that counts it owes a refund, and the payments say so; before a worker came to it as after.

    Seen to fail (`cancelled`) when its payments are not asked.
    """
    _, order_id = await shop.order()
    await shop.takes(webhook(order_id, amount=200, currency="EUR"), webhook(order_id, "processing"))

    async def shown() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {ALICE_KEY}"}
        async with shop.session.get(f"{shop.urls[0]}/api/orders/{order_id}", headers=headers) as response:
            return {name: told for name, told in (await response.json()).items() if name != "updated_at"}

    async with sleeping(shop.site.processes[0]):
        async with shop.site.database() as database:
            await database.execute("update orders set payment_due_at = clock_timestamp() where order_id = $1", order_id)
        before = await shown()
        assert await shop.status(order_id) is OrderStatus.PENDING_PAYMENT
    assert (before["status"], before["ended_by"], before["counted"]) == ("refund_required", "deadline", 0)
    assert before["refund_due"] == 200
    assert sorted(it["status"] for it in before["payments"]) == ["processing", "refund_required"]
    await shop.stands(order_id, OrderStatus.REFUND_REQUIRED)
    assert await shown() == before


async def test_e45_a_bad_signature(shop: Shop) -> None:
    """401 with a problem, nothing on Kafka, neither as a command nor aside. Seen to fail without the check."""
    _, order_id = await shop.order()
    hook, event = webhook(order_id), stripe_event("payment_intent.succeeded", intent(order_id, 500))
    before = await shop.commands(), len(await shop.put_aside())
    wrong: list[tuple[Webhook, dict[str, str]]] = [
        (hook, hook.headers(b"the secret of a stranger")),
        (hook, {"webhook-id": hook.id}),
        (hook, webhook(order_id).headers()),
        (Webhook(hook.path, hook.body + b" ", hook.id), hook.headers()),
        (hook, event.headers()),
        (event, event.headers(b"the secret of a stranger")),
        (event, {"Stripe-Signature": "t=,v1="}),
        (Webhook(STRIPE_PATH, b'{"' + event.body[2:] + b"\n"), event.headers()),
        (event, {"Authorization": f"Bearer {ALICE_KEY}"}),
    ]
    for sent, headers in wrong:
        status, body, response = await provider.send(shop.session, shop.urls[0], sent, headers)
        assert status == 401, headers
        check_members(body, 401, "bad_signature")
        assert response.headers["WWW-Authenticate"]
    assert (await shop.commands(), len(await shop.put_aside())) == before


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("is_stripe", [False, True])
async def test_e48_a_captured_request(shop: Shop, sign: int, *, is_stripe: bool) -> None:
    """Sent again after five minutes, or kept for longer, it is refused; within them it is known by its id.

    Seen to fail (recorded twice) when a gateway gives events ids of its own.
    """
    _, order_id = await shop.order()
    hook = stripe_event("payment_intent.succeeded", intent(order_id, 500)) if is_stripe else webhook(order_id)
    for age_seconds, status in ((302, 401), (297, 200), (297, 200)):
        assert (await shop.hears(hook, hook.headers(age_seconds=sign * age_seconds)))[0] == status
    await eventually(shop.all_is_decided)
    assert [effect for _, _, effect in await shop.money(order_id)] == ["counted"]


async def test_e49_the_old_secret_in_the_overlap(shop: Shop) -> None:
    """Either is believed."""
    _, order_id = await shop.order()
    hook = webhook(order_id)
    assert (await shop.hears(hook, hook.headers(OLD_SECRET)))[0] == 200
    await shop.stands(order_id, OrderStatus.PAID)


async def test_e47_signed_but_of_no_use(shop: Shop) -> None:
    """2xx, and a dead letter with the very bytes, the provider and the reason; no command.

    Seen to fail when such a body is answered 422.
    """
    payment = intent("no order", 500)
    hooks = [
        webhook("no order"),
        webhook("order_slot~x~" + "a" * 32),
        Webhook(provider.STANDARD_PATH, b"\xff not JSON"),
        Webhook(provider.STANDARD_PATH, b""),
        stripe_event("payment_intent.succeeded", payment),
        stripe_event("payment_intent.succeeded", payment | {"metadata": {}}),
        stripe_event("charge.dispute.created", {}),
        Webhook(STRIPE_PATH, b"[]"),
    ]
    before, commands = len(await shop.put_aside()), await shop.commands()
    for hook in hooks:
        assert await shop.hears(hook) == (200, {"message": "ok"})
    letters = await shop.put_aside()
    assert (len(letters) - before, await shop.commands()) == (len(hooks), commands)
    by_body = {letter.value or b"": headers_of(letter) for letter in letters}
    for hook in hooks:
        headers = by_body[hook.body]
        assert headers["firmhold-dlq-reason"] == "unusable_webhook"
        assert headers["firmhold-dlq-provider"] == ("stripe" if hook.path == STRIPE_PATH else "standard-webhooks")
        assert headers["firmhold-dlq-detail"]
    async with shop.session.get(f"{shop.urls[0]}/metrics") as response:
        counted = re.findall(
            r'^firmhold_webhooks_unusable_total{provider="(.*)"} (\S+)', await response.text(), re.MULTILINE
        )
    assert {provider: float(count) for provider, count in counted} == {"standard-webhooks": 4, "stripe": 4}


async def test_r13_two_payments_of_one_order(shop: Shop) -> None:
    """By two providers at once: one is counted, the other is to be given back, whichever is first."""
    shoe, order_id = await shop.order()
    one, two = webhook(order_id), stripe_event("payment_intent.succeeded", intent(order_id, 500))
    await asyncio.gather(shop.hears(one), shop.hears(two, gateway=1))
    await eventually(shop.all_is_decided)
    assert await shop.status(order_id) is OrderStatus.PAID
    assert sorted(effect for _, _, effect in await shop.money(order_id)) == ["counted", "refund_required"]
    assert len(set(await shop.refunds_of(shoe))) == 1


async def test_providers_have_no_quota_and_need_no_key(shop: Shop) -> None:
    """Whatever Authorization they send: the second gateway lets accounts write once a minute.

    Seen to fail (429) when their paths are not left out of `quota_of`.
    """
    _, order_id = await shop.order()
    for header in (f"Bearer {ALICE_KEY}", "Basic cHNwOnBhc3N3b3Jk", ""):
        for _ in range(2):
            hook = webhook(order_id, "processing")
            assert (await shop.hears(hook, {**hook.headers(), "Authorization": header}, 1))[0] == 200


async def test_what_the_gateway_signs_is_told_as_the_providers(shop: Shop) -> None:
    """The events name the provider's event as their cause; no account can poll them or take the provider's claims."""
    shoe, order_id = await shop.order()
    hook = webhook(order_id)
    await shop.takes(hook)
    caused = [headers_of(event) for event in await shop.told() if event.key == shoe.encode()]
    assert [it["ce_type"] for it in caused if it["ce_causationid"] == hook.id] == [
        events.PAYMENT_RECORDED,
        events.ORDER_PAID,
    ]
    assert STRIPE_SECRET.decode() not in str(caused)


async def test_e46_no_answer_before_kafka_has_it(shop: Shop) -> None:
    """A broker that says nothing: 503 with Retry-After, for what is of use and what is not; then elsewhere 200.

    Seen to fail (200) when the answer does not wait for the acknowledgement.
    """
    _, order_id = await shop.order()
    hooks = [
        webhook(order_id),
        Webhook(provider.STANDARD_PATH, b"of no use"),
        stripe_event("payment_intent.succeeded", intent(order_id, 500)),
        stripe_event("charge.dispute.created", {}),
    ]
    async with silence() as silent:
        more = {"FIRMHOLD_KAFKA": silent.address, "FIRMHOLD_PUBLISH_TIMEOUT_SECONDS": "0.5"}
        mute = await shop.site.start_gateway(until="healthz", **more)
        for hook in hooks * 2:
            status, body, response = await provider.send(shop.session, mute, hook)
            assert status == 503
            check_members(body, 503, body["type"].rpartition("/")[2])
            assert body["retry"] == "same_key"
            assert int(response.headers["Retry-After"]) >= 1
    await shop.takes(*hooks)
    assert await shop.status(order_id) is OrderStatus.PAID


async def test_the_demo_provider(shop: Shop) -> None:
    """It pays an order through the real webhook, and says what that answered. It is off unless it is turned on."""
    _, order_id = await shop.order()
    url = await shop.site.start_gateway(FIRMHOLD_DEMO_PROVIDER="true", FIRMHOLD_API_KEYS="")
    async with shop.session.post(f"{url}/demo/payments", json={"order_id": order_id}) as response:
        assert (response.status, (await response.json())["webhook_answer"]) == (200, {"message": "ok"})
    await shop.stands(order_id, OrderStatus.PAID)
    async with shop.session.post(f"{url}/demo/payments", json={"order_id": 7, "status": "stolen"}) as response:
        faults = (await response.json(content_type=None))["errors"]
        assert (response.status, [it["pointer"] for it in faults]) == (422, ["/order_id", "/status"])
    async with shop.session.post(f"{shop.urls[0]}/demo/payments", json={"order_id": order_id}) as response:
        assert response.status == 404
