"""Who goes to screenings, over HTTP: defines houses, looks at their maps, holds seats and shows the token."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.installation import ADMIN_KEY, ALICE_KEY, Client, Installation, Reply
from tests.integration.expectations import fresh

WAITING = {"Prefer": "wait=30"}


def row(name: str, seats: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a row of a plan."""
    return {"row": name, "seats": seats, **more}


def token(hold: Reply) -> dict[str, str]:
    """Return the header that shows a hold's token."""
    return {"Hold-Token": hold.body["hold_token"]}


class Visitor(Client):
    """Somebody with an API key, who waits for the answers to what he asks."""

    async def puts(self, screening: str, *rows: Any, headers: Mapping[str, str] = {}, **more: Any) -> Reply:  # noqa: ANN401
        """Define a screening, as the admin; `more` are areas, focal and settings."""
        as_admin = {"Authorization": f"Bearer {ADMIN_KEY}", **WAITING, **headers}
        return await self.call(
            "PUT", f"/screenings/{screening}", json={**({"rows": rows} if rows else {}), **more}, headers=as_admin
        )

    async def opens(self, *rows: Any, **more: Any) -> str:  # noqa: ANN401
        """Define a screening of its own; return its id."""
        screening = fresh("screening")
        assert (await self.puts(screening, *rows, **more)).status == 201
        return screening

    async def holds(self, screening: str, *seats: str, key: str = "", **more: Any) -> Reply:  # noqa: ANN401
        """Hold seats by name, or what `more` says."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), **WAITING}
        body = {"seats": seats, **more} if seats else more
        return await self.call("POST", f"/screenings/{screening}/holds", json=body, headers=headers)

    async def of_seat(self, method: str, screening: str, seat: str, **headers: str) -> Reply:
        """Ask for, take, or give back the hold of one seat."""
        shown = {**WAITING, **{name.replace("_", "-"): text for name, text in headers.items()}}
        return await self.call(method, f"/screenings/{screening}/seats/{seat}/hold", headers=shown)

    async def of_hold(self, method: str, hold: Reply, way: str = "", json: Any = None, **headers: str) -> Reply:  # noqa: ANN401
        """Do something with a hold, showing its token."""
        path = f"/holds/{hold.body['id']}{way}"
        return await self.call(method, path, json=json, headers={**WAITING, **token(hold), **headers})

    async def sees(self, screening: str, **headers: str) -> dict[str, str]:
        """Return the status of each seat."""
        reply = await self.call("GET", f"/screenings/{screening}/seats", headers=headers)
        assert reply.status == 200, reply.body
        return {seat["id"]: seat["status"] for seat in reply.body["seats"]}


@asynccontextmanager
async def visitor(running: Installation, key: str = ALICE_KEY, url: str = "") -> AsyncIterator[Visitor]:
    """Give a visitor with this key, at the gateway of this URL."""
    async with running.client(key, url) as client:
        yield Visitor(client.session)
