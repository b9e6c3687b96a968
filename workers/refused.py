"""Refusals that somebody must hear of: what is refused to a payment is paid money all the same. Pure."""

from topics import events
from topics.commands import RecordPayment
from workers.core.batch import Outcome

INTERNAL_ERROR = "internal_error"


def refusal_of_record(outcome: Outcome) -> events.RequestRefused | None:
    """Return the refusal that was decided from this very record; None if it was granted, or decided from an earlier copy.

    It is the same when the record is delivered again: the worker that decided it may have died before it told anybody.
    """
    answer = next((event for event in outcome.events or () if event.answers), None)
    if answer is None or answer.type != events.REQUEST_REFUSED:
        return None
    if answer.record != f"{outcome.arrived.partition}/{outcome.arrived.offset}":
        return None
    refused = events.decode_data(answer.type, bytes(answer.data))
    return refused if isinstance(refused, events.RequestRefused) else None


def reports_payment(outcome: Outcome) -> bool:
    """Tell whether an outcome is that of a provider's word."""
    return type(outcome.arrived.command) is RecordPayment


def refused_payment(outcome: Outcome) -> str | None:
    """Say in a sentence why the payment that this very record reports is not recorded; None if it is, or is no payment.

    Not of a fault of ours: that is put aside as such.
    """
    command = outcome.arrived.command
    refused = refusal_of_record(outcome) if isinstance(command, RecordPayment) else None
    if not isinstance(command, RecordPayment) or refused is None or refused.reason == INTERNAL_ERROR:
        return None
    what = f"{command.provider}'s event {command.event_id} of payment {command.payment_id} for {command.order_id}"
    return f"{refused.reason}: {refused.detail}. Not recorded: {what}, as {outcome.arrived.request_id}"
