"""What is stored, as plain values: the rows of the tables, which are also the state that the core decides on.

No I/O and no rules here. Instants are aware datetimes in UTC, counts are units.
"""

from datetime import datetime
from enum import Enum

import msgspec
from msgspec.structs import replace

from topics.orders import EndedBy, OrderStatus, PaymentEffect, PaymentReport, PaymentStatus
from topics.resources import Counters, HoldStatus, Settings

PaymentKey = tuple[str, str]
"""Provider and payment id."""


class UnitsAre(Enum):
    """Where the units of an order are."""

    HELD = "held"
    TAKEN = "taken"
    RETURNED = "returned"


class ResourceKey(msgspec.Struct, frozen=True):
    """What names a resource."""

    kind: str
    resource_id: str


class Resource(msgspec.Struct, frozen=True):
    """A resource as of its `version`; the counters are sums over its pools.

    `written_by` is the transaction that wrote it, by Postgres's count: it tells whether what was read is still so.
    """

    version: int
    settings: Settings
    counters: Counters
    last_arrived_at: datetime
    written_by: int | None = None


class Pool(msgspec.Struct, frozen=True):
    """A number of interchangeable units; `ceiling` is what Postgres never lets held + taken exceed."""

    capacity: int
    held: int
    taken: int
    ceiling: int


class Hold(msgspec.Struct, frozen=True):
    """A temporary claim: `units` by pool name is what it takes of each."""

    hold_id: str
    account: str
    token_hash: str | None
    buyer: str | None
    client_reference: str | None
    status: HoldStatus
    quantity: int
    units: dict[str, int]
    granted_at: datetime
    expires_at: datetime
    expires_latest_at: datetime
    ended_at: datetime | None = None
    unit_price: int | None = None
    currency: str | None = None
    order_id: str | None = None


class HoldingEnd(Enum):
    """How the holding of a unit ended: made firm, given back with its hold or alone, or its time was over."""

    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    CHANGED = "changed"
    EXPIRED = "expired"


class Holding(msgspec.Struct, frozen=True):
    """That a hold had all of a pool, for the audit: since when, until when and why, and when a firm one was given back."""

    hold_id: str
    pool: str
    buyer: str | None
    held_at: datetime
    ended_at: datetime | None = None
    end: HoldingEnd | None = None
    returned_at: datetime | None = None


class HoldingUpdate(msgspec.Struct, frozen=True):
    """What is new of a holding that is stored: that it ended, or that what it made firm was given back, or both."""

    hold_id: str
    pool: str
    ended_at: datetime | None = None
    end: HoldingEnd | None = None
    returned_at: datetime | None = None


class Order(msgspec.Struct, frozen=True):
    """A sale made from a hold, at the hold's price; `units` by pool name are where `units_are` says."""

    order_id: str
    hold_id: str
    account: str
    token_hash: str | None
    client_reference: str | None
    status: OrderStatus
    ended_by: EndedBy | None
    quantity: int
    units: dict[str, int]
    units_are: UnitsAre
    unit_price: int
    amount: int
    currency: str
    payment_due_at: datetime
    placed_at: datetime
    updated_at: datetime


class Payment(msgspec.Struct, frozen=True):
    """A payment of one order. `amount` and `currency` are None until somebody says them; `parked_until` while it waits.

    `returns_units` tells whether a refund of it said that the units come back; `took_units` that it had counted for an order
    that was paid, when it was refunded or asked back: only of such money a refund decides what becomes of the units.
    """

    provider: str
    payment_id: str
    order_id: str
    status: PaymentStatus
    amount: int | None
    currency: str | None
    refunded_amount: int
    returns_units: bool
    took_units: bool
    parked_until: datetime | None
    arrived_at: datetime

    @property
    def key(self) -> PaymentKey:
        """What names it, anywhere."""
        return self.provider, self.payment_id


class PaymentWords(msgspec.Struct, frozen=True):
    """What an event of a provider says, and of which payment; `return_units` is None where that was not kept.

    What the event is for, resource and order, is no part of it: its payment tells.
    """

    payment_id: str
    report: PaymentReport
    amount: int | None
    currency: str | None
    return_units: bool | None

    def are(self, again: "PaymentWords") -> bool:
        """Tell whether it says this again, word for word as far as words were kept."""
        return again == (self if self.return_units is not None else replace(self, return_units=again.return_units))


class PaymentEvent(msgspec.Struct, frozen=True):
    """What a provider said of a payment, as it said it, and what that came to.

    `return_units` is None only of what was stored before it was kept.
    """

    provider: str
    event_id: str
    payment_id: str
    order_id: str
    report: PaymentReport
    amount: int | None
    currency: str | None
    return_units: bool | None
    effect: PaymentEffect
    request_id: str
    arrived_at: datetime
    decided_at: datetime

    @property
    def words(self) -> PaymentWords:
        """What another event by this id must say to be a copy."""
        return PaymentWords(self.payment_id, self.report, self.amount, self.currency, self.return_units)


class Request(msgspec.Struct, frozen=True):
    """A decided request; `events` is the JSON of `topics.events.encode_stored`, `reason` is None if it succeeded.

    `step_of` is there for a step of another request: part of what was over on its arrival, expired before it.
    """

    request_id: str
    key: ResourceKey
    source: str
    claim_id: str
    owns_claim: bool
    fingerprint: bytes
    command: str
    reason: str | None
    events: str
    arrived_at: datetime
    decided_at: datetime
    partition: int
    offset: int
    step_of: str | None = None
