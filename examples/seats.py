"""A session with seats, while `make up` runs: `. .local/stack.env && .venv/bin/python examples/seats.py`."""

import asyncio
import json
import os
import uuid
from typing import Any

import aiohttp


async def main() -> None:
    """Open a small house, hold seats by name and side by side, hear which are gone, change, give one back, make firm."""
    async with aiohttp.ClientSession(os.environ["FIRMHOLD_URL"]) as http:

        async def call(why: str, method: str, path: str, body: Any = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            async with http.request(method, path, json=body, headers=named) as response:
                answer = await response.json(content_type=None)
                print(f"\n# {why}\n{method} {path} -> {response.status}\n{json.dumps(answer, indent=2)}")
                return answer

        def new_key() -> dict[str, str]:
            return {"Idempotency_Key": str(uuid.uuid4())}

        film, admin = f"/screenings/film-{uuid.uuid4().hex[:6]}", f"Bearer {os.environ['FIRMHOLD_ADMIN_KEY']}"
        plan = {"rows": [{"row": "A", "seats": 4}, {"row": "B", "seats": 5, "blocked": [5]}], "focal": "B2"}
        await call("The operator opens it", "PUT", film, plan, Authorization=admin)

        ann = await call("Ann wants these", "POST", f"{film}/holds", {"seats": ["A1", "A2"]}, **new_key())
        her = {"Hold_Token": ann["hold_token"]}
        gone = await call("So does Bob", "POST", f"{film}/holds", {"seats": ["A2", "A3"]}, **new_key())
        assert gone["in_the_way"] == ["A2"], "the refusal names the seats in the way, and A3 is still free"
        best = await call("Then any two", "POST", f"{film}/holds", {"best_available": 2}, **new_key())

        await call("Ann moves", "PATCH", f"/holds/{ann['id']}", {"seats": ["A2", "A3"]}, **her)
        await call("Bob has no token of hers", "DELETE", f"{film}/seats/A2/hold")
        await call("She gives one back", "DELETE", f"{film}/seats/A2/hold", **her)
        await call("And is sure of the other", "POST", f"/holds/{ann['id']}/confirm", **her)
        house = await call("The map", "GET", f"{film}/seats")
        status = {seat["id"]: seat["status"] for seat in house["seats"]}
        assert (status["A2"], status["A3"], status["B5"]) == ("free", "taken", "blocked")
        assert {status[seat] for seat in best["seats"]} == {"held"}


asyncio.run(main())
