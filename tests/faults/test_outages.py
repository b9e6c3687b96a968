"""Servers go away for a while: commands wait in order, none is skipped or dead-lettered, and all goes on by itself."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from firmhold.local.servers import Servers
from schema.migrate import migrate
from tests import provider
from tests.auditing import Claim, audit
from tests.installation import Client, Installation, Upstream, eventually, installation
from tests.servers import Urls
from tests.till import Till
from topics.commands import DefineResource, Hold
from topics.orders import OrderStatus

pytestmark = pytest.mark.chaos

HOLDS = 50
OUTAGE_SECONDS = 6.0


@pytest_asyncio.fixture
async def alone(own_servers: Servers, tmp_path: Path) -> AsyncIterator[Installation]:
    """Give an installation on servers that nobody else uses, with a gateway and a worker running."""
    await asyncio.to_thread(own_servers.start)
    urls = Urls(**own_servers.urls)
    await asyncio.to_thread(migrate, urls.postgres)
    async with installation(urls, urls.postgres, tmp_path) as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


async def send_holds(upstream: Upstream, slot: str, first: int) -> list[Claim]:
    """Put holds on the topic; return their claims."""
    ids = [f"hold-{first + number}" for number in range(HOLDS)]
    await upstream.send(*(upstream.record(Hold(resource_id=slot), command_id=command_id) for command_id in ids))
    return [("upstream/tests", command_id) for command_id in ids]


async def define(upstream: Upstream, slot: str) -> Claim:
    """Put the definition of a slot on the topic; return its claim."""
    command = DefineResource(resource_id=slot, capacity=10 * HOLDS)
    record = upstream.record(command, source="gateway/admin", command_id=slot, signing_key=upstream.gateway_key)
    await upstream.send(record)
    return "gateway/admin", slot


async def decided(site: Installation) -> int:
    """Count the requests that have their outcome."""
    async with site.database() as database:
        return int(await database.fetchval("select count(*) from requests"))


async def assert_no_dead_letters(site: Installation) -> None:
    """Assert that nothing was put aside."""
    assert await site.records(site.settings.catalogue().dead_letters("slot")) == []


async def test_e67_r2_postgres_is_killed(alone: Installation, own_servers: Servers) -> None:
    """Commands wait for Postgres in order; lifetimes granted after it are full, counted from their decision.

    Seen to fail with `expires_at = arrived_at + ttl` in the core, and with a batch that is dropped when it failed.
    """
    assert own_servers.postgres is not None
    slot = f"slot-{uuid.uuid4().hex[:6]}"
    async with alone.producer() as upstream:
        claims = [await define(upstream, slot), *await send_holds(upstream, slot, 0)]
        await asyncio.to_thread(own_servers.postgres.kill)
        claims += await send_holds(upstream, slot, HOLDS)
        await asyncio.sleep(OUTAGE_SECONDS)  # the length of the outage is what is tested
        await asyncio.to_thread(own_servers.postgres.start)
        await eventually(lambda: _is(decided(alone), len(claims)), seconds=30, what="all are decided")
    await audit(alone, claims)
    await assert_no_dead_letters(alone)
    async with alone.database() as database:
        rows = await database.fetch("select granted_at, expires_at from holds")
        waited = await database.fetchval("select max(decided_at - arrived_at) from requests")
        order = await database.fetch(
            "select record_offset from requests where topic_partition = $1 order by decided_at, record_offset",
            upstream.home(slot),
        )
    assert {row["expires_at"] - row["granted_at"] for row in rows} == {timedelta(minutes=5)}
    assert waited >= timedelta(seconds=OUTAGE_SECONDS - 1)
    assert [row["record_offset"] for row in order] == sorted(row["record_offset"] for row in order)


async def test_kafka_is_stopped_in_order(alone: Installation, own_servers: Servers) -> None:
    """After a planned stop of the broker, HTTP and the workers go on by themselves; nobody waits for ever.

    While it is away a hold is answered 503 with the key to retry with; the retry then finds one effect.
    """
    assert own_servers.kafka is not None
    slot = f"slot-{uuid.uuid4().hex[:6]}"
    async with alone.producer() as upstream, alone.client() as client:
        claims = [await define(upstream, slot), *await send_holds(upstream, slot, 0)]
        await eventually(lambda: _is(decided(alone), len(claims)), what="all are decided")
        await asyncio.to_thread(own_servers.kafka.stop)
        during = await client.hold(slot, key="during")
        assert (during.status, during.reason, during.body["retry"]) == (503, "outcome_unknown", "same_key")
        assert during.response.headers["Retry-After"]
        await eventually(lambda: _says_ready(client, 503), what="the gateway says that it is not ready")
        await asyncio.to_thread(own_servers.kafka.start)
        after = await eventually(lambda: _retried(client, slot), seconds=60, what="a retry succeeds")
        await eventually(lambda: _says_ready(client, 200), what="the gateway is ready again")
        polled = await client.call("GET", f"/requests/{during.body['request_id']}")
        claims += [("gateway/alice", "during"), *await send_holds(upstream, slot, HOLDS)]
        await eventually(lambda: _is(decided(alone), len(claims)), seconds=60, what="all are decided")
    assert polled.body["result"]["id"] == after["id"]
    await audit(alone, claims)
    await assert_no_dead_letters(alone)


async def test_kafka_is_killed(alone: Installation, own_servers: Servers) -> None:
    """A broker that dies and comes back loses nothing that was acknowledged, and its batch is told in the end."""
    assert own_servers.kafka is not None
    slot = f"slot-{uuid.uuid4().hex[:6]}"
    async with alone.producer() as upstream:
        claims = [await define(upstream, slot), *await send_holds(upstream, slot, 0)]
        await asyncio.to_thread(own_servers.kafka.kill)
        await asyncio.sleep(OUTAGE_SECONDS)  # the length of the outage is what is tested
        await asyncio.to_thread(own_servers.kafka.start)
        claims += await send_holds(upstream, slot, HOLDS)
        await eventually(lambda: _is(decided(alone), len(claims)), seconds=60, what="all are decided")
    await eventually(lambda: _passes(alone, claims), seconds=60, what="all are told")
    await assert_no_dead_letters(alone)


async def test_e46_a_payment_while_kafka_is_away(alone: Installation, own_servers: Servers) -> None:
    """A webhook is answered 503 until the broker is back; the provider's next try is taken, and the order is paid once."""
    assert own_servers.kafka is not None
    url = await alone.start_gateway(**provider.ENVIRONMENT)
    async with alone.producer() as upstream, aiohttp.ClientSession() as session:
        till = Till(alone, upstream.producer)
        shoe, order_id = await till.order()
        hook = provider.webhook(order_id)
        await asyncio.to_thread(own_servers.kafka.kill)
        status, body, response = await provider.send(session, url, hook)
        assert (status, body["retry"]) == (503, "same_key")
        assert response.headers["Retry-After"]
        await asyncio.to_thread(own_servers.kafka.start)

        async def is_taken() -> bool:
            return (await provider.send(session, url, hook))[0] == 200

        await eventually(is_taken, seconds=60, what="the provider's next try is taken")

        async def is_paid() -> bool:
            return await till.status(order_id) is OrderStatus.PAID

        await eventually(is_paid, seconds=60, what="the order is paid")
        assert await till.refunds_of(shoe) == []


