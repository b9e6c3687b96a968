"""What only shows at the edges of the core: flags of events, what a kind turns away, pools that a definition leaves out."""

from dataclasses import dataclass

import msgspec
import pytest
from msgspec.structs import replace

from schema.rows import Pool
from tests.unit.builders import arrived, at
from tests.unit.ledger import Ledger
from tests.unit.scenario import Scenario
from tests.unit.situations import HOLD, NOW, situation
from topics.commands import Cancel, ChangeHold, Command, Confirm, DefineResource, Expire, Hold
from topics.events import ResourceDefined
from topics.seating import Row
from workers.core.decide import decide
from workers.core.kinds.one_pool import POOL
from workers.core.kinds.product import Product
from workers.core.kinds.slot import Slot
from workers.core.state import Decision


@dataclass(frozen=True)
class Renamed(Slot):
    """A kind whose pool has another name than the one that its resource was defined with."""

    def capacities(self, command: DefineResource) -> dict[str, int]:
        """Put all units into the new pool."""
        return {"floor": command.capacity or 0}


def defined(decision: Decision) -> ResourceDefined:
    """Return the event of a definition."""
    data = decision.facts[-1].data
    assert isinstance(data, ResourceDefined)
    return data


def test_a_definition_says_whether_the_resource_is_new() -> None:
    """Once it is, from then on it is not."""
    its = situation("DefineResource")
    assert not defined(its.decide()).created
    its.exists = False
    its.ask = replace(its.ask, command=DefineResource(resource_id="r", capacity=1))
    assert defined(its.decide()).created


def test_a_pool_that_a_definition_leaves_out_keeps_only_what_is_out_of_it() -> None:
    """It has no capacity any more, and its ceiling is what may come back."""
    its = situation("DefineResource")
    decision = decide(its.state(), Renamed(), its.ask, NOW, NOW)
    assert decision.pools == {"floor": Pool(1, 0, 0, 1), POOL: Pool(0, 1, 0, 1)}
    assert defined(decision).counters.oversubscribed_by == 1


def test_a_slot_needs_a_capacity_and_nothing_else() -> None:
    """Zero is one; no other command has any to give."""
    fault = Slot().fault_of(DefineResource(resource_id="r"))
    assert fault == "a slot needs a capacity"
    for command in (
        DefineResource(resource_id="r", capacity=0),
        Hold(resource_id="r"),
        Confirm(resource_id="r", hold_id=HOLD),
        Expire(resource_id="r"),
    ):
        assert Slot().fault_of(command) is None


def test_the_pool_of_a_slot_keeps_its_name() -> None:
    """Golden: it is stored in every hold."""
    assert POOL == "units"
    assert Slot().claims(Hold(resource_id="r", quantity=3), lambda _: None) == {"units": 3}


def test_a_hold_that_expires_counts_once_against_its_buyer() -> None:
    """Two live, one of them over: one is left, and one is the limit."""
    Scenario().play("""
        define room capacity=9                           -> defined
        hold k1 room buyer=ann                           -> held
        tick 10 seconds
        hold k2 room buyer=ann                           -> held
        define room capacity=9 holds_per_buyer=1         -> defined
        tick 290 seconds
        hold k3 room buyer=ann                           -> expired k1 holds_per_buyer_exceeded
    """)


def test_a_buyer_s_last_hold_that_expires_makes_room_for_the_next() -> None:
    """In one decision; and who never had one begins at none."""
    Scenario().play("""
        define room capacity=9 holds_per_buyer=1         -> defined
        hold k1 room buyer=ann                           -> held
        tick 300 seconds
        hold k2 room buyer=ann                           -> expired k1 held
        hold k3 room buyer=ann                           -> holds_per_buyer_exceeded
    """)


def test_r12_a_too_old_record_is_no_repetition() -> None:
    """It is not decided at all, so nobody is told that it was."""
    outcomes = Ledger().apply([arrived(Expire(resource_id="r"), claim="x")], at(14 * 24 * 3600)).outcomes
    assert [(outcome.events, outcome.repeated) for outcome in outcomes] == [(None, False)]


@pytest.mark.parametrize("kind", [Slot(), Product()], ids=["slot", "product"])
def test_units_that_are_alike_have_no_places(kind: Slot | Product) -> None:
    """No request may name a place among them, and a change says how many there shall be."""
    sale = DefineResource(resource_id="r", capacity=1, price=5, currency="EUR") if isinstance(kind, Product) else None
    plain = sale or DefineResource(resource_id="r", capacity=1)
    strange: list[tuple[str, Command]] = [
        ("seats", Hold(resource_id="r", seats=("A1",))),
        ("best_available", Hold(resource_id="r", best_available=2)),
        ("areas", Hold(resource_id="r", areas={"floor": 1})),
        ("rows", msgspec.structs.replace(plain, rows=(Row(row="A", seats=2),))),
        ("focal", msgspec.structs.replace(plain, focal="A1")),
        ("seats", ChangeHold(resource_id="r", hold_id="h", quantity=1, seats=("A1",))),
        ("seats", Cancel(resource_id="r", hold_id="h", seats=("A1",))),
    ]
    for name, command in strange:
        assert kind.fault_of(command) == f"its units are alike: it has no {name}"
    assert kind.fault_of(ChangeHold(resource_id="r", hold_id="h")) == "a change needs a quantity"
    fine: list[Command] = [plain, Hold(resource_id="r"), ChangeHold(resource_id="r", hold_id="h", quantity=2)]
    assert [kind.fault_of(command) for command in fine] == [None] * len(fine)
