"""Holds over HTTP, asked the same way of Firmhold and of its peers."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count, cycle

import msgspec

from firmhold.bench.http_client import connect, requests_of
from firmhold.bench.loads import MakeRequest, UnexpectedAnswerError
from firmhold.bench.samples import Samples

BODY = b'{"quantity":1}'
CAPACITY = 2_000_000_000
LIFETIME_SECONDS = 3600
JSON = {"Content-Type": "application/json", "Prefer": "wait=30"}


class _Placed(msgspec.Struct):
    id: str
    status: str


_placed = msgspec.json.Decoder(_Placed)
Found = Callable[[Sequence[str]], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Contender:
    """Who is asked for holds: where, and how many of the ids that it answered with are in its store afterwards."""

    name: str
    url: str
    found: Found
    admin_key: str = ""


class MissingHoldsError(Exception):
    """Answers told of holds that are not in the store: the figures would be worth nothing."""


async def define_slots(contender: Contender, slots: Sequence[str], capacity: int = CAPACITY) -> None:
    """Create these slots through the front door."""
    settings = {"capacity": capacity, "hold_seconds": LIFETIME_SECONDS, "max_hold_seconds": LIFETIME_SECONDS}
    await define(contender, [f"/slots/{slot}" for slot in slots], settings)


async def define(contender: Contender, paths: Sequence[str], settings: Mapping[str, object]) -> None:
    """Create a resource at each of these paths through the front door, all with the same settings."""
    headers = {**JSON, "Authorization": f"Bearer {contender.admin_key}"}
    request, body = requests_of(contender.url, "PUT", headers), msgspec.json.encode(settings)
    (connection,) = await connect(contender.url, 1)
    try:
        for path in paths:
            answer = await connection.ask(request(path, "", body))
            if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
                raise UnexpectedAnswerError(f"{contender.name} did not define {path}: {answer.body[:500]!r}")
    finally:
        connection.close()


def hold_requests(contender: Contender, slots: Sequence[str]) -> MakeRequest:
    """Return a maker of requests for holds on these slots in turn, each with a key of its own."""
    request = requests_of(contender.url, "POST", JSON)
    run, numbers, turn = uuid.uuid4().hex[:12], count(), cycle([f"/slots/{slot}/hold" for slot in slots])
    return lambda: request(next(turn), f'Idempotency-Key: "{run}-{next(numbers)}"\r\n', BODY)


async def verify(contender: Contender, samples: Samples) -> None:
    """Make sure that each answer told of another hold, and that all of them are in the store; raises MissingHoldsError."""
    ids = [placed.id for body in samples.bodies if (placed := _placed.decode(body)).status == "held"]
    found = await contender.found(ids)
    if not len(samples.bodies) == len(set(ids)) == found:
        raise MissingHoldsError(
            f"{contender.name}: {len(samples.bodies)} answers, {len(set(ids))} different holds, {found} in the store"
        )
