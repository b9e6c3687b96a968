"""Decide one command on the state of its resource: `decide(state, ask, arrived_at, decided_at) -> Decision`.

`arrived_at` judges deadlines, `decided_at` starts lifetimes. Refusals are asked for in the order of `topics.refusals`.
"""

from datetime import datetime, timedelta
from typing import Final, assert_never

from schema.rows import Hold, Order, Payment
from topics import commands
from workers.core import holding, ordering, paying
from workers.core.defining import define
from workers.core.kinds import Kind
from workers.core.state import Decision, Draft, State
from workers.core.telling import Ask, No, refuse

PARKING: Final = timedelta(minutes=15)


def arrival(state: State, appended_at: datetime, decided_at: datetime) -> datetime:
    """Return when a command counts as arrived: when the log took it, but not after its decision.

    And never before the resource's last arrival: the broker's clock may step back, the order of the log does not.
    """
    arrived_at = min(appended_at, decided_at)
    return arrived_at if state.resource is None else max(arrived_at, state.resource.last_arrived_at)


def decide(
    state: State, kind: Kind, ask: Ask, arrived_at: datetime, decided_at: datetime, *, parking: timedelta = PARKING
) -> Decision:
    """Return what the command changes and which events tell of it. Pure: the state is only read.

    `parking` is how long a payment waits for its order.
    """
    draft = Draft(state, arrived_at, decided_at, commands.client_reference_of(ask.command))
    _expire_due(draft)
    if holding.placed_before(draft, ask) or ordering.placed_before(draft, ask) or paying.recorded_before(draft, ask):
        return draft.decision(None)
    no = _first_no(ask, decided_at) or _obey(draft, kind, ask, parking)
    if no is not None:
        refuse(draft, ask, no)
    return draft.decision(None if no is None else no.reason)


def fail(state: State, ask: Ask, detail: str, arrived_at: datetime, decided_at: datetime) -> Decision:
    """Return the refusal `internal_error` of a command that made us fail; nothing else changes."""
    draft = Draft(state, arrived_at, decided_at, commands.client_reference_of(ask.command))
    refuse(draft, ask, No("internal_error", detail))
    return draft.decision("internal_error")


def _first_no(ask: Ask, decided_at: datetime) -> No | None:
    """Ask what does not depend on the resource."""
    if ask.key_is_reused:
        return No("idempotency_key_reused", "this key was used before for a request that asked for something else")
    if ask.expiry_time is not None and ask.expiry_time <= decided_at:
        return No("command_expired", f"the command was wanted before {ask.expiry_time.isoformat()}")
    return None


def _expire_due(draft: Draft) -> None:
    """Let end what is over on arrival, in the order of the deadlines, before anything else is decided."""
    for row in draft.state.due(draft.arrived_at):
        match row:
            case Hold():
                holding.expire(draft, row)
            case Order():
                ordering.expire(draft, row)
            case Payment():
                paying.expire_parked(draft, row)


def _obey(draft: Draft, kind: Kind, ask: Ask, parking: timedelta) -> No | None:
    match ask.command:
        case commands.DefineResource() as command:
            return define(draft, kind, command)
        case commands.Hold() as command:
            return holding.place(draft, kind, ask, command)
        case commands.Expire():
            return None  # what is due has been expired already; what is not stays
        case commands.CancelOrder() as command:
            return ordering.cancel(draft, ask, command)
        case commands.RecordPayment() as command:
            return paying.record(draft, ask, command, parking)
        case command:
            return _obey_of_hold(draft, kind, ask, command)


def _obey_of_hold(draft: Draft, kind: Kind, ask: Ask, command: commands.OfHold) -> No | None:
    match command:
        case commands.Confirm():
            return holding.confirm(draft, kind, ask, command)
        case commands.Cancel():
            return holding.cancel(draft, ask, command)
        case commands.Extend():
            return holding.extend(draft, ask, command)
        case commands.ChangeHold():
            return holding.change(draft, kind, ask, command)
        case commands.PlaceOrder():
            return ordering.place(draft, kind, ask, command)
        case _:
            assert_never(command)