async def test_redis_is_away(alone: Installation, own_servers: Servers) -> None:
    """Redis never holds up a command: with it gone, holds are decided as before, and their events are read at once.

    Seen to fail with a listener that does not tell that it hears nothing.
    """
    assert own_servers.redis is not None
    slot = f"slot-{uuid.uuid4().hex[:6]}"
    async with alone.client() as client:
        assert (await client.define(slot, 11)).status == 201

        async def leaves_events() -> bool:
            # If an event had to answer before, as everything was slow, Redis is in doubt until it tells somebody again.
            return (await client.hold(slot, key="again")).status == 201 and await _leaves_events(client, 1)

        await eventually(leaves_events, what="events are left unread")
        await asyncio.to_thread(own_servers.redis.kill)
        await eventually(lambda: _leaves_events(client, 0), seconds=1.5, what="events are read again")
        replies = [await client.hold(slot) for _ in range(3)]
        assert [reply.status for reply in replies] == [201, 201, 201]
        assert (await client.call("GET", f"/slots/{slot}")).body["remaining"] == 7


async def _is(counting: Awaitable[int], wanted: int) -> bool:
    return await counting == wanted


async def _leaves_events(client: Client, wanted: int) -> bool:
    told = await client.call("GET", "/metrics")
    return f'firmhold_events_left{{kind="slot"}} {wanted}.0' in await told.response.text()


async def _says_ready(client: Client, status: int) -> bool:
    return (await client.call("GET", "/readyz")).status == status


async def _retried(client: Client, slot: str) -> Any:  # noqa: ANN401 - the JSON of the hold, or nothing yet
    reply = await client.hold(slot, key="during")
    return reply.body if reply.status == 201 else None


async def _passes(site: Installation, claims: list[Claim]) -> bool:
    try:
        await audit(site, claims)
    except AssertionError:
        return False
    return True
