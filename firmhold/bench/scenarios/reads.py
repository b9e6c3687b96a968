"""Reading what is free, while it changes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from http import HTTPStatus

from firmhold.bench.cases import Bench, Case, Group
from firmhold.bench.holds import Contender, define_slots, hold_requests, verify
from firmhold.bench.http_client import close_all, connect, requests_of
from firmhold.bench.loads import closed_loop, open_loop
from firmhold.bench.samples import Figures, figures_of

READERS = 64
WRITERS = 16
WRITES_PER_SECOND = 50


async def under_writes(bench: Bench) -> AsyncIterator[Group]:
    """64 clients read a slot's availability, while 50 holds a second are placed on it.

    The constant handler is asked beside the same writes, so that what they cost is not held against the reads.
    """
    slot = f"bench-{uuid.uuid4().hex[:8]}"
    await define_slots(bench.firmhold, [slot])
    contenders = [bench.firmhold, *([bench.constant] if bench.constant else [])]
    yield Group("availability reads under 50 holds/s", READERS, [_reads(bench, one, slot) for one in contenders])


def _reads(bench: Bench, contender: Contender, slot: str) -> Case:
    async def measure(seconds: float) -> Figures:
        readers = await connect(contender.url, READERS)
        writers = await connect(bench.firmhold.url, WRITERS)
        read = requests_of(contender.url, "GET", {})(f"/slots/availability?ids={slot}", "", b"")
        hold = hold_requests(bench.firmhold, [slot])
        try:
            samples, written = await asyncio.gather(
                closed_loop(readers, lambda: read, seconds=seconds, status=HTTPStatus.OK),
                open_loop(writers, hold, per_second=WRITES_PER_SECOND, seconds=seconds, status=HTTPStatus.CREATED),
            )
        finally:
            close_all([*readers, *writers])
        await verify(bench.firmhold, written)
        return figures_of(samples.latencies, samples.seconds)

    return Case(contender.name, measure)
