"""Twenty thousand mixed commands while workers are killed, stopped and joined at random: nothing lost, nothing twice.

Seen to fail with `stream.events()` instead of `stream.unacknowledged()` in the intake: Faust then acknowledges what only
lies in our inbox, and a killed worker loses it. And with a worker that ends with 1 when it is told to stop.
"""

import asyncio
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.auditing import Claim, audit
from tests.installation import Installation, Process, Upstream, eventually
from topics.commands import DefineResource, Hold
from topics.log_records import Record

pytestmark = pytest.mark.chaos

COMMANDS = 20_000
SLOTS = 40
CHUNK = 250
PAUSE_SECONDS = 0.3
WORKERS = 3
STOP_SECONDS_MAX = 12.0
FAULTS = ("kill", "stop", "join")
EACH_FAULT_MIN = 2
SEED = 20261121


@dataclass
class Mix:
    """What is sent: commands with their claims, and what must be turned away."""

    upstream: Upstream
    random: random.Random
    claims: list[Claim] = field(default_factory=list)
    bad: int = 0

    def definitions(self) -> list[Record]:
        """Define each slot; some are soon sold out."""
        return [
            self._define(f"slot-{number}", capacity=self.random.choice((20, 200, 100_000))) for number in range(SLOTS)
        ]

    def next(self) -> list[Record]:
        """Return one command, now and then with its copy, on a foreign partition, or one that is no command at all."""
        slot = f"slot-{self.random.randrange(SLOTS)}"
        draw = self.random.random()
        if draw < 0.02:
            return [self._define(slot, capacity=self.random.choice((20, 200, 100_000)))]
        if draw < 0.04:
            self.bad += 1
            return [self.upstream.record(Hold(resource_id=slot), key=b"slot-of-nobody")]
        record = self._hold(slot, foreign=draw < 0.06)
        return [record, record] if draw < 0.12 else [record]

    def _define(self, slot: str, capacity: int) -> Record:
        claim = "gateway/admin", str(uuid.UUID(int=self.random.getrandbits(128)))
        self.claims.append(claim)
        return self.upstream.record(
            DefineResource(resource_id=slot, capacity=capacity),
            source=claim[0],
            command_id=claim[1],
            signing_key=self.upstream.gateway_key,
        )

    def _hold(self, slot: str, *, foreign: bool) -> Record:
        claim = "upstream/chaos", str(uuid.UUID(int=self.random.getrandbits(128)))
        self.claims.append(claim)
        quantity = self.random.randint(1, 3)
        partition = (self.upstream.home(slot) + 1) % 4 if foreign else None
        command = Hold(resource_id=slot, quantity=quantity)
        return self.upstream.record(command, source=claim[0], command_id=claim[1], partition=partition)


async def test_chaos(site: Installation) -> None:
    """Every command is decided once and told; every bad record is dead-lettered; units add up."""
    workers = [await site.start_worker() for _ in range(2)]
    all_sent = asyncio.Event()
    async with site.producer() as upstream:
        mix = Mix(upstream, random.Random(SEED))
        await upstream.send(*mix.definitions())
        async with asyncio.TaskGroup() as tasks:  # a fault of the disturber's ends the sending
            disturbing = tasks.create_task(disturb(site, workers, random.Random(SEED), all_sent))
            while len(mix.claims) < COMMANDS:
                await upstream.send(*(record for _ in range(CHUNK) for record in mix.next()))
                await asyncio.sleep(PAUSE_SECONDS)  # spreads the load over the faults
            all_sent.set()
        await site.start_worker()
        await eventually(site.is_worked_off, seconds=60, what="the log is worked off")
    faults = disturbing.result()
    assert all(faults[fault] >= EACH_FAULT_MIN for fault in FAULTS), faults
    told = await audit(site, mix.claims)
    dead = await site.records(site.settings.catalogue().dead_letters("slot"))
    assert len({(record.value, dict(record.headers)["firmhold-dlq-offset"]) for record in dead}) == mix.bad
    assert len(told.by_id) >= len(mix.claims)


async def disturb(
    site: Installation, workers: list[Process], choice: random.Random, all_sent: asyncio.Event
) -> Counter[str]:
    """Kill, stop and join workers until all is sent and there was enough of each; return how often it did what."""
    done: Counter[str] = Counter()
    while not all_sent.is_set() or min(done[fault] for fault in FAULTS) < EACH_FAULT_MIN:
        await asyncio.sleep(choice.uniform(0.5, 2.5))  # the times of the faults are part of the test
        workers[:] = [worker for worker in workers if worker.is_running]
        # One that has not come to listen for signals yet would be killed by SIGTERM, not stopped.
        started = [worker for worker in workers if "worker starts" in worker.output()]
        fault = choice.choice(FAULTS)
        if len(workers) < 2 or (fault == "join" and len(workers) < WORKERS):
            fault = "join"
            workers.append(await site.start_worker(wait=False))
        elif fault == "kill" or not started:
            fault = "kill"
            choice.choice(workers).kill()
        else:
            fault = "stop"
            await stop_in_order(choice.choice(started))
        done[fault] += 1
    return done


async def stop_in_order(worker: Process) -> None:
    """Stop a worker as its supervisor would; it ends within its time, with 0."""
    code = await worker.stop(STOP_SECONDS_MAX)
    assert code == 0, f"a stopped worker ends with 0, not {code}:\n{worker.output()[-4000:]}"
