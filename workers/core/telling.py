"""Tell what was decided: a refusal, a change of a hold, or that nothing had to change. Everything told is an event."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from schema.rows import Hold
from topics import commands, events
from workers.core.state import Draft, Fact, view


@dataclass(frozen=True, slots=True)
class Ask:
    """A command with what travels beside it: whose it is, and what the claim says of it.

    `payment_order_id` is the order that the command's payment is known to be of; `is_recorded` tells that this very event
    of the provider is recorded already.
    """

    command: commands.Command
    request_id: str
    account: str
    expiry_time: datetime | None = None
    key_is_reused: bool = False
    payment_order_id: str | None = None
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class No:
    """A refusal: its reason (of the catalogue) and the detail of this occurrence.

    `retry_at` is from when on another try is worth it, `order_id` the order that stands in the way.
    """

    reason: str
    detail: str
    retry_at: datetime | None = None
    order_id: str | None = None


def refuse(draft: Draft, ask: Ask, no: No) -> None:
    """Tell that the command is refused; the resource keeps its version."""
    data = events.RequestRefused(
        resource_id=draft.state.key.resource_id,
        command=type(ask.command).__name__,
        version=draft.version(),
        reason=no.reason,
        detail=no.detail,
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
        counters=None if draft.resource is None else draft.counters(),
        client_reference=draft.client_reference,
        retry_at=no.retry_at,
        order_id=no.order_id or msgspec.UNSET,
    )
    draft.facts.append(Fact(events.REQUEST_REFUSED, draft.version(), answers=True, data=data))


def tell_of(draft: Draft, event: str, hold: Hold, *, answers: bool = True) -> None:
    """Record a change of a hold and tell of it, with a version of its own."""
    draft.put_hold(hold)
    draft.next_version()
    _tell(draft, event, hold, answers=answers)


def tell_unchanged(draft: Draft, hold: Hold) -> None:
    """Answer with the hold as it stands: what was asked for is so already. The resource keeps its version."""
    _tell(draft, events.HOLD_UNCHANGED, hold, answers=True)


def _tell(draft: Draft, event: str, hold: Hold, *, answers: bool) -> None:
    data = events.HoldChanged(
        resource_id=draft.state.key.resource_id,
        version=draft.version(),
        hold=view(hold),
        counters=draft.counters(),
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
        client_reference=draft.client_reference if answers else None,
    )
    draft.facts.append(Fact(event, draft.version(), answers=answers, data=data))
