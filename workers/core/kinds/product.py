"""A product in a sale: one pool of interchangeable units at a price, made firm by orders that are paid."""

from dataclasses import dataclass

from topics.commands import Command, DefineResource
from topics.resources import Sale
from workers.core.kinds.one_pool import OnePool

_NEEDED = ("capacity", "price", "currency")


@dataclass(frozen=True, slots=True)
class Product(OnePool):
    """The kind `product`; implements `workers.core.kinds.Kind`."""

    hold_seconds: int = 120
    max_hold_seconds: int = 1800
    payment_seconds: int = 900
    takes_orders: bool = True

    def fault_of(self, command: Command) -> str | None:
        """Ask a definition for its capacity and its price."""
        if not isinstance(command, DefineResource):
            return None
        missing = [name for name in _NEEDED if getattr(command, name) is None]
        return f"a product needs a {missing[0]}" if missing else None

    def sale(self, command: DefineResource) -> Sale:
        """Sell at that price."""
        return Sale(
            price=command.price or 0,
            currency=command.currency or "",
            payment_seconds=command.payment_seconds or self.payment_seconds,
            name=command.name,
        )
