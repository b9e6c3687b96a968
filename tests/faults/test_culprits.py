"""A command that makes us fail is put aside alone: its neighbours are decided, in order, as if it had not been there."""

import json
import uuid

from tests.auditing import audit
from tests.installation import Installation, eventually
from topics.commands import DefineResource, Hold

HOLDS = 100
CULPRIT = 50


async def test_r10_check_violation_in_the_middle_of_a_batch(site: Installation) -> None:
    """99 are decided in order, one is dead-lettered with its traceback and refused `internal_error`.

    Seen to fail (nothing is decided any more) when SQLSTATE 23 counts as transient.
    """
    slot = f"slot-{uuid.uuid4().hex[:6]}"
    claims = [("gateway/admin", "define")]
    async with site.database() as database:
        await database.execute("alter table holds add constraint boom check (client_reference <> 'boom')")
    async with site.producer() as upstream:
        define = DefineResource(resource_id=slot, capacity=1000)
        records = [
            upstream.record(define, source="gateway/admin", command_id="define", signing_key=upstream.gateway_key)
        ]
        for number in range(HOLDS):
            reference = "boom" if number == CULPRIT else f"hold {number}"
            command = Hold(resource_id=slot, client_reference=reference)
            records.append(upstream.record(command, command_id=f"hold-{number}"))
            claims.append(("upstream/tests", f"hold-{number}"))
        await upstream.send(*records)
    await site.start_worker()
    await eventually(site.is_worked_off, what="the batch is worked off")
    told = await audit(site, claims)
    async with site.database() as database:
        refused = await database.fetch("select claim_id, reason from requests where reason is not null")
        order = await database.fetch("select client_reference from holds order by granted_at")
    assert [tuple(row) for row in refused] == [(f"hold-{CULPRIT}", "internal_error")]
    granted = [f"hold {number}" for number in range(HOLDS) if number != CULPRIT]
    assert sorted(row["client_reference"] for row in order) == sorted(granted)
    placed = [json.loads(value)["hold"]["client_reference"] for value in told.by_id.values() if b'"hold":{' in value]
    assert placed == granted
    (dead,) = await site.records(site.settings.catalogue().dead_letters("slot"))
    headers = dict(dead.headers)
    assert headers["firmhold-dlq-reason"] == b"internal_error"
    assert b"CheckViolation" in headers["firmhold-dlq-detail"]


async def test_r10_a_culprit_that_cannot_even_be_refused(site: Installation) -> None:
    """It is dead-lettered and answered without an outcome, its neighbours are decided, and its claim stays free.

    Seen to fail (the worker stops, again after each restart) when the fault of the refusal is raised.
    """
    async with site.database() as database:
        await database.execute("alter table requests add constraint boom check (claim_id <> 'boom')")
    async with site.producer() as upstream:
        define = DefineResource(resource_id="room", capacity=9)
        boom = upstream.record(Hold(resource_id="room"), command_id="boom")
        await upstream.send(
            upstream.record(define, source="gateway/admin", command_id="define", signing_key=upstream.gateway_key),
            *(upstream.record(Hold(resource_id="room"), command_id=f"hold-{number}") for number in range(2)),
            *(boom, boom),
            *(upstream.record(Hold(resource_id="room"), command_id=f"hold-{number}") for number in range(2, 4)),
        )
        worker = await site.start_worker()
        await eventually(site.is_worked_off, what="the batch is worked off")
        claims = [("gateway/admin", "define"), *(("upstream/tests", f"hold-{number}") for number in range(4))]
        await audit(site, claims)
        dead = await site.records(site.settings.catalogue().dead_letters("slot"))
        assert [dict(letter.headers)["firmhold-dlq-reason"] for letter in dead] == [b"internal_error"] * 2
        assert all(b"CheckViolation" in dict(letter.headers)["firmhold-dlq-detail"] for letter in dead)
        told = await site.records(site.settings.catalogue().events("slot"))
        rejected = [json.loads(event.value) for event in told if dict(event.headers)["ce_type"] == b"record.rejected"]
        assert [(event["reason"], event["id"]) for event in rejected] == [("internal_error", "boom")] * 2
        assert "Traceback" not in rejected[0]["detail"]
        async with site.database() as database:
            await database.execute("alter table requests drop constraint boom")
        await upstream.send(boom)
        await eventually(site.is_worked_off, what="it is decided, now that it can be")
    await audit(site, [*claims, ("upstream/tests", "boom")])
    assert worker.is_running
