"""A payment provider at its worst: it duplicates, delays and reorders.

It tries again on 5xx, and on answers that it does not hear. What it took is in its own books.
"""

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.provider import STRIPE_PATH, Webhook, intent, send, stripe_event, webhook

TRY_AGAIN_SECONDS = 0.2
DELAY_SECONDS_MAX = 0.6
COPIES_MAX = 3
TRIES_MAX = 100
UNHEARD_SHARE = 0.1
Paid = tuple[str, str]


@dataclass(frozen=True)
class Charge:
    """Money that was taken from a buyer, in cents."""

    order_id: str
    amount: int


@dataclass
class UnrulyProvider:
    """Takes money for orders and tells the gateways, somehow."""

    session: aiohttp.ClientSession
    urls: Sequence[str]
    random: random.Random
    books: dict[Paid, Charge] = field(default_factory=dict)
    tries: int = 0
    unheard: int = 0

    async def take(self, order_id: str, amount: int) -> None:
        """Take the money of an order in one of the ways that buyers pay; return when all is told."""
        ways = (self._at_once, self._at_once, self._at_the_second_try, self._in_two_parts, self._twice)
        await self._tell(self.random.choice(ways)(order_id, amount))

    async def take_plainly(self, order_id: str, amount: int) -> None:
        """Take the money of an order in one payment, be it still to be placed; return when a gateway has been told."""
        (hook,) = self._part(order_id, amount)
        await self._deliver(hook)

    async def fail(self, order_id: str) -> None:
        """Tell that a payment has failed for good."""
        await self._tell([webhook(order_id, "failed")])

    async def give_back(self, provider: str, payment_id: str) -> None:
        """Give all of a payment back; what was sold goes back to the shelf, if it was."""
        charge = self.books[provider, payment_id]
        if provider == "stripe":
            charged = {"id": f"ch_{payment_id}", "payment_intent": payment_id, "currency": "eur", "refunded": True}
            metadata = {"order_id": charge.order_id, "return_units": "true"}
            refund = stripe_event("charge.refunded", charged | {"amount_refunded": charge.amount, "metadata": metadata})
        else:
            refund = webhook(charge.order_id, "refunded", payment_id, return_units=True)
        await self._tell([refund])

    def _at_once(self, order_id: str, amount: int) -> list[Webhook]:
        if self.random.random() < 0.5:
            payment = self._intent(order_id, amount)
            return [
                stripe_event("payment_intent.processing", payment),
                stripe_event("payment_intent.succeeded", payment),
            ]
        payment_id = self._payment_id(order_id, amount)
        told = {"amount": amount, "currency": "EUR"}
        return [webhook(order_id, status, payment_id, **told) for status in ("processing", "paid")]

    def _at_the_second_try(self, order_id: str, amount: int) -> list[Webhook]:
        payment = self._intent(order_id, amount)
        return [
            stripe_event("payment_intent.payment_failed", payment),
            stripe_event("payment_intent.succeeded", payment),
        ]

    def _in_two_parts(self, order_id: str, amount: int) -> list[Webhook]:
        half = amount // 2
        return [*self._part(order_id, half), *self._part(order_id, amount - half)]

    def _twice(self, order_id: str, amount: int) -> list[Webhook]:
        return [*self._part(order_id, amount), *self._part(order_id, amount)]

    def _part(self, order_id: str, amount: int) -> list[Webhook]:
        return [webhook(order_id, "paid", self._payment_id(order_id, amount), amount=amount, currency="EUR")]

    def _payment_id(self, order_id: str, amount: int) -> str:
        payment_id = uuid.uuid4().hex
        self.books["standard-webhooks", payment_id] = Charge(order_id, amount)
        return payment_id

    def _intent(self, order_id: str, amount: int) -> dict[str, object]:
        payment = intent(order_id, amount)
        self.books["stripe", str(payment["id"])] = Charge(order_id, amount)
        return payment

    async def _tell(self, hooks: Sequence[Webhook]) -> None:
        """Send each some times, all at once and each as late as it happens; so in any order."""
        copies = [hook for hook in hooks for _ in range(self.random.randint(1, COPIES_MAX))]
        async with asyncio.TaskGroup() as tasks:
            for hook in copies:
                tasks.create_task(self._deliver(hook))

    async def _deliver(self, hook: Webhook) -> None:
        """Send it until it is heard that it was taken; an answer that is not heard may have been one."""
        await asyncio.sleep(self.random.uniform(0, DELAY_SECONDS_MAX))  # providers take their time
        for _ in range(TRIES_MAX):
            if await self._is_taken(hook):
                return
            await asyncio.sleep(TRY_AGAIN_SECONDS)
        message = f"{hook.id} was not taken in {TRIES_MAX} tries"
        raise AssertionError(message)

    async def _is_taken(self, hook: Webhook) -> bool:
        self.tries += 1
        is_heard = self.random.random() >= UNHEARD_SHARE
        try:
            async with asyncio.timeout(10 if is_heard else self.random.uniform(0, 0.02)):
                status, body, _ = await send(self.session, self.random.choice(self.urls), hook)
        except (TimeoutError, aiohttp.ClientError):
            self.unheard += 1
            return False
        assert status == 200 or status >= 500, (hook.path == STRIPE_PATH, status, body)
        return status == 200 and is_heard
