"""Who buys products over HTTP, in both path styles; and what the calls must answer."""

import uuid
from typing import Any

from tests.installation import ADMIN_KEY, Client, Reply
from tests.integration.expectations import fresh

WAITING = {"Prefer": "wait=30"}


async def define_product(client: Client, product: str, stock: int = 10, price: int = 500, **settings: Any) -> Reply:  # noqa: ANN401 - JSON
    """Define a product as the admin."""
    body = {"stock": stock, "price": price, "currency": "EUR", **settings}
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", **WAITING}
    return await client.call("PUT", f"/api/products/{product}", json=body, headers=headers)


async def on_sale(client: Client, stock: int = 10, price: int = 500, **settings: Any) -> str:  # noqa: ANN401 - JSON
    """Put a product of its own up for sale; return its id."""
    product = fresh("shoe")
    assert (await define_product(client, product, stock, price, **settings)).status == 201
    return product


async def hold_units(client: Client, product: str, qty: int = 1, key: str = "", **body: Any) -> Reply:  # noqa: ANN401 - JSON
    """Hold units of a product, named in the body."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4()), **WAITING}
    return await client.call("POST", "/api/holds", json={"product_id": product, "qty": qty, **body}, headers=headers)


async def place_order(client: Client, hold_id: str, key: str = "", **body: Any) -> Reply:  # noqa: ANN401 - JSON
    """Place an order on a hold, named in the body."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4()), **WAITING}
    return await client.call("POST", "/api/orders", json={"hold_id": hold_id, **body}, headers=headers)


async def ordered(client: Client, product: str, qty: int = 1) -> dict[str, Any]:
    """Hold units and place an order on them; return the order."""
    hold = await hold_units(client, product, qty)
    assert hold.status == 201, hold.body
    order = await place_order(client, hold.body["hold_id"])
    assert order.status == 201, order.body
    return dict(order.body)


async def cancel_order(client: Client, order_id: str) -> Reply:
    """Call an order off."""
    return await client.call("DELETE", f"/api/orders/{order_id}", headers=WAITING)


async def stock_of(client: Client, product: str, **headers: str) -> tuple[int, int, int]:
    """Return how many units can be held, are not sold, are reserved."""
    body = (await client.call("GET", f"/api/products/{product}", headers=headers)).body
    return body["stock"], body["stock_available"], body["stock_reserved"]
