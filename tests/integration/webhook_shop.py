"""A shop whose payments come in by webhooks: two gateways, one worker."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import ConsumerRecord

from tests import provider
from tests.installation import eventually, installation
from tests.integration.expectations import fresh
from tests.provider import Webhook
from tests.servers import Urls
from tests.till import SHOP, Till
from topics.commands import Command, DefineResource, Hold, PlaceOrder, fingerprint
from topics.identifiers import hold_id_of, order_id_of, request_id
from topics.producer import ResilientProducer


@dataclass
class Shop(Till):
    """A till whose payments come in by webhooks."""

    session: aiohttp.ClientSession
    urls: Sequence[str]

    async def hears(
        self, hook: Webhook, headers: dict[str, str] | None = None, gateway: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """Send a webhook to one of the gateways; return status and body of the answer."""
        status, body, _ = await provider.send(self.session, self.urls[gateway], hook, headers)
        return status, body

    async def order(self, *, stock: int = 1, payment_seconds: int = 900, price: int = 500) -> tuple[str, str]:
        """Define a product, hold one of it and place an order, all at once; return the ids of product and order."""
        shoe, ids = fresh("shoe"), [uuid.uuid4().hex for _ in range(3)]
        hold = Hold(resource_id=shoe)
        hold_id = hold_id_of(request_id("product", shoe, SHOP, ids[1], fingerprint("product", hold)))
        place = PlaceOrder(resource_id=shoe, hold_id=hold_id)
        sale = DefineResource(
            resource_id=shoe, capacity=stock, price=price, currency="EUR", payment_seconds=payment_seconds
        )
        given: list[Command] = [sale, hold, place]
        for command, command_id in zip(given, ids, strict=True):
            await self.send(command, command_id)
        await eventually(self.all_is_decided)
        return shoe, order_id_of(request_id("product", shoe, SHOP, ids[2], fingerprint("product", place)))

    async def takes(self, *hooks: Webhook) -> None:
        """Send webhooks one behind the other; each is taken. Return when all is decided."""
        for hook in hooks:
            assert await self.hears(hook) == (200, {"message": "ok"})
        await eventually(self.all_is_decided, what="the webhooks are decided")

    async def commands(self) -> int:
        """Count what lies on the command topic."""
        return sum(await self.site.end_offsets(self.site.settings.catalogue().commands("product")))

    async def put_aside(self) -> list[ConsumerRecord]:
        """Return the dead letters."""
        return await self.site.records(self.site.settings.catalogue().dead_letters("product"))

    async def money(self, order_id: str) -> list[tuple[str, str, str]]:
        """Return what is recorded of an order, in its order: provider, what was said, and what it came to."""
        async with self.site.database() as database:
            rows = await database.fetch(
                """
                select e.provider, e.report, e.effect from payment_events e left join requests r using (request_id)
                where e.order_id = $1 order by r.record_offset
                """,
                order_id,
            )
        return [(row["provider"], row["report"], row["effect"]) for row in rows]


@asynccontextmanager
async def open_shop(servers: Urls, postgres_url: str, logs: Path) -> AsyncIterator[Shop]:
    """Give a shop; its second gateway lets accounts write once a minute."""
    async with installation(servers, postgres_url, logs, **provider.ENVIRONMENT) as site:
        await site.start_worker()
        urls = [await site.start_gateway(), await site.start_gateway(FIRMHOLD_RATE_LIMITS='"burst";q=1;w=60')]
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        async with aiohttp.ClientSession() as session:
            yield Shop(site, producer, session, urls)
        await producer.stop()
