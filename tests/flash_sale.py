"""Who comes to a flash sale, on several gateways: a crowd that does what people do, and beside it what chance may leave out.

The crowd wants one product and comes to what it comes to. What must happen is staged, most of it on products of its own.
"""

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.installation import ADMIN_KEY, ALICE_KEY, Installation, eventually
from tests.unruly_provider import UnrulyProvider
from topics.commands import PlaceOrder, fingerprint
from topics.identifiers import order_id_of, request_id

UNITS = 50
PRICE = 500
PRODUCT = "sneaker"
POSTER, SINGLE = "poster", "single"
STAGED = 3  # of each kind of what is staged
STOCK = {PRODUCT: UNITS, POSTER: 5 * STAGED, **{f"{SINGLE}-{number}": 1 for number in range(STAGED)}}
HOLD_SECONDS = 2
STAGED_HOLD_SECONDS = 120
PAYMENT_SECONDS = 3
LATE_SECONDS = PAYMENT_SECONDS + 1.0
TRIES_MAX = 4
SEED = 20261123


@dataclass
class Sale:
    """What the buyers share."""

    session: aiohttp.ClientSession
    urls: Sequence[str]
    provider: UnrulyProvider
    orders: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    staged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    async def ask(
        self,
        choice: random.Random,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        key: str = "",
    ) -> tuple[int, Any]:
        """Send a request until it is decided, always with the same key."""
        headers = {"Idempotency-Key": key or str(uuid.UUID(int=choice.getrandbits(128))), "Prefer": "wait=5"}
        while True:
            url = f"{choice.choice(self.urls)}{path}"
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self.session.request(method, url, json=body, headers=headers) as response:
                    if response.status not in {202, 503}:
                        return response.status, await response.json(content_type=None)
            await asyncio.sleep(0.1)  # what Retry-After asks of real clients is longer

    async def buy(self, choice: random.Random) -> None:
        """Try to get something, a few times if it is sold out for now."""
        for _ in range(TRIES_MAX):
            qty = choice.choice((1, 1, 2))
            status, hold = await self.ask(choice, "POST", "/api/holds", {"product_id": PRODUCT, "qty": qty})
            if status == 201:
                await self.go_on(choice, hold["hold_id"])
                return
            assert (status, hold["type"].rpartition("/")[2]) == (409, "sold_out")
            self.done["sold out"] += 1
            await asyncio.sleep(choice.uniform(0.5, 1.5))  # for what others give back

    async def go_on(self, choice: random.Random, hold_id: str) -> None:
        """Do with a hold what people do."""
        draw = choice.random()
        if draw < 0.1:
            self.done["walked away"] += 1
            return
        status, order = await self.ask(choice, "POST", "/api/orders", {"hold_id": hold_id})
        if status != 201:
            assert (status, order["type"].rpartition("/")[2]) == (409, "hold_expired")
            self.done["too slow"] += 1
            return
        self.orders.append(order["id"])
        async with asyncio.TaskGroup() as tasks:
            if draw >= 0.2:
                tasks.create_task(self.pay(draw, order))
            if choice.random() < 0.1:
                await asyncio.sleep(choice.uniform(0, 1))
                tasks.create_task(self.call_off(choice, order["id"]))

    async def pay(self, draw: float, order: dict[str, Any]) -> None:
        """Pay, in vain, late, or in time."""
        if draw < 0.3:
            await self.fail_to_pay(order)
        elif draw < 0.45:
            await self.pay_late(order)
        else:
            await self.provider.take(order["id"], order["amount"])

    async def fail_to_pay(self, order: dict[str, Any]) -> None:
        """Pay in vain."""
        self.done["failed"] += 1
        await self.provider.fail(order["id"])

    async def pay_late(self, order: dict[str, Any]) -> None:
        """Pay behind the deadline of the order."""
        self.done["late"] += 1
        await asyncio.sleep(LATE_SECONDS)
        await self.provider.take(order["id"], order["amount"])

    async def call_off(self, choice: random.Random, order_id: str) -> None:
        """Change one's mind."""
        self.done["called off"] += 1
        status, _ = await self.ask(choice, "DELETE", f"/api/orders/{order_id}")
        assert status == 200

    async def order(self, choice: random.Random, product: str, *, is_paid_ahead: bool = False) -> dict[str, Any]:
        """Hold a unit and order it, at will with a payment that comes before the order."""
        status, hold = await self.ask(choice, "POST", "/api/holds", {"product_id": product, "qty": 1})
        assert status == 201, hold
        key = str(uuid.UUID(int=choice.getrandbits(128)))
        if is_paid_ahead:
            command = PlaceOrder(resource_id=product, hold_id=hold["hold_id"])
            asked = request_id("product", product, "gateway/alice", key, fingerprint("product", command))
            await self.provider.take_plainly(order_id_of(asked), PRICE)
        status, order = await self.ask(choice, "POST", "/api/orders", {"hold_id": hold["hold_id"]}, key)
        assert status == 201, order
        self.orders.append(order["id"])
        return dict(order)

    async def becomes(self, order: dict[str, Any], status: str) -> None:
        """Return when an order shows this status."""

        async def does() -> bool:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self.session.get(f"{self.urls[0]}/api/orders/{order['id']}") as response:
                    return response.status == 200 and (await response.json())["status"] == status
            return False

        await eventually(does, seconds=60, what=f"{order['id']} is {status}")

    async def overtake(self, choice: random.Random) -> None:
        """Pay before the order is placed."""
        order = await self.order(choice, POSTER, is_paid_ahead=True)
        await self.becomes(order, "paid")
        self.staged["overtaken"].append(order["id"])

    async def come_late(self, choice: random.Random) -> None:
        """Pay when the time is over, for units that are there."""
        order = await self.order(choice, POSTER)
        await self.becomes(order, "cancelled")
        await self.provider.take_plainly(order["id"], PRICE)
        await self.becomes(order, "paid")
        self.staged["recovered"].append(order["id"])

    async def come_too_late(self, choice: random.Random, product: str) -> None:
        """Pay when the time is over, and the only unit is somebody else's."""
        order = await self.order(choice, product)
        await self.becomes(order, "cancelled")
        other = await self.order(choice, product, is_paid_ahead=True)
        await self.becomes(other, "paid")
        await self.provider.take_plainly(order["id"], PRICE)
        await self.becomes(order, "refund_required")
        self.staged["sold out"].append(order["id"])

    async def walk_away(self, choice: random.Random) -> None:
        """Hold a unit that is in the sale and leave it alone."""
        status, hold = await self.ask(choice, "POST", "/api/holds", {"product_id": PRODUCT, "qty": 1})
        assert status == 201, hold
        self.done["walked away"] += 1
        self.staged["walked away"].append(hold["hold_id"])

    async def think_again(self, choice: random.Random) -> None:
        """Order, and call that off; order, and fail to pay; order, and pay late."""
        called_off = await self.order(choice, POSTER)
        await self.call_off(choice, called_off["id"])
        self.staged["called off"].append(called_off["id"])
        failed = await self.order(choice, POSTER)
        await self.fail_to_pay(failed)
        self.staged["failed"].append(failed["id"])
        late = await self.order(choice, POSTER)
        await self.pay_late(late)
        self.staged["late"].append(late["id"])

    async def stage_before(self) -> None:
        """Let happen what can happen for sure only while nobody else wants a unit."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(STAGED):
                tasks.create_task(self.walk_away(random.Random(f"{SEED}/before/{number}")))

    async def stage(self) -> None:
        """Let everything happen that the crowd may leave out."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(STAGED):
                choice = random.Random(f"{SEED}/{number}")
                tasks.create_task(self.overtake(choice))
                tasks.create_task(self.come_late(choice))
                tasks.create_task(self.come_too_late(choice, f"{SINGLE}-{number}"))
                tasks.create_task(self.think_again(choice))

    async def product(self, product: str = PRODUCT) -> dict[str, Any]:
        """Return a product as it stands."""
        async with self.session.get(f"{self.urls[0]}/api/products/{product}") as response:
            return dict(await response.json())


@asynccontextmanager
async def sale_of(site: Installation) -> AsyncIterator[Sale]:
    """Open a sale on two gateways."""
    urls = await asyncio.gather(site.start_gateway(), site.start_gateway())
    headers = {"Authorization": f"Bearer {ALICE_KEY}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as anonymous,
    ):
        defining = {"Authorization": f"Bearer {ADMIN_KEY}", "Prefer": "wait=30"}
        for product, stock in STOCK.items():
            body = {"stock": stock, "price": PRICE, "currency": "EUR", "payment_seconds": PAYMENT_SECONDS}
            body["hold_seconds"] = HOLD_SECONDS if product == PRODUCT else STAGED_HOLD_SECONDS
            url = f"{urls[0]}/api/products/{product}"
            async with session.put(url, json=body, headers=defining) as response:
                assert response.status == 201, await response.text()
        yield Sale(session, urls, UnrulyProvider(anonymous, urls, random.Random(SEED)))
