"""What kinds of one pool of interchangeable units have in common."""

from schema.rows import Hold as HoldRow
from topics.commands import Cancel, ChangeHold, Command, DefineResource, Hold
from topics.resources import Settings
from workers.core.kinds import FindBest

POOL = "units"
_OF_PLACES = ("seats", "best_available", "areas", "rows", "focal")


class OnePool:
    """Translates every request to units of the one pool."""

    needs_token = False
    names_pools = False

    def fault_of_units(self, command: Command) -> str | None:
        """Say what the command asks for that only units with names and places have, or that it lacks."""
        strange = [name for name in _OF_PLACES if getattr(command, name, None) is not None]
        if strange:
            return f"its units are alike: it has no {strange[0]}"
        if isinstance(command, ChangeHold) and not isinstance(command.quantity, int):
            return "a change needs a quantity"
        return None

    def capacities(self, command: DefineResource) -> dict[str, int]:
        """All units are in one pool."""
        return {POOL: command.capacity or 0}

    def plan(self, command: DefineResource) -> None:
        """Its units have no places."""

    def told_alone(self, pool: str) -> None:
        """Tell of the pool with its holds only."""

    def pools_of(self, command: Command) -> frozenset[str]:
        """There is only one."""
        del command
        return frozenset((POOL,))

    def quantity_of(self, command: Hold) -> int:
        """Return the quantity."""
        return command.quantity

    def finder(self, settings: Settings) -> None:
        """Any unit is as good as any other."""

    def claims(self, command: Hold, find_best: FindBest) -> dict[str, int]:
        """Claim the quantity of that pool."""
        del find_best
        return {POOL: command.quantity}

    def claims_of(self, hold: HoldRow) -> dict[str, int]:
        """Claim the hold's quantity of that pool."""
        return {POOL: hold.quantity}

    def changed_claims(self, hold: HoldRow, command: ChangeHold) -> dict[str, int]:
        """Claim the new quantity of that pool."""
        return {POOL: command.quantity if isinstance(command.quantity, int) else hold.quantity}

    def returned(self, hold: HoldRow, command: Cancel) -> dict[str, int]:
        """Give back all of it."""
        del command
        return hold.units

    def unknown_of(self, claims: dict[str, int], settings: Settings) -> list[str]:
        """Know the one pool, whatever the settings are."""
        del claims, settings
        return []
