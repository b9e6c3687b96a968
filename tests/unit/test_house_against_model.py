"""Seats against an independent model, over random histories of a house; and what listeners to the broadcast make of it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.builders import at
from tests.unit.house_model import HouseModel
from tests.unit.house_scenario import House
from topics.events import HoldChanged, RequestRefused, decode_data
from workers.core.batch import Outcome

SEATS = [f"{row}{n}" for row in "AB" for n in range(1, 6)] + ["B6", "C1"]
some_seats = st.lists(st.sampled_from(SEATS), min_size=1, max_size=4, unique=True).map(tuple)
no_seats = st.just(())
places = st.sampled_from([{}, {}, {}, {"floor": 1}, {"floor": 2}, {"floor": 3}, {"balcony": 1}])
plans = st.tuples(
    st.sampled_from([{"A": 5, "B": 6}, {"A": 5, "B": 5}, {"B": 4}, {"A": 2, "B": 6}]),
    st.sampled_from([frozenset(), frozenset({"A2"}), frozenset({"B3", "B4"})]),
    st.integers(0, 4),
)
FIRST_PLAN = ({"A": 5, "B": 6}, frozenset({"A2"}), 3)


class Houses(RuleBasedStateMachine):
    """Random histories of a house."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.model = HouseModel()
        self.out: dict[str, tuple[str, str]] = {}
        self.heard = 0
        self.asked = 0
        self.define(FIRST_PLAN)

    @rule(plan=plans)
    def define(self, plan: tuple[dict[str, int], frozenset[str], int]) -> None:
        """Define the house, or define it anew."""
        rows, blocked, floor = plan
        blocked = frozenset(seat for seat in blocked if int(seat[1:]) <= rows.get(seat[0], 0))
        text = " ".join(
            [
                f"define hall rows={','.join(f'{row}:{seats}' for row, seats in rows.items())}",
                f"blocked={','.join(sorted(blocked))}" if blocked else "",
                f"areas=floor:{floor}",
            ]
        )
        assert self._said(text)[0] == "defined"
        self.model.rows, self.model.blocked, self.model.areas = rows, blocked, {"floor": floor}

    @rule(seats=some_seats, areas=places)
    def hold(self, seats: tuple[str, ...], areas: dict[str, int]) -> None:
        """Ask for seats, and perhaps for places."""
        self._hold(seats, None, areas)

    @rule(best=st.integers(1, 4), areas=places)
    def find(self, best: int, areas: dict[str, int]) -> None:
        """Ask for the best seats, and perhaps for places."""
        self._hold((), best, areas)

    def _hold(self, seats: tuple[str, ...], best: int | None, areas: dict[str, int]) -> None:
        self.asked += 1
        name = f"k{self.asked}"
        options = [f"seats={','.join(seats)}"] if seats else [f"best={best}"]
        said = self._said(" ".join(["hold", name, "hall", *options, *_areas(areas)]))
        assert said == self.model.hold(name, seats, best, areas, int(self.house.now))

    @rule(
        data=st.data(),
        verb=st.sampled_from(["confirm", "cancel", "cancel", "change", "change"]),
        seats=some_seats | no_seats,
        areas=places,
        is_owner=st.sampled_from([True, True, True, True, False]),
    )
    def of_hold(
        self, data: st.DataObject, verb: str, seats: tuple[str, ...], areas: dict[str, int], *, is_owner: bool
    ) -> None:
        """Do something with a hold that was asked for."""
        names = [*self.model.holds, *self.model.refused]
        if not names or (verb == "change" and not seats and not areas):
            return
        name = data.draw(st.sampled_from(names))
        token = name if is_owner else "stolen"
        seats = () if verb == "confirm" else seats
        areas = areas if verb == "change" else {}
        given = [f"seats={','.join(seats)}"] if seats else []
        said = self._said(" ".join([verb, "hall", name, f"token={token}", *given, *_areas(areas)]))
        assert said == self.model.of_hold(verb, name, token, seats=seats, areas=areas, now=int(self.house.now))

    @rule(seconds=st.sampled_from([1, 100, 300, 600]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.house.now += seconds

    @rule()
    def sweep(self) -> None:
        """Let the sweeper come."""
        self._said("expire hall")

    def _said(self, text: str) -> tuple[str, list[str]]:
        """Play a line; return the answer and the seats and areas that it is about."""
        line = self.house.play_line(0, [*text.split(), "->"])
        assert line is not None
        command = self.house._arrived(line)
        (outcome,) = self.house.ledger.apply([command], at(self.house.now)).outcomes
        words, _ = self.house.result(outcome)
        return words[-1], _about(outcome)

    @invariant()
    def what_is_stored_agrees(self) -> None:
        """Counters, pools, holds and the audit say the same."""
        self.house.ledger.check_sums()

    @invariant()
    def what_is_heard_agrees(self) -> None:
        """Who listens from the beginning knows of each seat whether it is held or taken, and by which hold."""
        for sign, moved in self.house.told[self.heard :]:
            was = self.out.get(moved.pool)
            match sign:
                case "+":
                    assert was is None, "held before it was released"
                    self.out[moved.pool] = "held", moved.hold_id
                case "!":
                    assert was == ("held", moved.hold_id)
                    self.out[moved.pool] = "taken", moved.hold_id
                case _:
                    assert was is not None
                    assert was[1] == moved.hold_id
                    del self.out[moved.pool]
        self.heard = len(self.house.told)
        pools = {name: pool for (_, name), pool in self.house.ledger.pools.items() if not name.startswith("area:")}
        stored = {name: "taken" if pool.taken else "held" for name, pool in pools.items() if pool.held + pool.taken}
        assert {seat: status for seat, (status, _) in self.out.items()} == stored


def _areas(areas: dict[str, int]) -> list[str]:
    return [f"areas={','.join(f'{name}:{units}' for name, units in areas.items())}"] if areas else []


def _about(outcome: Outcome) -> list[str]:
    for event in outcome.events or ():
        data = decode_data(event.type, bytes(event.data))
        if event.answers and isinstance(data, HoldChanged):
            return sorted(data.hold.units)
        if event.answers and isinstance(data, RequestRefused) and data.in_the_way:
            return sorted(data.in_the_way)
    return []


TestHouses = Houses.TestCase
TestHouses.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
