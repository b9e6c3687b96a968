"""What a client calls its request is echoed wherever the request is told of: answers, polls, problems, events."""

import json
import uuid

import pytest

from tests.installation import ADMIN_KEY, Client, Installation
from tests.integration.expectations import caused_by, fresh, headers_of, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_request_may_carry_one(alice: Client, running: Installation) -> None:
    """Hold, change, extend, confirm, cancel and define: 202, poll, result and event say it. Fails if it is not stored."""
    slot = fresh("reference")
    defining = {"Authorization": f"Bearer {ADMIN_KEY}", "Prefer": "wait=30"}
    body = {"capacity": 5, "client_reference": "set up"}
    defined = await alice.call("PUT", f"/slots/{slot}", json=body, headers=defining)
    assert (defined.status, defined.body["request_reference"]) == (201, "set up")
    assert "request_reference" not in (await alice.call("GET", f"/slots/{slot}")).body
    hold = (await alice.hold(slot, client_reference="cart 7")).body
    assert (hold["client_reference"], "request_reference" in hold) == ("cart 7", False)
    path = f"/holds/{hold['id']}"
    for method, where, options in (
        ("PATCH", path, {"json": {"quantity": 2, "client_reference": "step"}}),
        ("POST", f"{path}/extend", {"json": {"seconds": 400, "client_reference": "step"}}),
        ("POST", f"{path}/confirm", {"json": {"client_reference": "step"}}),
        ("DELETE", path, {"params": {"client_reference": "step"}}),
    ):
        key = str(uuid.uuid4())
        headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
        accepted = await alice.call(method, where, headers=headers, **options)
        assert (accepted.status, accepted.body["client_reference"]) == (202, "step")
        polled = (await alice.call("GET", f"/requests/{accepted.body['id']}?wait=30")).body
        result = polled["result"]
        assert (polled["client_reference"], result["request_reference"]) == ("step", "step")
        assert result["client_reference"] == "cart 7"
        (event,) = await caused_by(running, key)
        told = json.loads(event.value)
        assert (told["client_reference"], told["hold"]["client_reference"]) == ("step", "cart 7")
    assert (await alice.call("GET", path)).body["client_reference"] == "cart 7"


async def test_a_refusal_says_it_too(alice: Client, running: Installation) -> None:
    """In the problem, the poll and the event; and the same key with another reference is another request."""
    slot, key = fresh("reference"), str(uuid.uuid4())
    await alice.define(slot, 1)
    body = problem(await alice.hold(slot, key, quantity=2, client_reference="too many"), 409, "sold_out")
    assert body["client_reference"] == "too many"
    polled = (await alice.call("GET", f"/requests/{body['request_id']}?wait=30")).body
    assert (polled["client_reference"], polled["error"]) == ("too many", body)
    (event,) = await caused_by(running, key)
    assert headers_of(event)["ce_type"] == "request.refused"
    assert json.loads(event.value)["client_reference"] == "too many"
    other = await alice.hold(slot, key, quantity=2, client_reference="other")
    assert problem(other, 422, "idempotency_key_reused")["client_reference"] == "other"


@pytest.mark.parametrize("bad", ["", "x" * 129, "a\nb"])
async def test_what_cannot_be_one(alice: Client, bad: str) -> None:
    """422, wherever it is sent."""
    path = f"/holds/hold_slot~{fresh()}~{'a' * 32}"
    problem(await alice.call("POST", f"{path}/confirm", json={"client_reference": bad}), 422, "invalid_request")
    problem(await alice.call("DELETE", path, params={"client_reference": bad}), 422, "invalid_request")
    twice = [("client_reference", "a"), ("client_reference", "b")]
    problem(await alice.call("DELETE", path, params=twice), 422, "invalid_request")
