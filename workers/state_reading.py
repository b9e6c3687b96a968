"""Read what a batch is decided on: most of it in one statement, so of one instant, and orders and payments where it needs them.

Every statement is for the whole batch.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from schema.rows import ResourceKey
from schema.snapshots import Buyer, Claim, Decided, Snapshot, Wanted
from schema.store import Transaction
from topics import commands as commands_
from topics.identifiers import hold_id_of, order_id_of, request_id_of
from topics.signatures import account_of
from workers.core.batch import Arrived, Known, touched
from workers.core.kinds.registry import KINDS
from workers.core.needs import claimed_pools, named_pools
from workers.core.state import State

EXPIRIES_LEAST = 100
DEADLINES_MAX = 8  # the resources of a batch: of many at once the next batch is about others


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, as of the clock of Postgres: of what is over, `due_max` of each sort and resource at most.

    `pools` are the names of those that were read, None: all of the resource. `due_at` is the first deadline of each resource
    that has one; None if it was not read. With `is_carried` nothing was read: an earlier batch left it (`workers.keeping`).
    """

    decided_at: datetime
    decided: Sequence[Decided]
    known: Known
    states: dict[ResourceKey, State]
    due_max: int
    pools: Mapping[ResourceKey, Collection[str] | None]
    due_at: Mapping[ResourceKey, datetime] | None = None
    is_carried: bool = False


async def read_states(transaction: Transaction, commands: Sequence[Arrived], expiries_max: int) -> Reading:
    """Read what the commands need of their resources, and what is over.

    A resource may have a hundred thousand holds that ended at one instant: a transaction expires so many at most, oldest
    first, and stays short whatever ended. See `workers.steps` for what decides a command though more is due.
    """
    keys = touched(commands)
    due_max = max(min(EXPIRIES_LEAST, expiries_max), expiries_max // max(1, len(keys)))
    needs_deadlines = not transaction.is_locking and len(keys) <= DEADLINES_MAX
    wanted = _wanted(commands, keys, due_max, needs_deadlines=needs_deadlines)
    snapshot = await transaction.read(wanted)
    known = Known(
        events={row.request_id: row.events for row in snapshot.decided},
        owners={(row.source, row.claim_id): row.request_id for row in snapshot.decided if row.owns_claim},
    )
    # What is decided already needs nothing: a hold that it names may be over, and is not to expire before older ones.
    undecided = [arrived for arrived in commands if arrived.request_id not in known.events]
    states = _states(snapshot, keys, _named_holds(undecided))
    await _read_orders(transaction, undecided, states, snapshot, due_max)
    claimed = claimed_pools(states.values(), KINDS)
    if claimed:
        for key, name, pool in await transaction.pools_of(claimed):
            states[key].pools[name] = pool
    known = await _know_payments(transaction, undecided, known)
    due_at = snapshot.due_at if needs_deadlines else None
    return Reading(snapshot.now, snapshot.decided, known, states, due_max, wanted.pools, due_at)


def needs_lock(commands: Iterable[Arrived]) -> bool:
    """Tell whether the commands need orders and payments, or are steps, which must not be taken for what is decided."""
    return any(
        arrived.step_of is not None
        or _named_order(arrived) is not None
        or isinstance(arrived.command, commands_.RecordPayment)
        for arrived in commands
    )


def _wanted(commands: Sequence[Arrived], keys: Sequence[ResourceKey], due_max: int, *, needs_deadlines: bool) -> Wanted:
    return Wanted(
        keys=keys,
        claims=[
            Claim(arrived.source, arrived.claim_id, request_id)
            for arrived in commands
            for request_id in (arrived.request_id, arrived.step_of)
            if request_id is not None
        ],
        pools=named_pools(commands, KINDS),
        claimed_of={key for key in keys if KINDS[key.kind].names_pools},
        hold_ids=_named_holds(commands),
        due_max=due_max,
        refused={
            request_id_of(arrived.command.hold_id)
            for arrived in commands
            if isinstance(arrived.command, commands_.OfHold)
        },
        buyers=_buyers(commands),
        needs_deadlines=needs_deadlines,
    )


def _states(snapshot: Snapshot, keys: Iterable[ResourceKey], named: Collection[str]) -> dict[ResourceKey, State]:
    """Return the states of the resources; of the holds those that are over, and of these ids."""
    states = {key: State(key, snapshot.resources.get(key)) for key in keys}
    for key, name, pool in snapshot.pools:
        states[key].pools[name] = pool
    for key, hold in snapshot.due_holds:
        states[key].add([hold])
    for key, hold in snapshot.named_holds:
        if hold.hold_id in named:
            states[key].add([hold])
    for row in snapshot.refused:
        if row.key in states:
            states[row.key].refused[hold_id_of(row.request_id)] = (account_of(row.source), row.reason)
    for (key, buyer), holds in snapshot.live_holds.items():
        states[key].live_holds_of[buyer] = holds
    return states


def _named_holds(commands: Iterable[Arrived]) -> set[str]:
    """Return the holds that the commands name, or would place."""
    return {hold_id for arrived in commands if (hold_id := _named(arrived)) is not None}


def _named(arrived: Arrived) -> str | None:
    match arrived.command:
        case commands_.Hold():
            return hold_id_of(arrived.request_id)
        case commands_.DefineResource() | commands_.Expire() | commands_.CancelOrder() | commands_.RecordPayment():
            return None
        case command:
            return command.hold_id


def _buyers(commands: Iterable[Arrived]) -> set[Buyer]:
    """Return the buyers who ask for one hold more."""
    return {
        (arrived.key, buyer) for arrived in commands if (buyer := getattr(arrived.command, "buyer", None)) is not None
    }


async def _read_orders(
    transaction: Transaction,
    commands: Sequence[Arrived],
    states: Mapping[ResourceKey, State],
    snapshot: Snapshot,
    due_max: int,
) -> None:
    """Read orders and payments where commands ask for them, or where some are over; most batches have none of either."""
    named = {order_id for arrived in commands if (order_id := _named_order(arrived)) is not None}
    asking = {arrived.key for arrived in commands if _named_order(arrived) is not None}
    keys = {key for key in asking if key in snapshot.resources} | {*snapshot.with_due_sales}
    if not keys:
        return
    for key, row in await transaction.orders(keys, snapshot.until, named, due_max):
        states[key].add([row])


def _named_order(arrived: Arrived) -> str | None:
    match arrived.command:
        case commands_.PlaceOrder():
            return order_id_of(arrived.request_id)
        case commands_.CancelOrder() | commands_.RecordPayment() as command:
            return command.order_id
        case _:
            return None


async def _know_payments(transaction: Transaction, commands: Sequence[Arrived], known: Known) -> Known:
    """Add what is known of the payments that the batch reports, wherever they live: a payment is counted once."""
    named = {
        (command.provider, command.payment_id, command.event_id)
        for arrived in commands
        if isinstance(command := arrived.command, commands_.RecordPayment)
    }
    if not named:
        return known
    found = await transaction.known_payments(named)
    return replace(
        known,
        order_of_payment={(it.provider, it.payment_id): it.order_id for it in found if it.order_id is not None},
        said={(it.provider, it.event_id): it.recorded for it in found if it.recorded is not None},
    )
