"""What a resource is: its settings and counters, as commands define them and events report them."""

from datetime import datetime
from enum import Enum

import msgspec


class ClaimAt(Enum):
    """When a hold takes capacity: at once, or not before its confirmation."""

    HOLD = "hold"
    CONFIRM = "confirm"


class HoldStatus(Enum):
    """Where a hold is in its life."""

    HELD = "held"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    USED = "used"


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms a hold becomes an order: `price` of one unit in minor units of `currency` (ISO 4217)."""

    price: int
    currency: str
    payment_seconds: int
    name: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What binds the holds of a resource. Seconds are whole; None is no bound. `sale` is there where holds become orders."""

    hold_seconds: int
    max_hold_seconds: int
    claim_at: ClaimAt = ClaimAt.HOLD
    open: bool = True
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    units_per_hold: int | None = None
    holds_per_buyer: int | None = None
    title: str | None = None
    sale: Sale | msgspec.UnsetType = msgspec.UNSET

    @property
    def terms(self) -> Sale | None:
        """On what terms its holds become orders, None where they do not."""
        return None if self.sale is msgspec.UNSET else self.sale


class Counters(msgspec.Struct, frozen=True):
    """The units of a resource, summed over its pools.

    `held` may come back (live holds, pending orders), `taken` is confirmed or paid; `remaining` is what a new hold could
    take; `oversubscribed_by` is how far capacity was lowered below what is out.
    """

    capacity: int = 0
    held: int = 0
    taken: int = 0
    remaining: int = 0
    oversubscribed_by: int = 0
