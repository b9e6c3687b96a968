"""What kinds of one pool of interchangeable units have in common."""

from schema.rows import Hold as HoldRow
from topics.commands import ChangeHold, DefineResource, Hold

POOL = "units"


class OnePool:
    """Translates every request to units of the one pool."""

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
