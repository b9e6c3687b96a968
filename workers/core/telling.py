"""Tell what was decided: a refusal, a change of a hold, or that nothing had to change. Everything told is an event."""

from datetime import datetime
from itertools import groupby
from operator import itemgetter

import msgspec

from schema.rows import Hold, Holding, HoldingEnd, HoldingUpdate
from topics import commands, events
from topics.resources import HoldStatus
from workers.core.state import Draft, Fact, Move, view

_WORDS = {Move.HELD: "held", Move.TAKEN: "taken", Move.RELEASED: "released", Move.RETURNED: "released"}
_ENDS = {
    HoldStatus.HELD: HoldingEnd.CHANGED,
    HoldStatus.CANCELLED: HoldingEnd.CANCELLED,
    HoldStatus.EXPIRED: HoldingEnd.EXPIRED,
}


class Ask(msgspec.Struct, frozen=True):
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


class No(msgspec.Struct, frozen=True):
    """A refusal: its reason (of the catalogue) and the detail of this occurrence.

    `retry_at` is from when on another try is worth it, `order_id` the order that stands in the way, `in_the_way` the pools
    that do, where clients know them by their names.
    """

    reason: str
    detail: str
    retry_at: datetime | None = None
    order_id: str | None = None
    in_the_way: tuple[str, ...] = ()


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
        in_the_way=list(no.in_the_way) or msgspec.UNSET,
    )
    draft.facts.append(Fact(events.REQUEST_REFUSED, draft.version(), answers=True, data=data))


def tell_of(draft: Draft, event: str, hold: Hold, *, answers: bool = True) -> None:
    """Record a change of a hold and tell of it, with a version of its own."""
    draft.put_hold(hold)
    _tell_moves(draft, hold)
    draft.next_version()
    _tell(draft, event, hold, answers=answers)


def _tell_moves(draft: Draft, hold: Hold) -> None:
    """Tell of each pool that the hold moved and that is told alone, with a version of its own, and note it for the audit."""
    for how, moves in groupby(draft.moves, key=itemgetter(1)):
        by_word = groupby([name for name, _ in moves], key=draft.kind.told_alone)
        for word, names in by_word:
            _tell_pools(draft, f"{word}.{_WORDS[how]}", hold, tuple(names))
    draft.holdings += [_holding(draft, hold, name, how) for name, how in draft.moves]
    draft.moves = []


def _tell_pools(draft: Draft, event: str, hold: Hold, pools: tuple[str, ...]) -> None:
    first = draft.version() + 1
    draft.next_version(len(pools))
    data = events.PoolMoved(
        resource_id=draft.state.key.resource_id,
        version=first,
        pool=pools[0],
        hold_id=hold.hold_id,
        counters=draft.counters(),
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
    )
    draft.facts.append(Fact(event, first, answers=False, data=data, pools=pools))


def _holding(draft: Draft, hold: Hold, pool: str, how: Move) -> Holding | HoldingUpdate:
    """Return what the audit keeps of a move."""
    match how:
        case Move.HELD:
            return Holding(hold.hold_id, pool, hold.buyer, draft.decided_at)
        case Move.TAKEN:
            return HoldingUpdate(hold.hold_id, pool, draft.decided_at, HoldingEnd.CONFIRMED)
        case Move.RELEASED:
            return HoldingUpdate(hold.hold_id, pool, hold.ended_at or draft.decided_at, _ENDS[hold.status])
        case Move.RETURNED:
            return HoldingUpdate(hold.hold_id, pool, returned_at=draft.decided_at)


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
