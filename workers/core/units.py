"""Move units between free, held and taken. Taking is all or nothing; giving back always succeeds."""

from collections.abc import Mapping
from dataclasses import replace

from schema.rows import Hold, Pool
from topics.resources import HoldStatus
from workers.core.state import Draft, remaining
from workers.core.telling import No


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
    return None


def lack(draft: Draft, units_by_pool: Mapping[str, int]) -> No | None:
    """Say which units are not free; None if all are."""
    for name, units in units_by_pool.items():
        free = remaining(_existing(draft, name))
        if free < units:
            return No("sold_out", f"{told(units)} asked for, {free} free")
    return None


def make_firm(draft: Draft, units_by_pool: Mapping[str, int]) -> None:
    """Turn held units into taken ones: never a question of capacity."""
    for name, units in units_by_pool.items():
        pool = _existing(draft, name)
        draft.put_pool(name, replace(pool, held=pool.held - units, taken=pool.taken + units))


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


def _existing(draft: Draft, name: str) -> Pool:
    pool = draft.pool(name)
    if pool is None:
        message = f"a hold claims the pool {name!r}, which does not exist"
        raise AssertionError(message)
    return pool
