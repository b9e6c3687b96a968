"""The sweeper with thousands of quiet slots: each is announced soon, and asked for once, however long its Expire waits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.store import Store
from tests.installation import Client, Installation, eventually, installation
from tests.integration.expectations import fresh, headers_of
from tests.servers import Urls

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOTS = 1_500
# Each slot as the one that was defined, with a hold that ends in five seconds or a little later.
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

    async def all_told() -> bool:
        records = await running.records(running.settings.catalogue().events("slot"))
        return [headers_of(record)["ce_type"] for record in records].count("hold.expired") == SLOTS

    await eventually(all_told, seconds=30, what="each end is announced once")
    assert (stored, await _expires(running)) == (SLOTS, SLOTS)


TIED = """
insert into holds (hold_id, kind, resource_id, account, status, quantity, units, granted_at, expires_at, expires_latest_at)
select 'hold_slot~' || $1 || number || '~1', 'slot', $1 || number, 'alice', 'held', 1, '{}', now(),
       now() - $2::integer * interval '1 minute', now() + interval '1 hour'
from generate_series(1, $3::bigint) as number
"""


async def test_pages_of_what_is_due(postgres_url: str) -> None:
    """All that is due is found, page by page, longest overdue first; what ends at one instant is never split, nor lost.

    Seen to fail with `fetch first $2 rows only`, and with a first page only.
    """
    async with lazy_pool(postgres_url, connections_max=1, timeouts=Timeouts(), role="tests") as pool:
        for name, minutes, holds in (("a", 3, 7), ("b", 2, 4), ("c", 1, 4), ("later", -5, 4)):
            await pool.execute(TIED, name, minutes, holds)
        pages = [[key.resource_id[0] for key in page] async for page in Store(pool).due_resources(5)]
    assert pages == [["a"] * 7, ["b"] * 4 + ["c"] * 4, []]
