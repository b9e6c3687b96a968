"""What came out: each round of each case, the medians over rounds, ratios within rounds, and the targets."""

from collections.abc import Sequence

import msgspec

from firmhold.bench.cases import CONSTANT, FIRMHOLD, ROW_LOCK
from firmhold.bench.machine import Machine, Memory
from firmhold.bench.samples import Figures, median


class Row(msgspec.Struct, kw_only=True):
    """One contender in one scenario with so many clients (0: not by clients), and its rounds in order of time."""

    scenario: str
    clients: int
    contender: str
    rounds: list[Figures]

    @property
    def per_second(self) -> float:
        """Return the median rate."""
        return median([figures.per_second for figures in self.rounds])

    @property
    def spread(self) -> tuple[float, float]:
        """Return the least and the greatest rate of a round."""
        rates = [figures.per_second for figures in self.rounds]
        return min(rates), max(rates)

    def latency_ms(self, name: str) -> float:
        """Return the median over rounds of a percentile: `p50_ms`, `p99_ms`, `p999_ms`."""
        return median([getattr(figures, name) for figures in self.rounds])

    def ratio_to(self, other: "Row") -> float:
        """Return the median of the ratios of the rates, round by round: what slows both does not count."""
        pairs = zip(self.rounds, other.rounds, strict=False)
        return median([mine.per_second / theirs.per_second for mine, theirs in pairs])


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A wish, what was measured, and whether it is met."""

    text: str
    measured: float
    wanted: float
    is_least: bool
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Tell whether it is."""
        return self.measured >= self.wanted if self.is_least else self.measured <= self.wanted


class Results(msgspec.Struct, kw_only=True):
    """All of one run."""

    machine: Machine
    memory: Memory | None
    rows: list[Row]

    def row(self, scenario: str, clients: int, contender: str) -> Row | None:
        """Return the row of a contender, by the beginnings of scenario and contender; None if it was not measured."""
        for row in self.rows:
            if (
                row.scenario.startswith(scenario)
                and row.clients == clients
                and row.contender.startswith(contender)
                and row.rounds
            ):
                return row
        return None

    def rivals(self, row: Row) -> Sequence[Row]:
        """Return the others of the same scenario and clients."""
        same = (row.scenario, row.clients)
        return [other for other in self.rows if (other.scenario, other.clients) == same and other is not row]

    def targets(self) -> list[Target]:
        """Return the targets of which everything was measured."""
        found: list[Target] = []

        def ratio(text: str, mine: Row | None, theirs: Row | None, wanted: float) -> None:
            if mine is not None and theirs is not None:
                measured = mine.ratio_to(theirs)
                found.append(Target(text=text, measured=measured, wanted=wanted, is_least=True, unit="x"))

        hot = "holds on one hot slot"
        for clients, wanted in ((64, 3.0), (256, 4.0)):
            text = f"hot slot, {clients} clients, against the row lock"
            ratio(text, self.row(hot, clients, FIRMHOLD), self.row(hot, clients, ROW_LOCK), wanted)
        kafka = next(
            (row for row in self.rows if "straight to Kafka" in row.scenario and row.contender == FIRMHOLD), None
        )
        locks = [row for clients in (1, 64, 256) if (row := self.row(hot, clients, ROW_LOCK)) is not None]
        ratio("straight from Kafka, against the row lock at its best", kafka, max(locks, key=_rate, default=None), 5.0)
        lone = self.row(hot, 1, FIRMHOLD)
        if lone is not None:
            measured = lone.latency_ms("p50_ms")
            found.append(Target(text="one client, p50", measured=measured, wanted=5.0, is_least=False, unit="ms"))
        reads = "availability reads"
        ratio(
            "availability reads, against the constant handler",
            self.row(reads, 64, FIRMHOLD),
            self.row(reads, 64, CONSTANT),
            0.6,
        )
        if self.memory is not None:
            found += self.memory_targets(self.memory)
        return found

    @staticmethod
    def memory_targets(memory: Memory) -> list[Target]:
        """Return what is asked of the worker's memory."""
        most = Target(text="worker's memory", measured=memory.most_mib, wanted=200, is_least=False, unit="MiB")
        grown = Target(
            text="worker's memory at the end, against a fifth of the way",
            measured=memory.growth,
            wanted=1.1,
            is_least=False,
            unit="x",
        )
        return [most, grown]


def _rate(row: Row) -> float:
    return row.per_second
