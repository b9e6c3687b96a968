"""Payments against what providers said, against their orders, and against what was told: where all the money is.

Money that waits for somebody contradicts nothing, so it is noted and no discrepancy: it has an alert of its own.
"""

from dataclasses import dataclass, field

from firmhold.audit.digests import Digests
from firmhold.audit.findings import Check
from firmhold.audit.marks import CLOCKS_DIFFER_MAX, Marks
from schema.audits import AuditedPayment, AuditedRequest, Audits
from schema.money import counts, net
from schema.orders import KnownPayment, Named
from schema.rows import Payment
from topics import events
from topics.catalogue import Catalogue
from topics.identifiers import refund_id
from topics.orders import PaymentStatus
from topics.partitions import partition_of

_BY_HAND = "Compare with a backup: no worker writes one without the other"
_AT_ONCE_MAX = 500


@dataclass(frozen=True, slots=True)
class _Owed:
    """Money that is to be given back, and the event that must have told of it."""

    kind: str
    subject: str
    refund_id: str


@dataclass(slots=True)
class Payments:
    """The comparisons. `told` is what the event topics said, by event id."""

    catalogue: Catalogue
    marks: Marks
    audits: Audits
    told: Digests
    check: Check = field(
        default_factory=lambda: Check(
            "payments", "payments against what providers said, their orders and what was told"
        )
    )
    _refunds: Digests = field(default_factory=Digests)
    _recorded: dict[Named, AuditedRequest] = field(default_factory=dict)
    _owed: list[_Owed] = field(default_factory=list)

    async def judge_request(self, request: AuditedRequest) -> None:
        """Look whether what a request says to have recorded is there, and whether it was paid and refunded as it should be."""
        for event in events.decode_stored(request.events):
            if event.type == events.REFUND_REQUIRED:
                self._note_refund(request, event.id)
            elif event.type in {events.ORDER_PAID, events.ORDER_RECOVERED}:
                self._judge_paid(request, events.decode_data(event.type, bytes(event.data)))
            elif event.type == events.PAYMENT_RECORDED and event.answers:
                recorded = events.decode_data(event.type, bytes(event.data))
                if isinstance(recorded, events.PaymentRecorded) and recorded.event_id is not None:
                    name = recorded.payment.provider, recorded.payment.payment_id, recorded.event_id
                    self._recorded[name] = request
        if len(self._recorded) >= _AT_ONCE_MAX:
            await self.requests_were_read()

    def _note_refund(self, request: AuditedRequest, refund: str) -> None:
        if refund in self._refunds:
            self.check.tell(
                f"request {request.request_id}",
                found=f"it requires {refund}, which another request required too",
                wanted="a payment is to be given back once",
                advice="Look at the provider whether it was given back twice",
            )
        self._refunds.add(refund)

    def _judge_paid(self, request: AuditedRequest, told: object) -> None:
        if isinstance(told, events.OrderChanged) and told.order.counted < told.order.amount:
            self.check.tell(
                f"request {request.request_id}",
                found=f"it told that {told.order.id} is paid, with {told.order.counted}",
                wanted=f"what counts at that moment is the whole amount, {told.order.amount}",
                advice="A bug of ours: `firmhold requests show` with the order's id tells what was said of its payments",
            )

    async def requests_were_read(self) -> None:
        """Look for the payments, and the providers' words, that requests say they recorded."""
        recorded, self._recorded = self._recorded, {}
        for known in await self.audits.recorded(recorded.keys()):
            request = recorded[known.provider, known.payment_id, known.event_id]
            missing = _missing(known)
            if missing:
                self.check.tell(
                    f"request {request.request_id} of {request.key.kind} {request.key.resource_id}",
                    found=f"it recorded {known.provider}'s event {known.event_id} of {known.payment_id}, and {missing}",
                    wanted="payments and what providers say of them are kept for ever",
                    advice=_BY_HAND,
                )

    def judge_payment(self, audited: AuditedPayment) -> None:
        """Look whether somebody said it, whether it may count, and whether anybody knows of money that needs somebody."""
        self.check.looked_at += 1
        payment = audited.payment
        subject = (
            f"{audited.key.kind} {audited.key.resource_id}, payment {payment.payment_id} of {payment.provider} "
            f"for {payment.order_id}"
        )
        if not audited.was_said:
            self.check.tell(
                subject,
                found="no event of its provider is stored of it and this order",
                wanted="a payment is what a provider said",
                advice=_BY_HAND,
            )
        difference = _difference(audited)
        if difference is not None:
            found, wanted, advice = difference
            self.check.tell(subject, found=found, wanted=wanted, advice=advice)
        if payment.status is PaymentStatus.REFUND_REQUIRED:
            self._judge_owed(audited, subject)
        need = _need(audited)
        if need is not None:
            self.check.note(subject, need)
        if audited.contradicted_by:
            self.check.note(
                subject,
                f"it is {_money(payment)}, which was said first; {', '.join(audited.contradicted_by)} said other money: "
                "ask the provider which is right",
            )

    def _judge_owed(self, audited: AuditedPayment, subject: str) -> None:
        key, payment = audited.key, audited.payment
        home = partition_of(key.resource_id.encode(), self.catalogue.partitions)
        if not self.marks.may_be_gone(self.catalogue.events(key.kind), home, payment.arrived_at):
            its_id = refund_id(key.kind, key.resource_id, payment.provider, payment.payment_id)
            self._owed.append(_Owed(key.kind, subject, its_id))

    def settle(self, reached: set[str]) -> None:
        """Judge what was left; `reached` has the kinds whose workers are past all that was decided when rows were read."""
        for owed in self._owed:
            if owed.refund_id in self.told:
                continue
            if owed.kind not in reached:
                self.check.open += 1
                continue
            self.check.tell(
                owed.subject,
                found=f"it is to be given back, and {owed.refund_id} was never told",
                wanted="whoever gives money back hears of it",
                advice="Give it back at its provider; no worker writes that without telling: find out who did",
            )


