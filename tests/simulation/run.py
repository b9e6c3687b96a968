"""One run: a workload, everything that can go wrong while it lasts, then calm, then the audit. One seed makes one run."""

import asyncio
import os
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TypeVar

import msgspec
import structlog

from tests.simulation.auditor import audit
from tests.simulation.evidence import Evidence
from tests.simulation.gateway import Gateway
from tests.simulation.shopping import Shopping
from tests.simulation.site import KIND, Site
from tests.simulation.worker import Worker
from tests.simulation.workload import NEVER_DEFINED, SLOTS, Workload
from tests.simulation.world import World
from tests.twins.memory_log import MemoryProducer
from topics.log_records import Record
from workers.crash_points import CrashPoint

Answer = TypeVar("Answer")
RECORDS = 150
WORKERS_MAX = 3
GATEWAYS = 2
CALM_SECONDS_MAX = 600.0
EXPIRIES_PLENTY = 1_000  # never are so many holds over at once
SWEPT_WITHIN_SECONDS = 3.0  # the sweepers of a run look every second


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    seed: int
    faults: Sequence[str]
    counts: Mapping[str, int]
    digest: str
    trace: Sequence[str]
    seconds: float
    steps: int


def play(seed: int) -> Site:
    """Play one seed up to its last moment; what went wrong on the way stands in the site's faults."""
    random.seed(seed)  # the jitter of workers.backoff
    world = World(seed)
    _log_into(world)
    site = Site(world, seed)
    asyncio.set_event_loop(world)
    try:
        world.run_until_complete(_Run(site).play())
    except Exception as fault:  # noqa: BLE001 - whatever it is, the seed has failed
        site.faults.append(f"the run itself failed: {fault!r}")
    return site


def run(seed: int) -> Result:
    """Run one seed from its beginning to its audit."""
    site = play(seed)
    audited = audit(evidence_of(site))
    counts = Counter(site.counts)
    for weather in site.weather.values():
        counts.update(weather.seen)
    counts["waits for locks"] = site.postgres.locks.waits
    counts.update({f"audited: {what}": number for what, number in audited.looked_at.items()})
    world = site.world
    return Result(seed, [*site.faults, *audited.faults], counts, world.digest(), world.trace, world.time(), world.steps)


