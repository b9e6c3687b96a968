"""Orders against what they were made from and what was paid for them: their requests, their holds, their payments."""

from dataclasses import dataclass, field

from firmhold.audit.findings import Check
from firmhold.audit.marks import Marks
from schema.audits import AuditedOrder, AuditedRequest
from topics.identifiers import order_id_of
from topics.orders import OrderStatus
from topics.resources import HoldStatus

_BY_HAND = "Compare with a backup: no worker writes one without the other"
_MONEY = "Look at what the provider says of its payments, `payment_events` has each word; then set it right by hand"


@dataclass(slots=True)
class Orders:
    """The comparisons."""

    marks: Marks
    check: Check = field(default_factory=lambda: Check("orders", "orders against their requests, holds and payments"))

    def judge_request(self, request: AuditedRequest) -> None:
        """Look whether a request has an order exactly if it was granted one."""
        granted = request.command == "PlaceOrder" and request.reason is None
        if granted != request.has_order:
            why = f"was refused: {request.reason}" if request.reason else "was granted"
            there = "is there" if request.has_order else "is not there"
            self.check.tell(
                f"request {request.request_id}",
                found=f"its {request.command} {why}, and {order_id_of(request.request_id)} {there}",
                wanted=f"that order should {'' if granted else 'not '}be there",
                advice=_BY_HAND,
            )

    def judge_order(self, audited: AuditedOrder) -> None:
        """Look whether the request is stored, unless it may have been purged, the hold used by it, and the money there."""
        self.check.looked_at += 1
        order = audited.order
        subject = f"{audited.key.kind} {audited.key.resource_id}, order {order.order_id}"
        if not audited.has_request and not self.marks.may_be_purged(order.placed_at):
            self.check.tell(
                subject,
                found=f"it was placed at {order.placed_at.isoformat()} and the request that asked for it is not stored",
                wanted="requests are kept for the request retention",
                advice="Restore the request from a backup; the order itself still stands for its outcome",
            )
        if (audited.hold_status, audited.order_of_hold) != (HoldStatus.USED, order.order_id):
            status = "not there" if audited.hold_status is None else audited.hold_status.value
            self.check.tell(
                subject,
                found=f"its hold {order.hold_id} is {status}, and used by {audited.order_of_hold or 'nobody'}",
                wanted="an order uses its hold up",
                advice=_BY_HAND,
            )
        difference = _difference(audited)
        if difference is not None:
            found, wanted = difference
            self.check.tell(subject, found=found, wanted=wanted, advice=_MONEY)


def _difference(audited: AuditedOrder) -> tuple[str, str] | None:
    """Return what is wrong with an order and its payments, and what should be."""
    order, counted = audited.order, audited.counted
    is_alive = order.status in {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID}
    if audited.parked:
        return f"{audited.parked} payments wait for it", "the order is there, so nothing waits for it"
    if order.status is OrderStatus.PAID and audited.received < order.amount:
        return f"it is paid with {audited.received}", f"it costs {order.amount}"
    if order.status is OrderStatus.PENDING_PAYMENT and counted >= order.amount:
        return f"it waits for payment and {counted} counts for it", f"it costs {order.amount}, so it is paid"
    if audited.counting and not is_alive:
        return f"it is {order.status.value} and {audited.counting} payments count for it", "they are to be given back"
    if order.status is OrderStatus.REFUND_REQUIRED and not audited.owed:
        return "it is refund_required and no payment is", "it is refunded once all is"
    return None
