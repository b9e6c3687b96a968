"""What is free of a resource is found by its key, however its session planned that and whatever else there is."""

import json

import pytest
from pydantic import SecretStr

from firmhold.settings import Settings
from gateway.main import pool_of
from schema import queries
from tests.contract.test_bounded_scans import nodes_of

STRANGERS = 20_000
ROWS_MAX = 10
# Statistics of few resources: whatever is held is held of this one, so holds seem to be found quickest by when they end.
_FEW = """
insert into resources select 'slot', 'slot-0', 1, '{}', 100000, 0, 0, 100000, 0, now();
insert into holds (hold_id, kind, resource_id, account, status, quantity, units, granted_at, expires_at, expires_latest_at)
select 'few-' || n, 'slot', 'slot-0', 'a', 'held', 1, '{"units": 1}', now(), now() + ends, now() + ends
from generate_series(1, 50) as n, cast(interval '1 minute' as interval) as ends;
vacuum analyze;
"""
# What strangers have ends before what is held of the slot that is asked for: who goes by time passes all of it.
_THERE = """
insert into resources
select 'slot', 'slot-' || n, 1, '{}', 100000, 0, 0, 100000, 0, now() from generate_series(1, 500) as n;
insert into holds (hold_id, kind, resource_id, account, status, quantity, units, granted_at, expires_at, expires_latest_at)
select 'hold-' || n, 'slot', 'slot-' || 1 + n / STRANGERS, 'a', 'held', 1, '{"units": 1}', now(), now() + ends, now() + ends
from generate_series(1, STRANGERS) as n, cast(interval '1 minute' * (1 + n / STRANGERS) as interval) as ends;
insert into orders
    (order_id, kind, resource_id, hold_id, account, status, quantity, units, units_are, unit_price, amount, currency,
     payment_due_at, placed_at, updated_at)
select 'order-' || n, kind, resource_id, hold_id, 'a', 'pending_payment', 1, '{"units": 1}', 'held', 1, 1, 'EUR',
       expires_at, now(), now()
from holds, cast(substr(hold_id, 6) as integer) as n
where hold_id like 'hold-%';
"""


@pytest.mark.parametrize("analyzed", ["never", "before", "after"])
async def test_what_is_free_is_found_by_its_key(postgres_url: str, analyzed: str) -> None:
    """One slot among 500 is read without passing 20,000 holds and orders of others, also if it was planned before they came.

    Seen to fail without `looks_up` in the gateway (it reads all 20,000 orders), and on the statement that joined resources and
    named the columns one by one (all resources, or all 20,000 by when they end).
    """
    async with pool_of(Settings(postgres=SecretStr(postgres_url))) as pool, pool.acquire() as connection:
        if analyzed == "before":
            for statement in _FEW.strip().split(";\n"):
                await connection.execute(statement)
        await connection.execute(f"prepare look (text, text[]) as {queries.READ_RESOURCES}")
        for _ in range(10):
            await connection.execute("execute look ('slot', '{slot-2}')")
        await connection.execute(_THERE.replace("STRANGERS", str(STRANGERS)))
        if analyzed == "after":
            await connection.execute("analyze")
        explained = await connection.fetchval("explain (analyze, format json) execute look ('slot', '{slot-2}')")
    for node in nodes_of(json.loads(explained)[0]["Plan"]):
        passed = node.get("Rows Removed by Filter", 0) + node["Actual Rows"]
        assert passed * node["Actual Loops"] <= ROWS_MAX, node
