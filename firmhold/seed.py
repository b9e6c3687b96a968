"""Define the demo slots, through the gateway like everybody."""

from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from firmhold.settings import Settings

DEMO_SLOTS = {
    "demo": {"capacity": 100_000, "title": "A slot to try things on"},
    "demo-small": {"capacity": 3, "title": "Soon sold out"},
}


class SeedError(Exception):
    """The gateway refused; the message says what, and what to set."""


async def seed(settings: Settings) -> list[str]:
    """Define each demo slot that does not exist; return a line for each.

    Raises:
        SeedError: the gateway refuses.

    """
    headers = {"Authorization": f"Bearer {settings.admin_key.get_secret_value()}", "Prefer": "wait=30"}
    lines = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for slot_id, body in DEMO_SLOTS.items():
            url = f"{settings.url.rstrip('/')}/slots/{slot_id}"
            if await _exists(session, url):
                lines.append(f"slot {slot_id}: exists, left as it is")
            else:
                await _define(session, url, body)
                lines.append(f"slot {slot_id}: capacity {body['capacity']}")
    return lines


async def _exists(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(url) as response:
        if response.status == HTTPStatus.NOT_FOUND:
            return False
        await _refuse_failure(response)
        return True


async def _define(session: aiohttp.ClientSession, url: str, body: Mapping[str, object]) -> None:
    async with session.put(url, json=body) as response:
        await _refuse_failure(response)


async def _refuse_failure(response: aiohttp.ClientResponse) -> None:
    if not response.ok:
        raise SeedError(
            f"{response.method} {response.url} was answered {response.status} {await response.text()}; "
            "FIRMHOLD_ADMIN_KEY must be the gateway's, and FIRMHOLD_URL name it"
        )