def _log_into(world: World) -> None:
    def into_trace(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        world.note(" ".join([f"  log: {event.pop('event')}", *(f"{name}={it}" for name, it in sorted(event.items()))]))
        raise structlog.DropEvent

    structlog.configure(processors=[into_trace], cache_logger_on_first_use=False)


class _Run:
    """The director: it starts, harms and heals; it runs in no process of its own that could be harmed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._world = site.world
        self._random = site.random("director")
        self._workers: list[Worker] = []
        self._gateways: list[Gateway] = []
        self._born = 0
        self._sweeps = self._random.random() < 0.7
        self._workload = Workload(site) if site.kind == KIND else Shopping(site)

    async def play(self) -> None:
        """Play it to the end."""
        self._start_worker()
        for _ in range(GATEWAYS if self._site.kind == KIND else 0):  # what gateways read is that of slots
            self._start_gateway()
        producers = [self._world.process(f"producer-{number}") for number in range(2)]
        sending = [
            process.start(self._produce(self._workload.definitions() if number == 0 else []))
            for number, process in enumerate(producers)
        ]
        harming = asyncio.create_task(self._harm())
        watching = asyncio.create_task(self._watch())
        await asyncio.wait(sending)
        harming.cancel()
        await self._calm_down()
        watching.cancel()
        for gateway in self._gateways:
            gateway.process.kill()
        for task in sending:
            task.result()
        self._site.faults += [*self._faults_of_workers(), *self._faults_of_sweepers()]

    async def _produce(self, first: list[Record]) -> None:
        producer = MemoryProducer(self._site.log, self._site.line("kafka"))
        if first:
            await producer.send_all(first)
        else:
            await asyncio.sleep(1.0)
        for _ in range(RECORDS):
            bursts = [self._workload.next() for _ in range(self._random.choice((1, 1, 1, 2, 6)))]
            burst = list(chain.from_iterable(bursts))
            await producer.send_all(burst)
            for record in burst:
                self._world.note(f"sent {_shown(record)}")
            await asyncio.sleep(self._random.expovariate(1 / 0.4))

    def _start_worker(self) -> None:
        self._born += 1
        worker = Worker(
            self._site, f"worker-{self._born}", self._site.random(f"worker-{self._born}"), sweeps=self._sweeps
        )
        self._world.note(f"{worker.name} starts")
        self._workers.append(worker)
        worker.start()

    def _start_gateway(self) -> None:
        self._born += 1
        gateway = Gateway(self._site, f"gateway-{self._born}", self._site.random(f"gateway-{self._born}"))
        self._gateways.append(gateway)
        gateway.start((*SLOTS, NEVER_DEFINED))

    def _living(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.process.is_alive and not worker.is_stopping]

    async def _harm(self) -> None:
        """Do the next harm after a while, again and again."""
        harms = (
            (self._kill, 5), (self._kill_at_point, 8), (self._kill_between_steps, 6), (self._pause, 5), (self._start, 10),
            (self._stop, 2), (self._storm, 6), (self._outage, 2), (self._step_clock, 2), (self._flush, 1),
            (self._kill_gateway, 2), (self._pause_gateway, 4),
        )  # fmt: skip
        while True:
            await asyncio.sleep(self._random.expovariate(1 / 1.5))
            harm = self._random.choices([harm for harm, _ in harms], [weight for _, weight in harms])[0]
            harm()

    def _one(self) -> Worker | None:
        living = [worker for worker in self._living() if not worker.process.is_paused]
        return self._random.choice(living) if living else None

    def _kill(self) -> None:
        if (worker := self._one()) is not None:
            self._site.counts["killed"] += 1
            worker.process.kill()

    def _kill_at_point(self) -> None:
        if (worker := self._one()) is not None:
            worker.die_at(self._random.choice(list(CrashPoint)), self._random.randint(1, 3))

    def _kill_between_steps(self) -> None:
        if (worker := self._one()) is not None:
            worker.process.dies_at_step = worker.process.steps + self._random.randint(1, 200)
            self._site.counts["killed between two steps"] += 1

    def _start(self) -> None:
        if len(self._living()) < WORKERS_MAX:
            self._start_worker()

    def _stop(self) -> None:
        worker = self._one()
        if worker is not None and hasattr(worker, "pipeline"):
            self._site.counts["stopped in order"] += 1
            self._world.note(f"{worker.name} is told to stop")
            worker.stop()

    def _pause(self) -> None:
        worker = self._one()
        if worker is None:
            return
        if self._random.random() < 0.5:
            worker.process.pause_at_step(worker.process.steps + self._random.randint(1, 100))
        else:
            worker.process.pause()
        self._world.call_later(self._random.choice((0.5, 5, 8, 15)), self._resume, worker)

    def _resume(self, worker: Worker) -> None:
        process = worker.process
        if process.is_alive and process.is_paused:
            self._site.counts["paused and resumed"] += 1
            if worker.is_zombie():
                self._site.counts["resumed as a zombie"] += 1
        process.resume()

    def _kill_gateway(self) -> None:
        """End a gateway, maybe while it has locks of the cache, and start another."""
        if not self._gateways:
            return
        gateway = self._gateways.pop(0)
        self._site.counts["gateway killed"] += 1
        gateway.process.kill()
        self._start_gateway()

    def _pause_gateway(self) -> None:
        """Stop a gateway, maybe between reading and storing, for longer than its locks live."""
        if not self._gateways:
            return
        process = self._random.choice(self._gateways).process
        if not process.is_paused:
            self._site.counts["gateway paused"] += 1
            process.pause_at_step(process.steps + self._random.randint(1, 60))
            self._world.call_later(self._random.choice((0.5, 3, 12)), process.resume)

    def _flush(self) -> None:
        self._site.counts["cache flushed"] += 1
        self._world.note("the cache is flushed")
        self._site.cache.flush()

    def _storm(self) -> None:
        weather = self._site.weather[self._random.choice(("postgres", "kafka", "redis"))]
        weather.lost_requests, weather.lost_answers = self._random.choice(((0.2, 0.0), (0.0, 0.2), (0.1, 0.1)))
        self._world.note(f"storm over {weather.name}")
        self._world.call_later(self._random.uniform(1, 6), weather.clear)

    def _outage(self) -> None:
        weather = self._site.weather[self._random.choice(("postgres", "kafka", "redis"))]
        weather.is_away = True
        self._site.counts[f"{weather.name} away"] += 1
        self._world.note(f"{weather.name} is away")
        self._world.call_later(self._random.uniform(0.5, 8), weather.clear)

    def _step_clock(self) -> None:
        """Let the broker's clock be wrong: behind by seconds, ahead by up to an hour for a moment."""
        self._site.broker_ahead = timedelta(seconds=self._random.choice((-2, -5, 3, 60, 3600)))
        self._site.counts["broker's clock stepped"] += 1
        self._world.note(f"the broker's clock is ahead by {self._site.broker_ahead}")
        self._world.call_later(self._random.uniform(0.2, 5), self._set_clock_right)

    def _set_clock_right(self) -> None:
        self._site.broker_ahead = timedelta(0)

    async def _watch(self) -> None:
        """See that there is a worker, as whoever runs them does."""
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 3))
            if not self._living():
                self._start_worker()

    async def _calm_down(self) -> None:
        """Heal everything and wait until all is decided and acknowledged."""
        self._world.note("calm")
        for weather in self._site.weather.values():
            weather.clear()
        self._set_clock_right()
        for worker in self._workers:
            worker.dies_at = worker.process.dies_at_step = None
            self._resume(worker)
        until = self._world.time() + CALM_SECONDS_MAX
        quiet = 0
        while quiet < 3 and self._world.time() < until and not self._faults_of_workers():
            await asyncio.sleep(5.0)
            quiet = quiet + 1 if self._site.lag() == 0 and self._is_swept_or_late() else 0
        if quiet < 3:
            self._site.faults.append(
                f"{self._site.lag()} records were not acknowledged in {CALM_SECONDS_MAX} s of calm"
            )

    def _is_swept_or_late(self) -> bool:
        """Tell whether to wait no longer for the sweepers: where an `Expire` ends a hold or two, each takes its second."""
        return min(self._site.expiries) >= EXPIRIES_PLENTY or not self._faults_of_sweepers()

    def _faults_of_sweepers(self) -> list[str]:
        """Find what nobody announced as over though all is calm: where nobody sweeps, that is as it should be."""
        until = self._site.now() - timedelta(seconds=SWEPT_WITHIN_SECONDS)
        if not self._sweeps:
            return []
        tables = self._site.postgres.tables
        left = [
            *(row for row in tables.holds.values() if row["status"] == "held" and row["expires_at"] < until),
            *(
                row
                for row in tables.orders.values()
                if row["status"] == "pending_payment" and row["payment_due_at"] < until
            ),
            *(
                row
                for row in tables.payments.values()
                if row["parked_until"] is not None and row["parked_until"] < until
            ),
        ]
        return [f"{len(left)} are over and were not swept, such as {left[0]}"] if left else []

    def _faults_of_workers(self) -> list[str]:
        return [f"{worker.name} ended by {worker.fault!r}" for worker in self._workers if worker.fault is not None]