def _missing(known: KnownPayment) -> str:
    """Say what is missing of what was recorded."""
    if known.order_id is None:
        return "there is no such payment"
    if known.recorded is None:
        return "no such event is stored"
    if known.recorded.payment_id != known.payment_id:
        return f"that event is stored of {known.recorded.payment_id}"
    return ""


def _difference(audited: AuditedPayment) -> tuple[str, str, str] | None:
    """Return what contradicts its order or the time, what should be, and what to do."""
    payment = audited.payment
    if not audited.is_of_its_resource:
        return "it is of another resource than its order", "its order's id names that resource", _BY_HAND
    if payment.parked_until is not None and payment.parked_until + CLOCKS_DIFFER_MAX < audited.now:
        return (
            f"it waited for its order until {payment.parked_until.isoformat()}, and nobody has raised its alarm",
            "the workers' sweepers see to that within seconds",
            "See that workers run, and FIRMHOLD_SWEEP_SECONDS is not 0 on all of them; then the money is to be given back",
        )
    if not counts(payment):
        return None
    if audited.order_currency is None:
        return (
            "it counts for an order that is not there",
            "money without its order waits, or is to be given back",
            _BY_HAND,
        )
    if payment.currency != audited.order_currency or net(payment) <= 0:
        found = f"it counts with {_money(payment)}, of which {payment.refunded_amount} went back"
        return found, f"what counts is more than nothing, and in {audited.order_currency}", _BY_HAND
    return None


def _need(audited: AuditedPayment) -> str | None:
    """Say why somebody must look at a payment, None if nobody must."""
    payment = audited.payment
    if payment.status is PaymentStatus.MISMATCHED:
        return f"{_money(payment)} is not what its order asks for: look at it, and give it back"
    if payment.status is not PaymentStatus.REFUND_REQUIRED:
        return None
    why = "its order never came" if audited.order_currency is None else "its order does not count it"
    return f"{_money(payment)} is to be given back: {why}"


def _money(payment: Payment) -> str:
    return f"{'an unknown amount' if payment.amount is None else payment.amount} {payment.currency or ''}".rstrip()
