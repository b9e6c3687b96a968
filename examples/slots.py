"""A session with slots, while `make up` runs: `. .local/stack.env && .venv/bin/python examples/slots.py`."""

import asyncio
import json
import os
import uuid
from typing import Any

import aiohttp


async def main() -> None:
    """Open a table for three, hold places, hear that it is full, make one hold firm and give another back."""
    async with aiohttp.ClientSession(os.environ["FIRMHOLD_URL"]) as http:

        async def call(why: str, method: str, path: str, body: Any = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            async with http.request(method, path, json=body, headers=named) as response:
                answer = await response.json(content_type=None)
                print(f"\n# {why}\n{method} {path} -> {response.status}\n{json.dumps(answer, indent=2)}")
                return answer

        table, admin = f"table-{uuid.uuid4().hex[:6]}", f"Bearer {os.environ['FIRMHOLD_ADMIN_KEY']}"
        await call("The operator opens it", "PUT", f"/slots/{table}", {"capacity": 3}, Authorization=admin)

        key = str(uuid.uuid4())
        hold = await call("Ann holds two", "POST", f"/slots/{table}/hold", {"quantity": 2}, Idempotency_Key=key)
        again = await call(
            "She heard nothing: the same again", "POST", f"/slots/{table}/hold", {"quantity": 2}, Idempotency_Key=key
        )
        assert again == hold, "one key, one hold"

        full = await call(
            "Bob wants two", "POST", f"/slots/{table}/hold", {"quantity": 2}, Idempotency_Key=str(uuid.uuid4())
        )
        assert full["title"] == "Not enough units are free"
        one = await call(
            "One is left", "POST", f"/slots/{table}/hold", {"quantity": 1}, Idempotency_Key=str(uuid.uuid4())
        )

        await call("Ann's is firm", "POST", f"/holds/{hold['id']}/confirm")
        await call("Bob gives his back", "DELETE", f"/holds/{one['id']}")
        (free,) = await call("So one is free again", "GET", f"/slots/availability?ids={table}")
        assert free["remaining"] == 1


asyncio.run(main())
