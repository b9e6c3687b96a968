"""What orders and payments are: their states, and how events show them. Amounts are integers in minor units of a currency."""

from datetime import datetime
from enum import Enum

import msgspec


class OrderStatus(Enum):
    """Where an order is in its life."""

    PENDING_PAYMENT = "pending_payment"
    PAID = "paid"
    CANCELLED = "cancelled"
    REFUND_REQUIRED = "refund_required"
    REFUNDED = "refunded"


class EndedBy(Enum):
    """What ended an order before its money was refunded; one ended on request never comes back."""

    DEADLINE = "deadline"
    FAILURE = "failure"
    REQUEST = "request"


class PaymentReport(Enum):
    """What a provider may say of a payment. A failed attempt may be followed by another, `failed` is final."""

    PROCESSING = "processing"
    ATTEMPT_FAILED = "attempt_failed"
    FAILED = "failed"
    PAID = "paid"
    REFUNDED = "refunded"


class PaymentStatus(Enum):
    """How far a payment has come: it only moves forward, in this order.

    `paid` is money that counts for its order, `refund_required` money that is to be given back, `mismatched` money of
    another currency, or none at all, which is kept for an operator.
    """

    PROCESSING = "processing"
    FAILED = "failed"
    MISMATCHED = "mismatched"
    PAID = "paid"
    REFUND_REQUIRED = "refund_required"
    REFUNDED = "refunded"


class PaymentEffect(Enum):
    """What a provider's event came to. `recorded` and `ignored` left all money where it was, `ignored` as it came too late."""

    PARKED = "parked"
    COUNTED = "counted"
    RECORDED = "recorded"
    IGNORED = "ignored"
    MISMATCHED = "mismatched"
    REFUND_REQUIRED = "refund_required"


class RefundCause(Enum):
    """Why money is to be given back."""

    CHARGED_TWICE = "charged_twice"
    ORDER_ENDED = "order_ended"
    SOLD_OUT = "sold_out"
    ORDER_NEVER_CAME = "order_never_came"


class OrderView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order as anyone may see it. `counted` is the money that counts for it, `refund_due` what is to be given back."""

    id: str
    hold_id: str
    status: OrderStatus
    quantity: int
    unit_price: int
    amount: int
    currency: str
    payment_due_at: datetime
    placed_at: datetime
    updated_at: datetime
    counted: int = 0
    overpaid_by: int = 0
    refund_due: int = 0
    ended_by: EndedBy | None = None
    client_reference: str | None = None


class PaymentView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payment as events show it; `parked_until` is how long it waits for an order that has not come yet."""

    provider: str
    payment_id: str
    order_id: str
    status: PaymentStatus
    amount: int | None = None
    refunded_amount: int = 0
    currency: str | None = None
    parked_until: datetime | None = None
