"""What a provider's events do to a payment and to its order: the table of "Orders and payments" in the design, cell by cell.

A payment only moves forward, and its order counts it once; so copies, late news and news in another order do no harm.
"""

from datetime import timedelta

from msgspec.structs import replace

from schema.money import counted, counts, net
from schema.rows import Order, Payment, PaymentEvent, PaymentWords, UnitsAre
from topics import commands, events
from topics.orders import EndedBy, OrderStatus, PaymentEffect, PaymentReport, PaymentStatus, RefundCause
from workers.core.ending import end
from workers.core.holding import no_resource
from workers.core.order_lifecycle import NEXT_OF_ORDER, NEXT_OF_PAYMENT, OrderHappening, PaymentHappening
from workers.core.state import Draft
from workers.core.telling import Ask, No
from workers.core.telling_of_orders import tell_order, tell_payment, tell_refund
from workers.core.units import lack, make_firm, put_back, take

_Judged = tuple[Payment, PaymentEffect]
_ENDED = (OrderStatus.CANCELLED, OrderStatus.REFUND_REQUIRED)


def words_of(command: commands.RecordPayment) -> PaymentWords:
    """Return what a provider says, for comparing it with what it said before by the same event id."""
    return PaymentWords(command.payment_id, command.status, command.amount, command.currency, command.return_units)


def recorded_before(draft: Draft, ask: Ask) -> bool:
    """Answer a provider's event that is recorded already with the payment as it stands: it is applied once, for ever."""
    command = ask.command
    if not isinstance(command, commands.RecordPayment) or not ask.is_recorded:
        return False
    payment = draft.payment(command.order_id, (command.provider, command.payment_id))
    if payment is not None:
        tell_payment(draft, events.PAYMENT_UNCHANGED, payment, event_id=command.event_id, answers=True)
    return payment is not None


def record(draft: Draft, ask: Ask, command: commands.RecordPayment, parking: timedelta) -> No | None:
    """Record what a provider says, and let the order follow. A payment without its order waits for it for `parking`."""
    if draft.resource is None:
        return no_resource(command.resource_id)
    if ask.payment_order_id not in {None, command.order_id}:
        return No("payment_of_another_order", f"{command.provider}'s payment {command.payment_id} is another order's")
    order = draft.order(command.order_id)
    if ask.is_recorded:
        return No("idempotency_key_reused", f"{command.provider}'s event {command.event_id} is of another resource")
    before = draft.payment(command.order_id, (command.provider, command.payment_id)) or _unheard_of(draft, command)
    # A report that names no currency is in that of its payment.
    currency = command.currency or before.currency
    mismatches = _mismatches(_currency_of(order, before, command.status), command.amount, currency)
    payment, effect = _judge(draft, order, before, command, mismatches=mismatches)
    if order is None and payment.status is PaymentStatus.PAID and before.status is not PaymentStatus.PAID:
        payment = replace(payment, parked_until=draft.decided_at + parking)
    draft.payment_events.append(_event(draft, ask, command, effect))
    tell_payment(draft, events.PAYMENT_RECORDED, payment, effect, command.event_id, answers=True)
    if order is not None and not mismatches:
        _follow(draft, order, before, (payment, effect), command.status)
    return None


def settle(draft: Draft, order: Order) -> None:
    """Let the payments that came before their order do to it what they would have done behind it."""
    payments = draft.payments_of(order.order_id)
    for payment in payments:
        order = draft.order(order.order_id) or order
        if payment.parked_until is not None:
            _settle_parked(draft, order, payment)
        elif payment.status is PaymentStatus.REFUND_REQUIRED and payment.amount is None:
            _say_amount(draft, order, payment)
    order = draft.order(order.order_id) or order
    if order.status is OrderStatus.PENDING_PAYMENT and order.amount == 0:
        _pay(draft, order)
    elif order.status is OrderStatus.PENDING_PAYMENT and any(_has_failed(order, payment) for payment in payments):
        end(draft, order, EndedBy.FAILURE)


def _settle_parked(draft: Draft, order: Order, parked: Payment) -> None:
    if _mismatches(order.currency, parked.amount, parked.currency):
        mismatched = NEXT_OF_PAYMENT[parked.status][PaymentHappening.MISMATCH]
        judged = replace(parked, status=mismatched, parked_until=None), PaymentEffect.MISMATCHED
    else:
        judged = _fate(draft, order, parked)
    tell_payment(draft, events.PAYMENT_RECORDED, *judged)
    _follow(draft, order, parked, judged, PaymentReport.PAID)


def _say_amount(draft: Draft, order: Order, payment: Payment) -> None:
    """Say how much it is that was to be given back as a whole before the order came, so that a refund can reach it."""
    if not _mismatches(order.currency, None, payment.currency):
        payment = _unless_refunded(replace(payment, amount=order.amount, currency=order.currency))
        tell_payment(draft, events.PAYMENT_RECORDED, payment, PaymentEffect.RECORDED)


