"""Which pools a batch needs to see: a resource may have thousands, and most commands name a few. Reading them is the shell's."""

from collections.abc import Iterable, Mapping, Sequence

from schema.rows import ResourceKey
from workers.core.batch import Arrived
from workers.core.kinds import Kind
from workers.core.state import State


def named_pools(commands: Sequence[Arrived], kinds: Mapping[str, Kind]) -> dict[ResourceKey, frozenset[str] | None]:
    """Return the pools that the commands name, by resource; None: all of them."""
    needed: dict[ResourceKey, frozenset[str] | None] = {}
    for arrived in commands:
        names = kinds[arrived.key.kind].pools_of(arrived.command)
        before = needed.get(arrived.key, frozenset())
        needed[arrived.key] = None if names is None or before is None else before | names
    return needed


def claimed_pools(states: Iterable[State], kinds: Mapping[str, Kind]) -> list[tuple[ResourceKey, str]]:
    """Return the pools that the holds and orders of the states claim, or stand for, and that are not there yet."""
    return [
        (state.key, name)
        for state in states
        for name in dict.fromkeys(_claimed(state, kinds[state.key.kind]))
        if name not in state.pools
    ]


def _claimed(state: State, kind: Kind) -> Iterable[str]:
    for hold in state.holds.values():
        yield from hold.units or kind.claims_of(hold)
    for order in state.orders.values():
        yield from order.units
