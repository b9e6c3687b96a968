"""What runs again and again looks at what is due, and at nothing else, however much there is beside it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from schema import queries
from schema.connections import LOOK_UPS

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = ("expires_at", "payment_due_at", "decided_at")


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's nodes."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes_of(part)


@pytest.mark.parametrize(
    ("query", "arguments"),
    [(queries.FIND_DUE_RESOURCES, (BEGINNING, 100)), (queries.PURGE_REQUESTS, (timedelta(days=14), 100))],
)
async def test_only_what_is_due_is_looked_at(postgres_url: str, query: str, arguments: tuple[object, ...]) -> None:
    """The scans of the indexes end at the present.

    Seen to fail with clock_timestamp(): each look of the sweeper, every second, read all live holds (0.2 s for 680,000).
    """
    connection = await asyncpg.connect(postgres_url, server_settings=LOOK_UPS)
    try:
        (plan,) = json.loads(await connection.fetchval(f"explain (format json) {query}", *arguments))
    finally:
        await connection.close()
    nodes = list(nodes_of(plan["Plan"]))
    bounds = " ".join(str(node.get("Index Cond")) for node in nodes)
    filters = " ".join(str(node.get("Filter")) for node in nodes)
    assert "statement_timestamp()" in bounds
    assert not [time for time in TIMES if time in filters]
