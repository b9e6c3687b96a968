"""A command may not become dearer by more than a fifth unnoticed. Counted, not timed: the same on every machine."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
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
# Read and write; what is decided already is only read.
STATEMENTS = {
    "definitions": 2,
    "one hold": 2,
    "a hundred holds of one slot": 2,
    "holds of a hundred slots": 2,
    "confirms": 2,
    "repeated": 1,
}


def test_the_baseline_is_of_what_is_counted() -> None:
    """No case is without its baseline, and none is left over."""
    assert set(BASELINE) == set(costs_of_core() | costs_of_shell())


@pytest.mark.parametrize("costs", [costs_of_core, costs_of_shell])
def test_a_command_calls_no_more_functions_than_before(costs: Callable[[], dict[str, int]]) -> None:
    """Calls for each command, at most a fifth above the baseline; `python -m tests.cost` writes it anew.

    Fails if `decide_batch` copies the state's holds for each command, or signatures are made part by part.
    """
    for name, count in costs().items():
        assert count / COMMANDS <= GROWTH_MAX * BASELINE[name], f"{name}: {count / COMMANDS} calls for each command"


def _arrived(command: Command, claim: str) -> Arrived:
    """Return a command that arrived just now: an older one than outcomes are kept would not be decided."""
    return arrived(command, claim=claim, appended_at=datetime.now(UTC))


async def test_a_batch_costs_the_same_few_statements_however_large(postgres_url: str) -> None:
    """A lone hold and a hundred, on one slot and on many, granted, confirmed and repeated.

    Fails if requests, resources, pools and holds are written by a statement each.
    """
    rooms = [f"room-{number}" for number in range(COMMANDS)]
    held = [_arrived(Hold(resource_id=ROOM), f"hold-{number}") for number in range(COMMANDS)]
    placed = [hold_id_of(one.request_id) for one in held]
    batches = {
        "definitions": [_arrived(DefineResource(resource_id=room, capacity=2 * COMMANDS), room) for room in rooms],
        "one hold": held[:1],
        "a hundred holds of one slot": held,
        "holds of a hundred slots": [_arrived(Hold(resource_id=room), f"many-{room}") for room in rooms],
        "confirms": [_arrived(Confirm(resource_id=ROOM, hold_id=hold_id), f"confirm-{hold_id}") for hold_id in placed],
        "repeated": held,
    }
    counted: dict[str, int] = {}
    async with counting_applier(postgres_url) as (applier, statements):
        for first in (DefineResource(resource_id="first", capacity=1), Hold(resource_id="first")):
            await applier.apply(
                [_arrived(first, type(first).__name__)]
            )  # asyncpg asks for the types that it meets the first time
        await asyncio.sleep(0)
        statements.clear()
        for name, batch in batches.items():
            applied = await applier.apply(batch)
            assert all(outcome.events and outcome.reason is None for outcome in applied.outcomes), name
            await asyncio.sleep(0)  # asyncpg tells of a statement in the loop's next turn
            counted[name] = len(statements)
            statements.clear()
    assert counted == STATEMENTS
