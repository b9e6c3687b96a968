"""A command may not become dearer by more than a fifth unnoticed. Counted, not timed: the same on every machine."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.cost.counting import COMMANDS, ROOM, costs_of_core, costs_of_shell, counting_applier
from tests.unit.builders import arrived
from topics.commands import Command, Confirm, DefineResource, Hold
from topics.identifiers import hold_id_of
from workers.core.batch import Arrived

GROWTH_MAX = 1.2
BASELINE: dict[str, float] = msgspec.json.decode((Path(__file__).parent / "baseline.json").read_bytes())
# begin, lock, clock and outcomes, pools, holds, write, commit; a batch that confirms looks for refused holds as well.
STATEMENTS_MAX = 7


def test_the_baseline_is_of_what_is_counted() -> None:
    """No case is without its baseline, and none is left over."""
    assert set(BASELINE) == set(costs_of_core() | costs_of_shell())


@pytest.mark.parametrize("costs", [costs_of_core, costs_of_shell])
def test_a_command_calls_no_more_functions_than_before(costs: Callable[[], dict[str, int]]) -> None:
    """Calls for each command, at most a fifth above the baseline; `python -m tests.cost` writes it anew.

    Seen to fail when `decide_batch` copies the state's holds for each command, and when signatures are made part by part.
    """
    for name, count in costs().items():
        assert count / COMMANDS <= GROWTH_MAX * BASELINE[name], f"{name}: {count / COMMANDS} calls for each command"


def _commands(make: Callable[[int], Command], run: str) -> list[Arrived]:
    return [arrived(make(number), claim=f"{run}-{number}", offset=number) for number in range(COMMANDS)]


async def test_a_batch_costs_the_same_few_statements_however_large(postgres_url: str) -> None:
    """A lone hold and a hundred, on one slot and on many, granted, confirmed and repeated.

    Seen to fail (at 10) when requests, resources, pools and holds are written by a statement each.
    """
    async with counting_applier(postgres_url) as (applier, statements):

        async def count(commands: Sequence[Arrived]) -> int:
            before = len(statements)
            await applier.apply(commands)
            await asyncio.sleep(0)
            return len(statements) - before

        rooms = [f"room-{number}" for number in range(COMMANDS)]
        defined = [DefineResource(resource_id=room, capacity=2 * COMMANDS) for room in rooms]
        await applier.apply([arrived(one, claim=uuid.uuid4().hex) for one in defined])
        held = _commands(lambda _: Hold(resource_id=ROOM), "hot")
        confirmed = [
            arrived(Confirm(resource_id=ROOM, hold_id=hold_id_of(one.request_id)), claim=f"confirm-{one.claim_id}")
            for one in held
        ]
        counted = {
            "one hold": await count(held[:1]),
            "a hundred holds of one slot": await count(held[1:]),
            "holds of a hundred slots": await count(_commands(lambda number: Hold(resource_id=rooms[number]), "many")),
            "confirms": await count(confirmed),
            "repeated": await count(held),
        }
    assert {name: number for name, number in counted.items() if number > STATEMENTS_MAX} == {}


