"""How load is put on: closed (each client asks again when it was answered) and open (asked at a rate, come what may).

In the open loop a latency counts from when the request was meant to start, not from when a client was free for it: else
a server that stalls is asked less, and its stall is hardly seen (coordinated omission; Gil Tene, "How NOT to Measure
Latency", https://github.com/HdrHistogram/HdrHistogram).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

from firmhold.bench.http_client import Answer, Connection
from firmhold.bench.samples import Samples

DRAIN_SECONDS_MAX = 60.0
MakeRequest = Callable[[], bytes]


class UnexpectedAnswerError(Exception):
    """Something else than what is counted was answered: the figures would tell of another thing."""


def expect(answer: Answer, status: int) -> None:
    """Raise UnexpectedAnswerError if something else was answered."""
    if answer.status != status:
        expected = HTTPStatus(status).phrase
        raise UnexpectedAnswerError(f"{status} {expected} was expected, {answer.status} came: {answer.body[:500]!r}")


async def closed_loop(
    connections: Sequence[Connection], request: MakeRequest, *, seconds: float, status: int
) -> Samples:
    """Let each connection ask as soon as it was answered, for so long; what is then on its way is not counted."""
    samples = Samples()
    began = time.perf_counter()
    end = began + seconds

    async def ask_again_and_again(connection: Connection) -> None:
        started = time.perf_counter()
        while started < end:
            answer = await connection.ask(request())
            answered = time.perf_counter()
            expect(answer, status)
            if answered <= end:
                samples.add(answered - started, answer.body)
            started = answered

    async with asyncio.timeout(seconds + DRAIN_SECONDS_MAX), asyncio.TaskGroup() as clients:
        for connection in connections:
            clients.create_task(ask_again_and_again(connection))
    samples.seconds = seconds
    return samples


async def open_loop(
    connections: Sequence[Connection], request: MakeRequest, *, per_second: float, seconds: float, status: int
) -> Samples:
    """Ask so many times a second, for so long, whether or not the earlier ones are answered."""
    samples = Samples()
    count = int(per_second * seconds)
    began = time.perf_counter()
    turns = iter(range(count))

    async def take_turns(connection: Connection) -> None:
        for turn in turns:
            meant = began + turn / per_second
            pause = meant - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            answer = await connection.ask(request())
            samples.add(time.perf_counter() - meant, answer.body)
            expect(answer, status)

    async with asyncio.timeout(seconds + DRAIN_SECONDS_MAX), asyncio.TaskGroup() as clients:
        for connection in connections:
            clients.create_task(take_turns(connection))
    samples.seconds = time.perf_counter() - began
    return samples
