"""A write that the gateway takes is one that a worker takes: a command has more than the body that asked for it."""

import json
import uuid

import pytest

from tests.installation import Client, Installation, Reply
from tests.integration.expectations import fresh, problem
from topics.cloudevents import EVENT_BYTES_MAX
from topics.commands import Hold, encode
from topics.identifiers import hold_id_of, request_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_body_whose_command_no_worker_takes(alice: Client, running: Installation) -> None:
    """A body within the bound may make a command that is not: 413, nothing published. At the bound it is decided.

    Seen to fail (202, and the command among the dead letters) without a look at the command, and with one by a byte off.
    """
    row, screening = "ROW_OF_16_LETTER", fresh("screening")
    seats = [f"{row[:-1]}{letter}{number}" for letter in "ABCD" for number in range(100, 1_000)]
    least = Hold(resource_id=screening, token_hash="0" * 64, client_reference="x", seats=tuple(seats[:2_970]))
    room = EVENT_BYTES_MAX - len(encode(least)) + 1
    topic = running.settings.catalogue().commands("screening")
    before = await running.end_offsets(topic)
    hold = {"method": "POST", "path": f"/screenings/{screening}/holds"}
    hold_id = hold_id_of(request_id("screening", screening, "gateway/alice", "key", bytes(32)))
    change = {"method": "PATCH", "path": f"/holds/{hold_id}"}
    for call in (hold, hold | {"reference": "x" * (room + 1), "seats_of": 2_970}, change):
        problem(await _asks(alice, seats, **call), 413, "body_too_large")
    assert await running.end_offsets(topic) == before
    problem(await _asks(alice, seats, **hold, reference="x" * room, seats_of=2_970), 404, "not_found")


async def _asks(
    alice: Client, seats: list[str], *, method: str, path: str, reference: str | None = None, seats_of: int = 2_975
) -> Reply:
    body = {"seats": seats[:seats_of]} | ({"client_reference": reference} if reference else {})
    text = json.dumps(body, separators=(",", ":"))
    assert len(text) <= EVENT_BYTES_MAX, "the body itself is too large"
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json", "Prefer": "wait=30"}
    return await alice.call(method, path, data=text, headers=headers)
