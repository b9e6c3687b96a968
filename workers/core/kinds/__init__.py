"""What a kind is to the engine: a translation from its requests to pool claims, plus its own validation. One file a kind."""

from collections.abc import Callable, Iterable
from typing import Protocol

from schema.rows import Hold as HoldRow
from topics.commands import Cancel, ChangeHold, Command, DefineResource, Hold
from topics.resources import Sale, Settings
from topics.seating import Plan

IsFree = Callable[[str], bool]
"""Tells of a pool of the resource whether a unit of it is free."""

FindBest = Callable[[int], tuple[str, ...] | None]
"""Finds the pools of so many units that are free and next to each other, the best there are; None if there are none."""


class Finder(Protocol):
    """Finds the best units of a resource that are free, again and again while its pools change one by one."""

    def forget(self, pools: Iterable[str]) -> None:
        """Look anew at these pools: they changed."""

    def best(self, count: int, is_free: IsFree) -> tuple[str, ...] | None:
        """Return the pools of the best `count` units next to each other; None if there are none such."""


class Kind(Protocol):
    """The questions that the engine asks of a kind."""

    @property
    def hold_seconds(self) -> int:
        """The lifetime of a hold, where its resource does not say."""

    @property
    def max_hold_seconds(self) -> int:
        """The longest total lifetime of a hold, where its resource does not say."""

    @property
    def takes_orders(self) -> bool:
        """Whether its holds are made firm by orders that are paid, instead of being confirmed."""

    @property
    def needs_token(self) -> bool:
        """Whether a hold is only for who shows its token, its owner too."""

    @property
    def names_pools(self) -> bool:
        """Whether clients know its pools by their names, so that a refusal says which ones are in the way."""

    def fault_of(self, command: Command) -> str | None:
        """Say what makes the command none of this kind's, None if nothing does."""

    def capacities(self, command: DefineResource) -> dict[str, int]:
        """Return the capacity of each pool that the definition asks for."""

    def sale(self, command: DefineResource) -> Sale | None:
        """Return the terms of its orders that the definition asks for; None where no order is taken."""

    def plan(self, command: DefineResource) -> Plan | None:
        """Return how its units lie, where they have places; None where they have none."""

    def told_alone(self, pool: str) -> str | None:
        """Return as what each move of this pool is told by itself, `{word}.held` and so on; None if with its hold only."""

    def pools_of(self, command: Command) -> frozenset[str] | None:
        """Return the pools that the command may claim or define; None: any of them, so it must see them all."""

    def quantity_of(self, command: Hold) -> int:
        """Return how many units the hold asks for."""

    def finder(self, settings: Settings) -> Finder | None:
        """Return what finds the best units of a resource with these settings; None where they have no places."""

    def claims(self, command: Hold, find_best: FindBest) -> dict[str, int] | None:
        """Return the units of each pool that the hold asks for; None if the kind finds none that would do."""

    def claims_of(self, hold: HoldRow) -> dict[str, int]:
        """Return the units of each pool that a hold stands for which has claimed none yet."""

    def changed_claims(self, hold: HoldRow, command: ChangeHold) -> dict[str, int]:
        """Return the units of each pool that the hold is to have after the change."""

    def returned(self, hold: HoldRow, command: Cancel) -> dict[str, int]:
        """Return the units of each pool that the cancellation gives back."""

    def unknown_of(self, claims: dict[str, int], settings: Settings) -> list[str]:
        """Return those of the pools that the resource, as it is defined now, does not have."""
