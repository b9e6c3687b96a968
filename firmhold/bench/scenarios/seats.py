"""A house of 5,000 seats is sold: 64 buyers want two each, named by them or the best that are left, until none are left."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus

import msgspec

from firmhold.bench.cases import Bench, Case, Group
from firmhold.bench.holds import JSON, LIFETIME_SECONDS, define, verify
from firmhold.bench.http_client import Connection, close_all, connect, requests_of
from firmhold.bench.loads import expect
from firmhold.bench.samples import Figures, Samples, figures_of

BUYERS = 64
ROWS = tuple(f"R{number}-" for number in range(100))  # a row's name ends in no digit
SEATS_PER_ROW = 50
_SELLING_SECONDS_MAX = 300.0
PLAN = {"rows": [{"row": row, "seats": SEATS_PER_ROW} for row in ROWS], "hold_seconds": LIFETIME_SECONDS}
Wishes = Callable[[], Iterable[dict[str, object]]]


async def of_a_large_house(bench: Bench) -> AsyncIterator[Group]:
    """Sell a house pair by named pair, and one by what is best; each round has a house of its own, however long it takes."""
    for title, wishes in (("chosen", _chosen), ("best available", _best)):
        case = Case(bench.firmhold.name, _selling(bench, wishes), warm_up=False)
        yield Group(f"holds of two of 5,000 seats, {title}", BUYERS, [case])


def _chosen() -> Iterator[dict[str, object]]:
    for row in ROWS:
        for number in range(1, SEATS_PER_ROW, 2):
            yield {"seats": [f"{row}{number}", f"{row}{number + 1}"]}


def _best() -> Iterator[dict[str, object]]:
    for _ in range(len(ROWS) * SEATS_PER_ROW // 2):
        yield {"best_available": 2}


def _selling(bench: Bench, wishes: Wishes) -> Callable[[float], Awaitable[Figures]]:
    async def measure(_seconds: float) -> Figures:
        screening = f"bench-{uuid.uuid4().hex[:8]}"
        await define(bench.firmhold, [f"/screenings/{screening}"], PLAN)
        request = requests_of(bench.firmhold.url, "POST", JSON)
        left, samples = iter(wishes()), Samples()
        connections = await connect(bench.firmhold.url, BUYERS)

        async def buy(connection: Connection) -> None:
            for wish in left:
                lines = f'Idempotency-Key: "{uuid.uuid4()}"\r\n'
                began = time.perf_counter()
                answer = await connection.ask(
                    request(f"/screenings/{screening}/holds", lines, msgspec.json.encode(wish))
                )
                if answer.status == HTTPStatus.CONFLICT:
                    return  # what is left is nowhere side by side
                expect(answer, HTTPStatus.CREATED)
                samples.add(time.perf_counter() - began, answer.body)

        began = time.perf_counter()
        try:
            async with asyncio.timeout(_SELLING_SECONDS_MAX), asyncio.TaskGroup() as buyers:
                for connection in connections:
                    buyers.create_task(buy(connection))
        finally:
            close_all(connections)
        samples.seconds = time.perf_counter() - began
        await verify(bench.firmhold, samples)
        return figures_of(samples.latencies, samples.seconds)

    return measure
