"""Holds of slots over HTTP: one hot slot, a thousand, at a rate, and none left."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from firmhold.bench.cases import Bench, Case, Group
from firmhold.bench.holds import Contender, define_slots, hold_requests, verify
from firmhold.bench.http_client import Connection, close_all, connect
from firmhold.bench.loads import MakeRequest, closed_loop, open_loop
from firmhold.bench.samples import Figures, figures_of

OPEN_LOOP_CLIENTS = 128
OPEN_LOOP_RATES = (100, 400)
Made = Callable[[Contender], tuple[Sequence[Connection], MakeRequest]]


async def on_one_hot_slot(bench: Bench) -> AsyncIterator[Group]:
    """Let everybody want the same slot, which has room for all."""
    async for group in _holds(bench, "holds on one hot slot", 1):
        yield group


async def on_a_thousand_slots(bench: Bench) -> AsyncIterator[Group]:
    """Let everybody take a thousand slots in turn."""
    async for group in _holds(bench, "holds on 1,000 slots", 1000):
        yield group


async def _holds(bench: Bench, scenario: str, slot_count: int) -> AsyncIterator[Group]:
    slots = _names(slot_count)
    everybody = [bench.firmhold, *bench.peers, *(peer for sizes in bench.sized_peers for peer in sizes)]
    for contender in everybody:
        await define_slots(contender, slots)
    plain = [bench.firmhold, *bench.peers, *([bench.constant] if bench.constant else [])]
    for clients in bench.clients:
        async with _made(plain + [peer for sizes in bench.sized_peers for peer in sizes], slots, clients) as made:
            yield Group(
                scenario,
                clients,
                [_granted(contender, made, contender is bench.constant) for contender in plain],
                [[_granted(peer, made, False) for peer in sizes] for sizes in bench.sized_peers],
            )


def _names(count: int) -> list[str]:
    run = uuid.uuid4().hex[:8]
    return [f"bench-{run}-{number}" for number in range(count)]


@asynccontextmanager
async def _made(contenders: Sequence[Contender], slots: Sequence[str], clients: int) -> AsyncIterator[Made]:
    """Open the connections to each contender, and close them at the end."""
    opened = {one.name: (await connect(one.url, clients), hold_requests(one, slots)) for one in contenders}
    try:
        yield lambda contender: opened[contender.name]
    finally:
        for connections, _ in opened.values():
            close_all(connections)


def _granted(contender: Contender, made: Made, is_limit: bool) -> Case:
    """Count holds that were granted, and look for each in the store; a limit grants nothing."""
    connections, request = made(contender)

    async def measure(seconds: float) -> Figures:
        samples = await closed_loop(connections, request, seconds=seconds, status=HTTPStatus.CREATED)
        if not is_limit:
            await verify(contender, samples)
        return figures_of(samples.latencies, samples.seconds)

    return Case(contender.name, measure)


async def at_a_rate(bench: Bench) -> AsyncIterator[Group]:
    """Open loop: so many a second arrive, whatever the answers do; latency counts from when each was due."""
    slots = _names(1)
    await define_slots(bench.firmhold, slots)
    for rate in OPEN_LOOP_RATES:
        async with _made([bench.firmhold], slots, OPEN_LOOP_CLIENTS) as made:
            connections, request = made(bench.firmhold)

            async def measure(
                seconds: float,
                connections: Sequence[Connection] = connections,
                request: MakeRequest = request,
                rate: int = rate,
            ) -> Figures:
                samples = await open_loop(
                    connections, request, per_second=rate, seconds=seconds, status=HTTPStatus.CREATED
                )
                await verify(bench.firmhold, samples)
                return figures_of(samples.latencies, samples.seconds)

            yield Group(f"open loop, {rate} holds a second on one slot", 0, [Case(bench.firmhold.name, measure)])


async def sold_out(bench: Bench) -> AsyncIterator[Group]:
    """Refusals are answers too, but no holds: a line of its own."""
    slots = _names(1)
    contenders = [bench.firmhold, *bench.peers]
    for contender in contenders:
        await define_slots(contender, slots, capacity=0)
    for clients in bench.clients:
        async with _made(contenders, slots, clients) as made:
            yield Group("sold out", clients, [_refused(contender, made) for contender in contenders])


def _refused(contender: Contender, made: Made) -> Case:
    connections, request = made(contender)

    async def measure(seconds: float) -> Figures:
        samples = await closed_loop(connections, request, seconds=seconds, status=HTTPStatus.CONFLICT)
        return figures_of(samples.latencies, samples.seconds)

    return Case(contender.name, measure)
