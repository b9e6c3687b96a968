"""A slot: one pool of interchangeable units."""

from dataclasses import dataclass

from schema.rows import Hold as HoldRow
from topics.commands import ChangeHold, Command, DefineResource, Hold

POOL = "units"


@dataclass(frozen=True, slots=True)
class Slot:
    """The kind `slot`; implements `workers.core.kinds.Kind`."""

    hold_seconds: int = 300
    max_hold_seconds: int = 1800

    def fault_of(self, command: Command) -> str | None:
        """Ask a definition for its capacity."""
        if isinstance(command, DefineResource) and command.capacity is None:
            return "a slot needs a capacity"
        return None

    def capacities(self, command: DefineResource) -> dict[str, int]:
        """All units are in one pool."""
        return {POOL: command.capacity or 0}

    def claims(self, command: Hold) -> dict[str, int]:
        """Claim the quantity of that pool."""
        return {POOL: command.quantity}

    def claims_of(self, hold: HoldRow) -> dict[str, int]:
        """Claim the hold's quantity of that pool."""
        return {POOL: hold.quantity}

    def changed_claims(self, hold: HoldRow, command: ChangeHold) -> dict[str, int]:
        """Claim the new quantity of that pool."""
        del hold
        return {POOL: command.quantity}
