"""A worker is killed at each named point: nothing lost, nothing twice, every request answered.

The killed batch is neither the first nor the last, and what is acknowledged when the worker dies is committed (see
tests/worker_under_test.py). Each test names the break of the code on which it was seen to fail.
"""

import asyncio
import signal
import uuid

import pytest

from tests.auditing import Claim, audit
from tests.installation import Installation
from topics.commands import DefineResource, Hold
from workers.crash_points import CrashPoint

pytestmark = pytest.mark.chaos

HOLDS = 60
CAPACITY = 40
BATCH_COMMANDS_MAX = 10
KILLED_BATCH = 3


async def test_e30_e65_killed_before_the_transaction(site: Installation) -> None:
    """What was read and not decided is decided by the next worker.

    Seen to fail (commands lost) on acknowledging what is taken from the inbox: at the top of `Pipeline._decide`.
    """
    await audit_killed_at(site, CrashPoint.BEFORE_TRANSACTION)


async def test_e30_e65_killed_in_the_transaction(site: Installation) -> None:
    """A transaction that was not committed leaves nothing behind.

    Seen to fail (requests without their holds) on storing the requests in a transaction of their own before the rest, in
    `Applier._attempt`.
    """
    await audit_killed_at(site, CrashPoint.IN_TRANSACTION)


async def test_e30_e65_killed_after_commit(site: Installation) -> None:
    """What is stored and was never told is told by the next worker.

    Seen to fail (requests never answered) on sending nothing for repeated outcomes, in `Emitter.records`.
    """
    await audit_killed_at(site, CrashPoint.AFTER_COMMIT)


async def test_e30_e65_killed_after_invalidation(site: Installation) -> None:
    """No record is acknowledged whose events are still to be sent.

    Seen to fail (requests never answered) on acknowledging before sending: at the top of `Pipeline._emit`.
    """
    await audit_killed_at(site, CrashPoint.AFTER_INVALIDATION)


async def test_e30_e65_killed_after_half_of_events(site: Installation) -> None:
    """No record is acknowledged whose events are on their way and not yet with Kafka.

    Seen to fail (requests never answered) on acknowledging while the events are sent: `send_all` as a task that
    `Pipeline._emit` awaits after the acknowledging.
    """
    await audit_killed_at(site, CrashPoint.AFTER_HALF_OF_EVENTS)


async def test_e30_e65_killed_after_all_events(site: Installation) -> None:
    """What was decided and told, and comes again unacknowledged, has no second effect and no other answer.

    Seen to fail (an event sent again with other words) on deciding it again: an empty `Known` in `workers.applying._read`,
    and no RacedError for requests that are there already; and on a repeated outcome told with the time of its telling.
    """
    await audit_killed_at(site, CrashPoint.AFTER_EVENTS)


async def test_e30_e65_killed_before_the_ack(site: Installation) -> None:
    """A batch's acknowledgement is for its own records, not for what was fetched meanwhile.

    Seen to fail (commands lost) on acknowledging, with each record, all that Faust has fetched so far, in
    `FaustDelivery.acknowledge`, as a consumer does that commits its position.
    """
    await audit_killed_at(site, CrashPoint.BEFORE_ACK)


async def audit_killed_at(site: Installation, point: CrashPoint) -> None:
    """Kill a worker at the point and let another one finish: everything once, and an HTTP waiter is answered."""
    slot = f"slot-{uuid.uuid4().hex[:6]}"
    claims: list[Claim] = [("gateway/admin", "define")]
    await site.start_gateway()
    async with site.producer() as upstream, site.client() as client:
        define = DefineResource(resource_id=slot, capacity=CAPACITY)
        records = [
            upstream.record(define, source="gateway/admin", command_id="define", signing_key=upstream.gateway_key)
        ]
        for number in range(HOLDS):
            claims.append(("upstream/tests", f"hold-{number}"))
            records.append(upstream.record(Hold(resource_id=slot), command_id=f"hold-{number}"))
        await upstream.send(*records)
        waiting = asyncio.create_task(client.hold(slot, key="over-http"))
        small = {
            "FIRMHOLD_BATCH_COMMANDS_MAX": str(BATCH_COMMANDS_MAX),
            "FIRMHOLD_BATCHES_IN_FLIGHT_MAX": "1",  # else the first sending may take so long that all go with the second
        }
        victim = await site.start_worker(point.value, str(KILLED_BATCH), wait=False, **small)
        assert await victim.wait(30) == -signal.SIGKILL, victim.output()
        await site.start_worker()
        reply = await waiting
    await audit(site, [*claims, ("gateway/alice", "over-http")])
    assert reply.status in (201, 409)
    async with site.database() as database:
        assert await database.fetchval("select count(*) from holds") == CAPACITY
        refused = await database.fetchval("select count(*) from requests where reason = 'sold_out'")
    assert refused == HOLDS + 1 - CAPACITY
