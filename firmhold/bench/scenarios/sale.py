"""A flash sale end to end: each buyer holds, orders and pays, and is done when he sees that the order is paid.

The bench is the payment provider too: it signs its webhooks with the first secret of FIRMHOLD_WEBHOOK_SECRET.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

import msgspec

from firmhold.bench.cases import Bench, Case, Group
from firmhold.bench.holds import CAPACITY, JSON, define
from firmhold.bench.http_client import Connection, close_all, connect, requests_of
from firmhold.bench.loads import DRAIN_SECONDS_MAX, expect
from firmhold.bench.samples import Figures, Samples, figures_of
from gateway import standard_webhooks
from gateway.webhooks import STANDARD_PATH

_LOOK_AGAIN_SECONDS = 0.002


class _Hold(msgspec.Struct):
    hold_id: str


class Order(msgspec.Struct):
    """What is read of an order."""

    id: str
    status: str


class UnpaidError(Exception):
    """Orders were shown as paid that Postgres does not have so: the figures would be worth nothing."""


async def end_to_end(bench: Bench) -> AsyncIterator[Group]:
    """Let buyers go the whole way, again and again; a sale that is counted was found paid in Postgres."""
    product = f"bench-{uuid.uuid4().hex[:8]}"
    await define(bench.firmhold, [f"/api/products/{product}"], {"stock": CAPACITY, "price": 1000, "currency": "EUR"})
    for clients in bench.clients:
        yield Group("flash sale: hold, order, paid", clients, [_sales(bench, product, clients)])


def _sales(bench: Bench, product: str, clients: int) -> Case:
    buyer = _Buyer(bench, product)

    async def measure(seconds: float) -> Figures:
        connections = await connect(bench.firmhold.url, clients)
        samples = Samples(seconds=seconds)
        end = time.perf_counter() + seconds

        async def buy_again_and_again(connection: Connection) -> None:
            while (began := time.perf_counter()) < end:
                paid = await buyer.buy(connection)
                ended = time.perf_counter()
                if ended <= end:
                    samples.add(ended - began, paid)

        try:
            async with asyncio.timeout(seconds + DRAIN_SECONDS_MAX), asyncio.TaskGroup() as buyers:
                for connection in connections:
                    buyers.create_task(buy_again_and_again(connection))
        finally:
            close_all(connections)
        await _verify(bench, samples)
        return figures_of(samples.latencies, samples.seconds)

    return Case(bench.firmhold.name, measure)


class _Buyer:
    """Asks what a buyer asks, and what his bank does."""

    def __init__(self, bench: Bench, product: str) -> None:
        self._secret = bench.webhook_secret
        self._post = requests_of(bench.firmhold.url, "POST", JSON)
        self._get = requests_of(bench.firmhold.url, "GET", {})
        self._product = product

    async def buy(self, connection: Connection) -> bytes:
        """Return the order as it is shown when it is paid; raises if anything else is answered."""
        wanted = {"product_id": self._product, "qty": 1}
        hold = msgspec.json.decode(await self._ask(connection, "/api/holds", wanted), type=_Hold)
        order = msgspec.json.decode(await self._ask(connection, "/api/orders", {"hold_id": hold.hold_id}), type=Order)
        await self._pay(connection, order.id)
        while True:
            answer = await connection.ask(self._get(f"/api/orders/{order.id}", "", b""))
            expect(answer, HTTPStatus.OK)
            if msgspec.json.decode(answer.body, type=Order).status == "paid":
                return answer.body
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _ask(self, connection: Connection, path: str, body: Mapping[str, object]) -> bytes:
        lines = f'Idempotency-Key: "{uuid.uuid4()}"\r\n'
        answer = await connection.ask(self._post(path, lines, msgspec.json.encode(body)))
        expect(answer, HTTPStatus.CREATED)
        return answer.body

    async def _pay(self, connection: Connection, order_id: str) -> None:
        body = msgspec.json.encode(
            {"payment_idempotency_key": f"pay-{order_id}", "order_id": order_id, "status": "paid"}
        )
        webhook_id, timestamp = f"evt-{uuid.uuid4().hex}", str(int(time.time()))
        signature = standard_webhooks.sign(self._secret, webhook_id, timestamp, body)
        lines = (
            f"{standard_webhooks.ID}: {webhook_id}\r\n{standard_webhooks.TIMESTAMP}: {timestamp}\r\n"
            f"{standard_webhooks.SIGNATURE}: {signature}\r\n"
        )
        expect(await connection.ask(self._post(STANDARD_PATH, lines, body)), HTTPStatus.OK)


async def _verify(bench: Bench, samples: Samples) -> None:
    ids = [msgspec.json.decode(body, type=Order).id for body in samples.bodies]
    paid = await bench.paid_orders(ids)
    if not len(ids) == len(set(ids)) == paid:
        raise UnpaidError(f"{len(ids)} sales, {len(set(ids))} different orders, {paid} of them paid in Postgres")
