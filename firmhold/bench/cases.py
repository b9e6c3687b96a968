"""What a scenario is made of: cases, in groups of which the cases are measured in turn."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from firmhold.bench.holds import Contender
from firmhold.bench.samples import Figures

FIRMHOLD = "firmhold"
ROW_LOCK = "row lock"
REDIS_LOCK = "redis lock + row lock"
REDIS_SCRIPT = "redis script, not durable"
CONSTANT = "limit: constant handler"
IDLE_AGENT = "limit: idle Faust agent"


@dataclass(frozen=True, slots=True)
class Case:
    """One contender in one scenario: `measure` takes seconds and returns what was measured and verified."""

    contender: str
    measure: Callable[[float], Awaitable[Figures]]
    warm_up: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are compared: the same scenario, with so many clients. `sizes` has the variants to choose the best of."""

    scenario: str
    clients: int
    cases: Sequence[Case]
    choices: Sequence[Sequence[Case]] = ()
    rounds_max: int | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """What scenarios are told: whom to ask, and how much of each. Peers are empty unless they are asked for."""

    firmhold: Contender
    peers: Sequence[Contender]
    sized_peers: Sequence[Sequence[Contender]]
    constant: Contender | None
    clients: Sequence[int]
    commands: int
    kafka: str
    postgres: str
    topic_prefix: str
    partitions: int
    webhook_secret: bytes
    paid_orders: Callable[[Sequence[str]], Awaitable[int]]
