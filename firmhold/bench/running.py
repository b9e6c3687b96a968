"""Run scenarios in interleaved rounds: all contenders of a group once, then all again in another order.

So what slows the machine for a while slows all of them, and ratios are taken within a round.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from statistics import median

from rich.progress import Progress

from firmhold.bench.cases import Bench, Case, Group
from firmhold.bench.machine import Memory, memory_of, this_machine, watched_memory, worker_process
from firmhold.bench.peers import CHECKOUT, started_peers
from firmhold.bench.results import Results, Row
from firmhold.bench.scenarios import SCENARIOS
from firmhold.bench.stack import running_stack
from firmhold.settings import Settings
from gateway.webhook_secrets import webhook_secrets

WARM_UP_SECONDS = 1.0
_WARM_UP_CLIENTS = 64
CHOICE_SECONDS = 1.5
CHOICE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    scenarios: Sequence[str]
    peers: bool
    rounds: int
    seconds: float
    clients: Sequence[int]
    commands: int
    warm_up_seconds: float


def nothing_yet() -> Results:
    """Return the results of a run that begins."""
    return Results(machine=this_machine(CHECKOUT), memory=None, rows=[])


async def run(settings: Settings, plan: Plan, progress: Progress, results: Results) -> None:
    """Measure, and add to the results; raises what is wrong with the stack, a peer, or an answer."""
    worker = worker_process(settings.kafka, settings.postgres.get_secret_value())
    async with _bench(settings, plan) as bench:
        await _warm_up(bench, plan.warm_up_seconds, progress)
        for name in plan.scenarios:
            async with AsyncExitStack() as watching:
                samples: list[float] = []
                if name == "kafka" and worker is not None:
                    samples = await watching.enter_async_context(watched_memory(worker))
                async for group in SCENARIOS[name](bench):
                    results.rows += await _measure(group, plan, progress)
            if samples:
                results.memory = _larger(results.memory, memory_of(samples))


def _larger(one: Memory | None, other: Memory) -> Memory:
    return other if one is None or other.most_mib >= one.most_mib else one


@asynccontextmanager
async def _bench(settings: Settings, plan: Plan) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as opened:
        stack = await opened.enter_async_context(running_stack(settings))
        bench = Bench(
            firmhold=stack.contender,
            peers=[],
            sized_peers=[],
            constant=None,
            clients=plan.clients,
            commands=plan.commands,
            kafka=settings.kafka,
            postgres=settings.postgres.get_secret_value(),
            topic_prefix=settings.topic_prefix,
            partitions=settings.partitions,
            webhook_secret=webhook_secrets(settings).standard[0],
            paid_orders=stack.paid_orders,
        )
        if plan.peers:
            peers = await opened.enter_async_context(started_peers(settings))
            bench = replace(bench, peers=peers.plain, sized_peers=peers.sized, constant=peers.constant)
        yield bench


async def _warm_up(bench: Bench, seconds: float, progress: Progress) -> None:
    """Use the stack before anything is measured: a Kafka that was just started takes twice the time until it is compiled."""
    if seconds <= 0:
        return
    alone = replace(bench, peers=(), sized_peers=(), constant=None, clients=(_WARM_UP_CLIENTS,))
    async for group in SCENARIOS["hot-slot"](alone):
        task = progress.add_task("warming up", total=len(group.cases))
        for case in group.cases:
            await case.measure(seconds)
            progress.advance(task)


async def _measure(group: Group, plan: Plan, progress: Progress) -> list[Row]:
    rounds = min(plan.rounds, group.rounds_max or plan.rounds)
    title = f"{group.scenario}, {group.clients} clients" if group.clients else group.scenario
    choosing = CHOICE_TRIES * sum(len(cases) for cases in group.choices)
    task = progress.add_task(title, total=choosing + (len(group.cases) + len(group.choices)) * rounds)
    chosen = [await _best(cases, lambda: progress.advance(task)) for cases in group.choices]
    cases = [*group.cases, *chosen]
    rows = [Row(scenario=group.scenario, clients=group.clients, contender=case.contender, rounds=[]) for case in cases]
    for case in group.cases:
        if case.warm_up:
            await case.measure(WARM_UP_SECONDS)
    for number in range(rounds):
        turn = number % len(cases)
        for place in [*range(turn, len(cases)), *range(turn)]:
            figures = await cases[place].measure(plan.seconds)
            rows[place].rounds.append(figures)
            progress.update(
                task, advance=1, description=f"{title}: {cases[place].contender} {figures.per_second:,.0f}/s"
            )
    progress.update(task, description=title)
    return rows


async def _best(cases: Sequence[Case], advance: Callable[[], None]) -> Case:
    """Return the variant of the best median of some tries, taken in turn: by a single one the machine's noise would choose."""
    for case in cases:
        await case.measure(WARM_UP_SECONDS)
    rates: list[list[float]] = [[] for _ in cases]
    for _ in range(CHOICE_TRIES):
        for case, of_case in zip(cases, rates, strict=True):
            of_case.append((await case.measure(CHOICE_SECONDS)).per_second)
            advance()
    medians = [*map(median, rates)]
    return cases[medians.index(max(medians))]
