"""Move units between free, held and taken. Taking is all or nothing; giving back always succeeds."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from schema.rows import Hold, Pool
from topics.resources import HoldStatus
from workers.core.state import Draft, Move
from workers.core.telling import No

_NAMES_SHOWN = 10


def told(units: int) -> str:
    """Return a number of units as a person says it."""
    return "1 unit" if units == 1 else f"{units} units"


def take(draft: Draft, units_by_pool: Mapping[str, int]) -> No | None:
    """Hold units of each pool, or of none."""
    no = lack(draft, units_by_pool)
    if no is not None:
        return no
    for name, units in units_by_pool.items():
        pool = _existing(draft, name)
        draft.put_pool(name, replace(pool, held=pool.held + units))
    draft.move(units_by_pool, Move.HELD)
    return None


def lack(draft: Draft, units_by_pool: Mapping[str, int]) -> No | None:
    """Say which units are not free; None if all are."""
    short = [name for name, units in units_by_pool.items() if draft.free(name) < units]
    if not short:
        return None
    if draft.kind.names_pools:
        return No("sold_out", f"not free: {listed(short)}", in_the_way=tuple(short))
    return No("sold_out", f"{told(units_by_pool[short[0]])} asked for, {draft.free(short[0])} free")


def listed(names: Sequence[str]) -> str:
    """Name them, the first few at least."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown} and {len(names) - _NAMES_SHOWN} more"


def make_firm(draft: Draft, units_by_pool: Mapping[str, int]) -> None:
    """Turn held units into taken ones: never a question of capacity."""
    for name, units in units_by_pool.items():
        pool = _existing(draft, name)
        draft.put_pool(name, replace(pool, held=pool.held - units, taken=pool.taken + units))
    draft.move(units_by_pool, Move.TAKEN)


def give_back(draft: Draft, hold: Hold, units_by_pool: Mapping[str, int] | None = None) -> None:
    """Return units of a hold, all of them by default."""
    put_back(draft, hold.units if units_by_pool is None else units_by_pool, firm=hold.status is HoldStatus.CONFIRMED)


def put_back(draft: Draft, units_by_pool: Mapping[str, int], *, firm: bool) -> None:
    """Return units that are taken (`firm`) or held.

    Beyond a capacity that was lowered they are gone for good, so the ceiling follows them down.
    """
    for name, units in units_by_pool.items():
        pool = _existing(draft, name)
        held, taken = (pool.held, pool.taken - units) if firm else (pool.held - units, pool.taken)
        ceiling = max(pool.capacity, min(pool.ceiling, held + taken))
        draft.put_pool(name, replace(pool, held=held, taken=taken, ceiling=ceiling))
    draft.move(units_by_pool, Move.RETURNED if firm else Move.RELEASED)


def _existing(draft: Draft, name: str) -> Pool:
    pool = draft.pool(name)
    if pool is None:
        message = f"a hold claims the pool {name!r}, which does not exist"
        raise AssertionError(message)
    return pool
