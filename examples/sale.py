"""A session with a sale, while `make up` runs: `. .local/stack.env && .venv/bin/python examples/sale.py`.

The payment provider is the demo of local mode: it sends a signed webhook, as a real one would.
"""

import asyncio
import json
import os
import uuid
from typing import Any

import aiohttp


async def main() -> None:
    """Put two pairs of shoes up for sale; sell one; let somebody pay twice; call an order off."""
    async with aiohttp.ClientSession(os.environ["FIRMHOLD_URL"]) as http:

        async def call(why: str, method: str, path: str, body: Any = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
            named = {"Idempotency-Key": str(uuid.uuid4()), **headers}
            async with http.request(method, path, json=body, headers=named) as response:
                answer = await response.json(content_type=None)
                print(f"\n# {why}\n{method} {path} -> {response.status}\n{json.dumps(answer, indent=2)}")
                return answer

        async def order_when(status: str, order: Any, payments: int = 1) -> Any:  # noqa: ANN401 - JSON
            for _ in range(50):
                shown = await call(f"Until it is {status}", "GET", f"/api/orders/{order['id']}")
                if shown["status"] == status and len(shown["payments"]) == payments:
                    return shown
                await asyncio.sleep(0.2)
            raise SystemExit(f"the order did not become {status}")

        shoes, admin = f"shoes-{uuid.uuid4().hex[:6]}", f"Bearer {os.environ['FIRMHOLD_ADMIN_KEY']}"
        offer = {"stock": 2, "price": 12900, "currency": "EUR", "name": "Running shoes"}
        await call("The shop puts two pairs up for sale", "PUT", f"/api/products/{shoes}", offer, Authorization=admin)

        hold = await call("Ann holds one", "POST", "/api/holds", {"product_id": shoes, "qty": 1})
        order = await call("and orders it", "POST", "/api/orders", {"hold_id": hold["hold_id"]})
        await call("She pays", "POST", "/demo/payments", {"order_id": order["id"]})
        await order_when("paid", order)

        await call("She pays again by mistake", "POST", "/demo/payments", {"order_id": order["id"]})
        twice = await order_when("paid", order, payments=2)
        assert [payment["status"] for payment in twice["payments"]] == ["paid", "refund_required"]

        hold = await call("Bob holds the other", "POST", "/api/holds", {"product_id": shoes, "qty": 1})
        order = await call("orders it", "POST", "/api/orders", {"hold_id": hold["hold_id"]})
        await call("and calls it off", "DELETE", f"/api/orders/{order['id']}")
        product = await call("One is sold, one is there", "GET", f"/api/products/{shoes}")
        assert (product["stock"], product["stock_available"], product["stock_reserved"]) == (1, 1, 0)


asyncio.run(main())
