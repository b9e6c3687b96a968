"""Quotas of writes over HTTP: header fields on every write, 429 beyond, nothing published or stored for it."""

import uuid
from typing import Any

import http_sf
import pytest

from tests.installation import ALICE_KEY, BOB_KEY, Client, Installation, Reply
from tests.integration.expectations import fresh, problem, silence

pytestmark = pytest.mark.asyncio(loop_scope="module")
POLICY = '"burst";q=3;w=60'


def fields(reply: Reply) -> tuple[str, int, int | None]:
    """Return policy, what remains, and when it resets, as the reply's header fields say."""
    parsed: Any = http_sf.parse(reply.response.headers["RateLimit"].encode(), tltype="list")
    ((name, standing),) = parsed
    assert name == "burst"
    return reply.response.headers["RateLimit-Policy"], standing["r"], standing.get("t")


async def test_a_quota_of_writes(running: Installation, alice: Client) -> None:
    """Every write says what is left, whatever became of it; beyond it 429, and the same key succeeds elsewhere.

    Reads, other accounts and the admin are not counted. Fails if the fields are set on successes only.
    """
    slot, key = fresh("rates"), str(uuid.uuid4())
    url = await running.start_gateway(FIRMHOLD_RATE_LIMITS=POLICY)
    topic = running.settings.catalogue().commands("slot")
    async with running.client(ALICE_KEY, url) as limited, running.client(BOB_KEY, url) as bob:
        defined = await limited.define(slot, 10)
        assert (defined.status, defined.response.headers.get("RateLimit")) == (201, None)
        told = [
            await limited.hold(slot),
            await limited.call("POST", f"/slots/{slot}/hold"),
            await limited.hold(slot, wait=0),
        ]
        assert [reply.status for reply in told] == [201, 400, 202]
        assert [fields(reply)[:2] for reply in told] == [(POLICY, 2), (POLICY, 1), (POLICY, 0)]
        before = await running.end_offsets(topic)
        refused = await limited.hold(slot, key)
        body = problem(refused, 429, "rate_limited")
        reset_seconds = fields(refused)[2]
        assert (body["retry"], body["violated-policies"]) == ("same_key", ["burst"])
        assert reset_seconds is not None
        assert 1 <= reset_seconds <= int(refused.response.headers["Retry-After"]) <= 60
        assert await running.end_offsets(topic) == before
        read = await limited.call("GET", f"/slots/{slot}")
        assert (read.status, read.response.headers.get("RateLimit")) == (200, None)
        assert fields(await bob.hold(slot))[1] == 2
    elsewhere = await alice.hold(slot, key)
    assert (elsewhere.status, "Idempotent-Replayed" in elsewhere.response.headers) == (201, False)
    assert "RateLimit" not in elsewhere.response.headers


async def test_a_503_does_not_contradict_itself(running: Installation) -> None:
    """Its Retry-After may be sooner than the quota's reset, so that one is not told; fails if `t` is."""
    async with silence() as silent:
        url = await running.start_gateway(
            until="healthz",
            FIRMHOLD_KAFKA=silent.address,
            FIRMHOLD_RATE_LIMITS=POLICY,
            FIRMHOLD_PUBLISH_TIMEOUT_SECONDS="0.2",
        )
        async with running.client(url=url) as client:
            reply = await client.hold(fresh())
            problem(reply, 503, "outcome_unknown")
            assert fields(reply) == (POLICY, 2, None)
