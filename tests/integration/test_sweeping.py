"""The sweeper with thousands of quiet slots: each is announced soon, and asked for once, however long its Expire waits."""

import json
import statistics
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.installation import Client, Installation, eventually, installation
from tests.integration.expectations import fresh, headers_of
from tests.servers import Urls

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOTS = 3_000
# Each slot as the one that was defined, with a hold that ends in five seconds or up to three seconds later.
PLACE = """
with slots as (
    select $1 || '-' || number as id, clock_timestamp() as now, number * interval '1 millisecond' as later
    from generate_series(1, $2::bigint) as number
), resource as (
    insert into resources
    select kind, id, 2, settings, capacity, 1, 0, capacity - 1, 0, now from resources, slots where resource_id = $1
), pool as (
    insert into pools select kind, id, pool, capacity, 1, 0, ceiling from pools, slots where resource_id = $1
)
insert into holds (hold_id, kind, resource_id, account, status, quantity, units, granted_at, expires_at, expires_latest_at)
select 'hold_slot~' || id || '~1', 'slot', id, 'alice', 'held', 1, '{"units": 1}', now,
       now + interval '5 seconds' + later, now + interval '1 hour'
from slots
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation of this module's own: what is due here would keep others waiting."""
    async with installation(servers, module_postgres_url, logs) as one:
        await one.start_gateway()
        await one.start_worker()
        yield one


async def _expires(running: Installation) -> int:
    """Return how many Expires lie in the log."""
    records = await running.records(running.settings.catalogue().commands("slot"))
    return sum(headers_of(record)["ce_type"] == "Expire" for record in records)


async def test_r9_many_quiet_slots(alice: Client, running: Installation) -> None:
    """Thousands of slots with a hold each that ends: every end is announced, and no slot was asked for twice.

    Seen to fail (several Expires a slot, the later ones far behind) on an Expire that is published again after a second
    though the first one still waits, and on a look that forgets what it asked for.
    """
    slot = fresh()
    assert (await alice.define(slot, 5)).status == 201
    async with running.database() as database:
        await database.execute(PLACE, slot, SLOTS)

        async def all_ended() -> bool:
            return not await database.fetchval("select count(*) from holds where status = 'held'")

        await eventually(all_ended, seconds=60, what="all holds are expired")
        stored = await database.fetchval("select count(*) from requests where command = 'Expire'")
    late_seconds = [
        (datetime.fromisoformat(told["decided_at"]) - datetime.fromisoformat(told["hold"]["expires_at"])).total_seconds()
        for record in await running.records(running.settings.catalogue().events("slot"))
        if headers_of(record)["ce_type"] == "hold.expired"
        for told in [json.loads(record.value or b"{}")]
    ]
    print(f"late: median {statistics.median(late_seconds):.2f} s, at most {max(late_seconds):.2f} s")
    assert (len(late_seconds), stored, await _expires(running)) == (SLOTS, SLOTS, SLOTS)
