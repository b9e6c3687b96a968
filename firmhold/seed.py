"""Define the demo resources, through the gateway like everybody."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from firmhold.define import PATH_OF_KIND
from firmhold.settings import Settings

DEMO: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("slot", "demo"): {"capacity": 100_000, "title": "A slot to try things on"},
    ("slot", "demo-small"): {"capacity": 3, "title": "Soon sold out"},
    ("screening", "demo"): {
        "rows": [
            *({"row": row, "seats": 12} for row in "ABCDE"),
            {"row": "F", "seats": 10, "kind": "sofa", "blocked": [1, 10]},
        ],
        "areas": [{"id": "floor", "capacity": 40}],
        "focal": "D6",
        "title": "A film to try seats on",
    },
}


class SeedError(Exception):
    """The gateway refused; the message says what, and what to set."""


async def seed(settings: Settings) -> list[str]:
    """Define each demo resource that does not exist; return a line for each.

    Raises:
        SeedError: the gateway refuses.

    """
    headers = {"Authorization": f"Bearer {settings.admin_key.get_secret_value()}", "Prefer": "wait=30"}
    lines = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for (kind, resource_id), body in DEMO.items():
            url = f"{settings.url.rstrip('/')}{PATH_OF_KIND[kind].format(resource_id)}"
            if await _exists(session, url):
                lines.append(f"{kind} {resource_id}: exists, left as it is")
            else:
                defined = await _define(session, url, body)
                lines.append(f"{kind} {resource_id}: capacity {defined['capacity']}")
    return lines


async def _exists(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(url) as response:
        if response.status == HTTPStatus.NOT_FOUND:
            return False
        await _refuse_failure(response)
        return True


async def _define(session: aiohttp.ClientSession, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    async with session.put(url, json=body) as response:
        await _refuse_failure(response)
        return dict(await response.json())


async def _refuse_failure(response: aiohttp.ClientResponse) -> None:
    if not response.ok:
        raise SeedError(
            f"{response.method} {response.url} was answered {response.status} {await response.text()}; "
            "FIRMHOLD_ADMIN_KEY must be the gateway's, and FIRMHOLD_URL name it"
        )
