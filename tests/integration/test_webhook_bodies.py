"""What is said of a webhook's body, to whom; and what becomes of money that nobody can record."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from firmhold.audit.running import Scope, audit
from tests import provider
from tests.integration.expectations import check_members, fresh, headers_of
from tests.integration.webhook_shop import Shop, open_shop
from tests.provider import STRIPE_PATH, Webhook, webhook
from tests.servers import Urls
from tests.till import SHOP
from topics.identifiers import order_id_of, request_id
from topics.orders import OrderStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Shop]:
    """Give a shop with two gateways and a worker."""
    async with open_shop(servers, module_postgres_url, logs) as one:
        yield one


async def test_e45_nothing_is_said_of_a_body_that_is_not_signed(shop: Shop) -> None:
    """Too long, packed, badly packed or broken JSON: 401 as any other. What is packed is not as it was signed, whoever did.

    Seen to fail (413, 400, 200) when the body is read as that of any call.
    """
    _, order_id = await shop.order()
    hook = webhook(order_id)
    packed = Webhook(hook.path, gzip.compress(hook.body), hook.id)
    long = Webhook(hook.path, b" " * 300_000, hook.id)
    coded = {"Content-Encoding": "gzip"}
    before = await shop.commands(), len(await shop.put_aside())
    for sent, headers in (
        (packed, packed.headers() | coded),
        (packed, hook.headers() | coded),
        (hook, hook.headers() | coded),
        (long, long.headers()),
        (long, hook.headers()),
        (Webhook(hook.path, b"{", hook.id), hook.headers()),
        (Webhook(STRIPE_PATH, packed.body), {"Stripe-Signature": "t=1,v1=00"} | coded),
    ):
        status, body, response = await provider.send(shop.session, shop.urls[0], sent, headers)
        assert status == 401
        check_members(body, 401, "bad_signature")
        assert response.headers["WWW-Authenticate"]
    assert (await shop.commands(), len(await shop.put_aside())) == before
    padded = Webhook(hook.path, hook.body + b" " * 200_000, hook.id)
    await shop.takes(padded)
    assert await shop.status(order_id) is OrderStatus.PAID


async def test_money_for_what_is_not_there_is_put_aside(shop: Shop) -> None:
    """A product that was never defined, a payment of another order: 200, a refusal, and the record in the dead letters, once.

    Seen to fail (no dead letter) when only what cannot be decided is put aside.
    """
    shoe, order_id = await shop.order()
    nowhere = order_id_of(request_id("product", fresh("gone"), SHOP, "never", bytes(32)))
    first, lost, second = webhook(order_id, payment_id="p-2"), webhook(nowhere), webhook(order_id, payment_id="p-2")
    other = Webhook(second.path, second.body.replace(order_id[-8:].encode(), b"aaaaaaaa"), second.id)
    before = len(await shop.put_aside())
    await shop.takes(first, lost, lost, other, lost)
    letters = [headers_of(letter) for letter in (await shop.put_aside())[before:]]
    reasons = {it["firmhold-dlq-detail"].partition(":")[0]: it for it in letters}
    assert len(letters) == 2
    assert reasons.keys() == {"not_found", "payment_of_another_order"}
    assert {it["firmhold-dlq-reason"] for it in letters} == {"refused_payment"}
    assert reasons["not_found"]["ce_id"] == lost.id
    assert nowhere in reasons["not_found"]["firmhold-dlq-detail"]
    checks = await audit(shop.site.settings, Scope(resource_id=shoe))
    assert [each.sentence() for check in checks for each in check.discrepancies] == []