def expire_parked(draft: Draft, payment: Payment) -> None:
    """Give up waiting for the order of a payment: raise the alarm, and have the money given back."""
    required = NEXT_OF_PAYMENT[payment.status][PaymentHappening.REQUIRE_REFUND]
    payment = replace(payment, status=required, parked_until=None)
    tell_payment(draft, events.PAYMENT_ORPHANED, payment, PaymentEffect.REFUND_REQUIRED)
    tell_refund(draft, payment, RefundCause.ORDER_NEVER_CAME)


def _judge(
    draft: Draft, order: Order | None, before: Payment, command: commands.RecordPayment, *, mismatches: bool
) -> _Judged:
    """Return what becomes of the payment, and what the event came to."""
    if command.status is PaymentReport.PAID:
        return _paid(draft, order, before, command, mismatches=mismatches)
    if mismatches:
        return before, PaymentEffect.RECORDED
    payment = before
    if command.status is PaymentReport.REFUNDED:
        payment = _refunded(order, before, command)
    elif command.status is PaymentReport.FAILED:
        status = NEXT_OF_PAYMENT[before.status].get(PaymentHappening.FAIL, before.status)
        payment = replace(before, status=status, currency=before.currency or command.currency)
    if payment == before and PaymentHappening.PAY not in NEXT_OF_PAYMENT[before.status]:
        return before, PaymentEffect.IGNORED
    return payment, PaymentEffect.PARKED if order is None else PaymentEffect.RECORDED


def _paid(
    draft: Draft, order: Order | None, before: Payment, command: commands.RecordPayment, *, mismatches: bool
) -> _Judged:
    ways = NEXT_OF_PAYMENT[before.status]
    if PaymentHappening.PAY not in ways:
        return before, PaymentEffect.IGNORED
    happening = PaymentHappening.MISMATCH if mismatches else PaymentHappening.PAY
    currency = command.currency or before.currency
    payment = replace(before, status=ways[happening], amount=command.amount, currency=currency)
    if before.currency not in {None, currency}:
        # What was refunded so far was not of this money.
        payment = replace(payment, refunded_amount=0, returns_units=False)
    if mismatches:
        payment = _unless_refunded(payment) if payment.amount is not None and payment.amount > 0 else payment
        is_back = payment.status is PaymentStatus.REFUNDED
        return payment, PaymentEffect.RECORDED if is_back else PaymentEffect.MISMATCHED
    if order is not None:
        return _fate(draft, order, payment)
    return (payment if payment.amount is None else _unless_refunded(payment)), PaymentEffect.PARKED


def _fate(draft: Draft, order: Order, payment: Payment) -> _Judged:
    """Decide of money that is there whether its order counts it."""
    amount = _due(draft, order) if payment.amount is None else payment.amount
    payment = _unless_refunded(replace(payment, amount=amount, currency=order.currency, parked_until=None))
    if payment.status is not PaymentStatus.PAID:
        return payment, PaymentEffect.RECORDED
    if order.status is OrderStatus.PENDING_PAYMENT or (_is_enough(order, payment) and lack(draft, order.units) is None):
        return payment, PaymentEffect.COUNTED
    required = NEXT_OF_PAYMENT[payment.status][PaymentHappening.REQUIRE_REFUND]
    return replace(payment, status=required), PaymentEffect.REFUND_REQUIRED


def _due(draft: Draft, order: Order) -> int:
    """Return how much it is if nobody says it: what the order still lacks, all of it where it waits for no money."""
    if order.status is not OrderStatus.PENDING_PAYMENT:
        return order.amount
    return order.amount - counted(draft.payments_of(order.order_id))


def _unless_refunded(payment: Payment) -> Payment:
    """Return the payment, refunded if all of it went back before it was heard of."""
    if net(payment) > 0:
        return payment
    status = NEXT_OF_PAYMENT[payment.status][PaymentHappening.REFUND]
    return replace(payment, status=status, refunded_amount=payment.amount or 0)


def _is_enough(order: Order, payment: Payment) -> bool:
    """Tell whether a payment would bring an order back that ended without having been called off."""
    return order.status in _ENDED and order.ended_by is not EndedBy.REQUEST and net(payment) >= order.amount


def _follow(draft: Draft, order: Order, before: Payment, judged: _Judged, report: PaymentReport) -> None:
    """Let the order follow its payment."""
    payment, effect = judged
    match report:
        case PaymentReport.PAID if effect is PaymentEffect.COUNTED:
            if order.status is not OrderStatus.PENDING_PAYMENT:
                _recover(draft, order)
            elif counted(draft.payments_of(order.order_id)) >= order.amount:
                _pay(draft, order)
        case PaymentReport.PAID if effect is PaymentEffect.REFUND_REQUIRED:
            _owe(draft, order, payment)
        case PaymentReport.FAILED if (
            order.status is OrderStatus.PENDING_PAYMENT and payment.status is PaymentStatus.FAILED
        ):
            end(draft, order, EndedBy.FAILURE)
        case PaymentReport.REFUNDED if payment != before:
            _refund(draft, order, before)
        case _:
            return


