"""What a kind is to the engine: a translation from its requests to pool claims, plus its own validation. One file a kind."""

from typing import Protocol

from schema.rows import Hold as HoldRow
from topics.commands import ChangeHold, Command, DefineResource, Hold
from topics.resources import Sale


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

    def fault_of(self, command: Command) -> str | None:
        """Say what makes the command none of this kind's, None if nothing does."""

    def capacities(self, command: DefineResource) -> dict[str, int]:
        """Return the capacity of each pool that the definition asks for."""

    def sale(self, command: DefineResource) -> Sale | None:
        """Return the terms of its orders that the definition asks for; None where no order is taken."""

    def claims(self, command: Hold) -> dict[str, int]:
        """Return the units of each pool that the hold asks for."""

    def claims_of(self, hold: HoldRow) -> dict[str, int]:
        """Return the units of each pool that a hold stands for which has claimed none yet."""

    def changed_claims(self, hold: HoldRow, command: ChangeHold) -> dict[str, int]:
        """Return the units of each pool that the hold is to have after the change."""