def _shown(record: Record) -> str:
    headers = dict(record.headers)
    named = [headers.get(f"ce_{name}", b"?").decode() for name in ("type", "source", "id")]
    return f"{' '.join(named)} key={record.key!r} {record.value!r}"


def evidence_of(site: Site) -> Evidence:
    """Return the logs and the rows as plain values."""
    tables = site.postgres.tables
    rows = {
        "requests": list(tables.requests.values()),
        "resources": list(tables.resources.values()),
        "pools": list(tables.pools.values()),
        "holds": [row | {"units": msgspec.json.decode(row["units"])} for row in tables.holds.values()],
        "orders": list(tables.orders.values()),
        "payments": list(tables.payments.values()),
        "payment_events": list(tables.payment_events.values()),
    }
    return Evidence(
        kind=site.kind,
        catalogue=site.catalogue,
        keys=site.keys,
        commands=site.log.records(site.catalogue.commands(site.kind)),
        events=site.log.records(site.catalogue.events(site.kind)),
        dead_letters=site.log.records(site.catalogue.dead_letters(site.kind)),
        rows=rows,
        expiries=(min(site.expiries), max(site.expiries)),
        reads=site.reads,
        lists=site.lists,
    )


def in_a_process(work: Callable[[], Answer], answer_type: type[Answer]) -> Answer | None:
    """Do the work in a child, which ends at once: what the killed leave behind must not run its `finally` then.

    None if the child died of something, which it has written to its standard error.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(msgspec.msgpack.encode(work()))
        except BaseException:  # noqa: BLE001 - nothing may return into the parent's code
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return msgspec.msgpack.decode(answer, type=answer_type) if answer else None