def _pay(draft: Draft, order: Order) -> None:
    make_firm(draft, order.units)
    status = NEXT_OF_ORDER[order.status][OrderHappening.PAY]
    tell_order(draft, events.ORDER_PAID, replace(order, status=status, units_are=UnitsAre.TAKEN))


def _recover(draft: Draft, order: Order) -> None:
    """Bring an order back that ended before its money came; that its units are free was asked before."""
    no = take(draft, order.units)
    if no is not None:
        raise AssertionError(no)
    make_firm(draft, order.units)
    status = NEXT_OF_ORDER[order.status][OrderHappening.PAY]
    recovered = replace(order, status=status, units_are=UnitsAre.TAKEN, ended_by=None)
    tell_order(draft, events.ORDER_RECOVERED, recovered)


def _owe(draft: Draft, order: Order, payment: Payment) -> None:
    """Have money given back that its order does not count."""
    why = RefundCause.SOLD_OUT if _is_enough(order, payment) else RefundCause.ORDER_ENDED
    if order.status is OrderStatus.PAID:
        why = RefundCause.CHARGED_TWICE
    if order.status is OrderStatus.CANCELLED and order.ended_by is not EndedBy.REQUEST:
        status = NEXT_OF_ORDER[order.status][OrderHappening.OWE]
        tell_order(draft, events.ORDER_REFUND_REQUIRED, replace(order, status=status))
    tell_refund(draft, payment, why)


def _refunded(order: Order | None, before: Payment, command: commands.RecordPayment) -> Payment:
    """Return the payment behind a refund: of all of it, or of as much as is named so far.

    If nobody knows how much it is, a named refund is all of it only once all was asked back.
    """
    payment = replace(
        before,
        currency=before.currency or command.currency,
        returns_units=before.returns_units or command.return_units,
        took_units=before.took_units or (order is not None and order.status is OrderStatus.PAID and counts(before)),
    )
    status = NEXT_OF_PAYMENT[before.status].get(PaymentHappening.REFUND)
    if status is None:
        return payment
    whole = before.amount if before.amount is not None and before.amount > 0 else None
    refunded = max(before.refunded_amount, command.amount or 0)
    if command.amount is not None:
        is_all = before.status is PaymentStatus.REFUND_REQUIRED if whole is None else refunded >= whole
        if not is_all:
            return replace(payment, refunded_amount=refunded)
    return replace(payment, status=status, refunded_amount=refunded if whole is None else whole, parked_until=None)


def _refund(draft: Draft, order: Order, before: Payment) -> None:
    """End an order whose money is all given back; its units return if a refund of money that took them said so.

    Be it a late one. What another payment's refund says of units is not of these.
    """
    payments = draft.payments_of(order.order_id)
    match order.status:
        case OrderStatus.PAID:
            is_over = counts(before) and not any(counts(payment) for payment in payments)
        case OrderStatus.REFUND_REQUIRED:
            is_over = all(payment.status is not PaymentStatus.REFUND_REQUIRED for payment in payments)
        case _:
            is_over = False
    returns = order.units_are is UnitsAre.TAKEN and any(
        payment.took_units and payment.returns_units for payment in payments
    )
    if not is_over and not (returns and order.status is OrderStatus.REFUNDED):
        return
    refunded = replace(order, status=NEXT_OF_ORDER[order.status][OrderHappening.REFUND])
    if returns:
        put_back(draft, order.units, firm=True)
        refunded = replace(refunded, units_are=UnitsAre.RETURNED)
    tell_order(draft, events.ORDER_REFUNDED, refunded)


def _has_failed(order: Order, payment: Payment) -> bool:
    """Tell whether a payment failed for good before its order came."""
    return payment.status is PaymentStatus.FAILED and payment.currency in {None, order.currency}


def _currency_of(order: Order | None, payment: Payment, report: PaymentReport) -> str | None:
    """Return the currency that a report must be in: a refund in that of its payment, all else in the order's.

    A refund that overtakes its payment may be in any: it tells the payment's.
    """
    if report is PaymentReport.REFUNDED:
        return payment.currency
    return None if order is None else order.currency


def _mismatches(expected: str | None, amount: int | None, currency: str | None) -> bool:
    """Tell whether an amount is none, or one of another currency than expected."""
    return (amount is not None and amount <= 0) or (expected is not None and currency not in {None, expected})


def _unheard_of(draft: Draft, command: commands.RecordPayment) -> Payment:
    return Payment(
        provider=command.provider,
        payment_id=command.payment_id,
        order_id=command.order_id,
        status=PaymentStatus.PROCESSING,
        amount=None,
        currency=None,
        refunded_amount=0,
        returns_units=False,
        took_units=False,
        parked_until=None,
        arrived_at=draft.arrived_at,
    )


def _event(draft: Draft, ask: Ask, command: commands.RecordPayment, effect: PaymentEffect) -> PaymentEvent:
    return PaymentEvent(
        provider=command.provider,
        event_id=command.event_id,
        payment_id=command.payment_id,
        order_id=command.order_id,
        report=command.status,
        amount=command.amount,
        currency=command.currency,
        return_units=command.return_units,
        effect=effect,
        request_id=ask.request_id,
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
    )
