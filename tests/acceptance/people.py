"""The people of the stories: what they can do, in their words."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.installation import ALICE_KEY, Client, Installation, Reply, eventually


class Person(Client):
    """Somebody with an API key, who waits for the answers to what he asks."""

    async def confirms(self, hold: Reply, **shown: str) -> Reply:
        """Make a hold firm; `shown` are headers, such as Hold_Token."""
        return await self._act("POST", hold, "/confirm", None, shown)

    async def cancels(self, hold: Reply, **shown: str) -> Reply:
        """Give a hold back."""
        return await self._act("DELETE", hold, "", None, shown)

    async def extends(self, hold: Reply, seconds: int) -> Reply:
        """Ask for more time."""
        return await self._act("POST", hold, "/extend", {"seconds": seconds}, {})

    async def changes(self, hold: Reply, quantity: int) -> Reply:
        """Ask for another quantity."""
        return await self._act("PATCH", hold, "", {"quantity": quantity}, {})

    async def looks_at(self, hold: Reply) -> dict[str, Any]:
        """Return the hold as it stands."""
        return dict((await self.call("GET", f"/holds/{hold.body['id']}")).body)

    async def sees(self, slot: str, *names: str) -> list[int]:
        """Return counters of a slot as it stands: by default what is held, taken and remaining."""
        body = (await self.call("GET", f"/slots/{slot}")).body
        return [body[name] for name in names or ("held", "taken", "remaining")]

    async def waits_for_the_end_of(self, hold: Reply) -> None:
        """Look at a hold until its time is over."""

        async def is_over() -> bool:
            return bool((await self.looks_at(hold))["status"] == "expired")

        await eventually(is_over, what="the hold's time is over")

    async def _act(self, method: str, hold: Reply, way: str, body: Any, shown: dict[str, str]) -> Reply:  # noqa: ANN401 - JSON
        headers = {"Prefer": "wait=30", **{name.replace("_", "-"): text for name, text in shown.items()}}
        return await self.call(method, f"/holds/{hold.body['id']}{way}", json=body, headers=headers)


@asynccontextmanager
async def person(running: Installation, key: str = ALICE_KEY, url: str = "") -> AsyncIterator[Person]:
    """Give a person with this key, at the gateway of this URL."""
    async with running.client(key, url) as client:
        yield Person(client.session)


async def open_slot(client: Client, capacity: int, **settings: Any) -> str:  # noqa: ANN401 - JSON
    """Let the operator open a slot; return its id."""
    slot = f"slot-{uuid.uuid4().hex[:8]}"
    assert (await client.define(slot, capacity, **settings)).status == 201
    return slot


def outcome(reply: Reply) -> tuple[int, str]:
    """Return the status of an answer, and what became of the hold, or why not."""
    return reply.status, reply.body["status"] if reply.status < 300 else reply.reason
