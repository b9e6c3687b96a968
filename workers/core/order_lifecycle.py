"""The lives of an order and of a payment as tables: what may become of each in which state. The docs' diagrams are made of them.

Which happening a provider's event amounts to depends on money and on free units: `workers.core.paying` decides that, by the
table of the design. What is not in these tables cannot happen.
"""

from enum import Enum
from typing import Final

from topics.orders import OrderStatus, PaymentStatus
from workers.core.lifecycle import drawn


class OrderHappening(Enum):
    """What can happen to an order."""

    PAY = "pay"
    END = "end"
    END_OWING = "end owing money"
    OWE = "owe money"
    REFUND = "refund all"


class PaymentHappening(Enum):
    """What can happen to a payment."""

    FAIL = "fail"
    MISMATCH = "mismatch"
    PAY = "pay"
    REQUIRE_REFUND = "require refund"
    REFUND = "refund"


NEXT_OF_ORDER: Final[dict[OrderStatus, dict[OrderHappening, OrderStatus]]] = {
    OrderStatus.PENDING_PAYMENT: {
        OrderHappening.PAY: OrderStatus.PAID,
        OrderHappening.END: OrderStatus.CANCELLED,
        OrderHappening.END_OWING: OrderStatus.REFUND_REQUIRED,
    },
    OrderStatus.PAID: {
        OrderHappening.END: OrderStatus.CANCELLED,
        OrderHappening.END_OWING: OrderStatus.REFUND_REQUIRED,
        OrderHappening.REFUND: OrderStatus.REFUNDED,
    },
    OrderStatus.CANCELLED: {
        OrderHappening.PAY: OrderStatus.PAID,
        OrderHappening.END: OrderStatus.CANCELLED,
        OrderHappening.OWE: OrderStatus.REFUND_REQUIRED,
    },
    OrderStatus.REFUND_REQUIRED: {
        OrderHappening.PAY: OrderStatus.PAID,
        OrderHappening.END: OrderStatus.REFUND_REQUIRED,
        OrderHappening.REFUND: OrderStatus.REFUNDED,
    },
    OrderStatus.REFUNDED: {OrderHappening.REFUND: OrderStatus.REFUNDED},
}

NEXT_OF_PAYMENT: Final[dict[PaymentStatus, dict[PaymentHappening, PaymentStatus]]] = {
    PaymentStatus.PROCESSING: {
        PaymentHappening.FAIL: PaymentStatus.FAILED,
        PaymentHappening.MISMATCH: PaymentStatus.MISMATCHED,
        PaymentHappening.PAY: PaymentStatus.PAID,
        PaymentHappening.REFUND: PaymentStatus.REFUNDED,
    },
    PaymentStatus.FAILED: {
        PaymentHappening.MISMATCH: PaymentStatus.MISMATCHED,
        PaymentHappening.PAY: PaymentStatus.PAID,
        PaymentHappening.REFUND: PaymentStatus.REFUNDED,
    },
    PaymentStatus.MISMATCHED: {
        PaymentHappening.MISMATCH: PaymentStatus.MISMATCHED,
        PaymentHappening.PAY: PaymentStatus.PAID,
        PaymentHappening.REFUND: PaymentStatus.REFUNDED,
    },
    PaymentStatus.PAID: {
        PaymentHappening.MISMATCH: PaymentStatus.MISMATCHED,
        PaymentHappening.REQUIRE_REFUND: PaymentStatus.REFUND_REQUIRED,
        PaymentHappening.REFUND: PaymentStatus.REFUNDED,
    },
    PaymentStatus.REFUND_REQUIRED: {PaymentHappening.REFUND: PaymentStatus.REFUNDED},
    PaymentStatus.REFUNDED: {},
}


def diagrams() -> tuple[str, str]:
    """Return the two tables as state diagrams."""
    return drawn(NEXT_OF_ORDER, "pending_payment: place"), drawn(NEXT_OF_PAYMENT, "processing: hear of it")
