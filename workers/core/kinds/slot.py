"""A slot: one pool of interchangeable units."""

from dataclasses import dataclass

from topics.commands import Command, DefineResource
from workers.core.kinds.one_pool import OnePool

_NOT_OF_SLOTS = ("price", "currency", "name", "payment_seconds")


@dataclass(frozen=True, slots=True)
class Slot(OnePool):
    """The kind `slot`; implements `workers.core.kinds.Kind`."""

    hold_seconds: int = 300
    max_hold_seconds: int = 1800
    takes_orders: bool = False

    def fault_of(self, command: Command) -> str | None:
        """Ask a definition for its capacity, and for nothing that a sale would need."""
        if not isinstance(command, DefineResource):
            return None
        if command.capacity is None:
            return "a slot needs a capacity"
        strange = [name for name in _NOT_OF_SLOTS if getattr(command, name) is not None]
        return f"a slot has no {strange[0]}" if strange else None

    def sale(self, command: DefineResource) -> None:
        """Sell nothing: a hold is made firm by its confirmation."""
