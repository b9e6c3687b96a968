"""Orders against what they were made from and what was paid for them: their requests, their holds, their payments."""

from dataclasses import dataclass, field

from firmhold.audit.digests import Digests
from firmhold.audit.findings import Check
from firmhold.audit.marks import Marks
from schema.audits import AuditedOrder, AuditedRequest
from topics import events
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
    _refunds: Digests = field(default_factory=Digests)

    def judge_request(self, request: AuditedRequest) -> None:
        """Look whether a request has an order exactly if it was granted one, and tells of no refund a second time."""
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
        for event in events.decode_stored(request.events):
            if event.type == events.REFUND_REQUIRED:
                self._note_refund(request, event.id)

    def _note_refund(self, request: AuditedRequest, refund_id: str) -> None:
        if refund_id in self._refunds:
            self.check.tell(
                f"request {request.request_id}",
                found=f"it requires {refund_id}, which another request required too",
                wanted="a payment is to be given back once",
                advice="Look at the provider whether it was given back twice",
            )
        self._refunds.add(refund_id)

    def judge_order(self, order: AuditedOrder) -> None:
        """Look whether the request is stored, unless it may have been purged, the hold used by it, and the money there."""
        self.check.looked_at += 1
        subject = f"{order.key.kind} {order.key.resource_id}, order {order.order_id}"
        if not order.has_request and not self.marks.may_be_purged(order.placed_at):
            self.check.tell(
                subject,
                found=f"it was placed at {order.placed_at.isoformat()} and the request that asked for it is not stored",
                wanted="requests are kept for the request retention",
                advice="Restore the request from a backup; the order itself still stands for its outcome",
            )
        if (order.hold_status, order.order_of_hold) != (HoldStatus.USED, order.order_id):
            status = "not there" if order.hold_status is None else order.hold_status.value
            self.check.tell(
                subject,
                found=f"its hold {order.hold_id} is {status}, and used by {order.order_of_hold or 'nobody'}",
                wanted="an order uses its hold up",
                advice=_BY_HAND,
            )
        difference = _difference(order)
        if difference is not None:
            found, wanted = difference
            self.check.tell(subject, found=found, wanted=wanted, advice=_MONEY)


def _difference(order: AuditedOrder) -> tuple[str, str] | None:
    """Return what is wrong with an order and its payments, and what should be."""
    is_alive = order.status in {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID}
    if order.parked:
        return f"{order.parked} payments wait for it", "the order is there, so nothing waits for it"
    if order.status is OrderStatus.PAID and order.received < order.amount:
        return f"it is paid with {order.received}", f"it costs {order.amount}"
    if order.status is OrderStatus.PENDING_PAYMENT and order.counted >= order.amount:
        return f"it waits for payment and {order.counted} counts for it", f"it costs {order.amount}, so it is paid"
    if order.counting and not is_alive:
        return f"it is {order.status.value} and {order.counting} payments count for it", "they are to be given back"
    if order.status is OrderStatus.REFUND_REQUIRED and not order.owed:
        return "it is refund_required and no payment is", "it is refunded once all is"
    return None
