"""Read what a batch is decided on: lock first, then read, so that what was committed while we waited is seen.

Every statement is for the whole batch, and most batches need but a few of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from schema.rows import Resource, ResourceKey
from schema.store import Claim, Decided, RacedError, Transaction
from topics import commands as commands_
from topics.identifiers import hold_id_of, order_id_of, request_id_of
from topics.signatures import account_of
from workers.core.batch import Arrived, Known, touched
from workers.core.kinds.registry import KINDS
from workers.core.needs import claimed_pools, named_pools
from workers.core.state import State

EXPIRIES_LEAST = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, as of the clock of Postgres: of what is over, `due_max` of each sort and resource at most."""

    decided_at: datetime
    decided: list[Decided]
    known: Known
    states: dict[ResourceKey, State]
    due_max: int


@dataclass(frozen=True, slots=True)
class _Due:
    """Until when something is over, and how many of each sort are read of a resource."""

    until: datetime
    due_max: int


async def read_states(transaction: Transaction, commands: Sequence[Arrived], expiries_max: int) -> Reading:
    """Lock the resources of the commands and read what these need, and what is over.

    A resource may have a hundred thousand holds that ended at one instant: a transaction expires so many at most, oldest
    first, and stays short whatever ended. See `workers.steps` for what decides a command though more is due.
    """
    keys = touched(commands)
    resources = await transaction.lock(keys)
    decided_at, decided = await transaction.clock_and_decided(
        [
            Claim(arrived.source, arrived.claim_id, request_id)
            for arrived in commands
            for request_id in (arrived.request_id, arrived.step_of)
            if request_id is not None
        ]
    )
    missing = [key for key in keys if key not in resources]
    if missing and decided and await transaction.lock(missing):
        # What does not exist cannot be locked: it was created after we looked for it, by who runs the same commands. Of
        # those we now know as decided; what follows them must not be decided as if they had not been.
        message = f"one of {len(missing)} resources was created while the batch was read"
        raise RacedError(message)
    known = Known(
        events={row.request_id: row.events for row in decided},
        owners={(row.source, row.claim_id): row.request_id for row in decided if row.owns_claim},
    )
    # What is decided already needs nothing: a hold that it names may be over, and is not to expire before older ones.
    undecided = [arrived for arrived in commands if arrived.request_id not in known.events]
    states = {key: State(key, resources.get(key)) for key in keys}
    due_max = max(min(EXPIRIES_LEAST, expiries_max), expiries_max // max(1, len(resources)))
    if resources:
        await _read_claims(transaction, undecided, states, _Due(_until(resources, decided_at), due_max))
    await _read_refused(transaction, undecided, states)
    return Reading(decided_at, decided, await _know_payments(transaction, undecided, known), states, due_max)


async def _read_claims(
    transaction: Transaction, commands: Sequence[Arrived], states: Mapping[ResourceKey, State], due: _Due
) -> None:
    """Read pools, holds and orders of the resources that exist."""
    existing = [key for key, state in states.items() if state.resource is not None]
    needed = {key: names for key, names in named_pools(commands, KINDS).items() if key in existing}
    pools, have_due_orders = await transaction.pools(needed, due.until)
    for key, pools_of_resource in pools.items():
        states[key].pools |= pools_of_resource
    for key, holds in (await transaction.holds(existing, due.until, _named_holds(commands), due.due_max)).items():
        states[key].add(holds)
    await _read_buyers(transaction, commands, states)
    await _read_orders(transaction, commands, states, have_due_orders, due)
    claimed = claimed_pools(states.values(), KINDS)
    if claimed:
        for key, pools_of_resource in (await transaction.pools_of(claimed)).items():
            states[key].pools |= pools_of_resource


def _until(resources: Mapping[ResourceKey, Resource], decided_at: datetime) -> datetime:
    """Return the latest arrival that the batch may have.

    After a failover Postgres's clock may be behind an arrival that is stored already, and arrivals never go back.
    """
    return max([decided_at, *(resource.last_arrived_at for resource in resources.values())])


def _named_holds(commands: Sequence[Arrived]) -> set[str]:
    """Return the holds that the commands name, or would place."""
    return {hold_id for arrived in commands if (hold_id := _named(arrived)) is not None}


async def _read_buyers(
    transaction: Transaction, commands: Sequence[Arrived], states: Mapping[ResourceKey, State]
) -> None:
    """Count the live holds of the buyers who ask for one more."""
    buyers = {
        (arrived.key, buyer)
        for arrived in commands
        if (buyer := getattr(arrived.command, "buyer", None)) is not None and states[arrived.key].resource is not None
    }
    live = await transaction.live_holds_of(buyers) if buyers else {}
    for (key, buyer), holds_of_buyer in live.items():
        states[key].live_holds_of[buyer] = holds_of_buyer


async def _read_orders(
    transaction: Transaction,
    commands: Sequence[Arrived],
    states: Mapping[ResourceKey, State],
    have_due_orders: Collection[ResourceKey],
    due: _Due,
) -> None:
    """Read orders and payments where commands ask for them, or where some are over; most batches have none of either."""
    named = {order_id for arrived in commands if (order_id := _named_order(arrived)) is not None}
    keys = {arrived.key for arrived in commands if _named_order(arrived) is not None} | {*have_due_orders}
    if not keys:
        return
    for key, row in await transaction.orders(keys, due.until, named, due.due_max):
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


def _named(arrived: Arrived) -> str | None:
    match arrived.command:
        case commands_.Hold():
            return hold_id_of(arrived.request_id)
        case commands_.DefineResource() | commands_.Expire() | commands_.CancelOrder() | commands_.RecordPayment():
            return None
        case command:
            return command.hold_id


async def _read_refused(
    transaction: Transaction, commands: Sequence[Arrived], states: Mapping[ResourceKey, State]
) -> None:
    """Read why a named hold does not exist, where it was asked for and refused: on that very resource."""
    missing = {
        request_id_of(arrived.command.hold_id)
        for arrived in commands
        if isinstance(arrived.command, commands_.OfHold) and arrived.command.hold_id not in states[arrived.key].holds
    }
    if not missing:
        return
    for row in await transaction.refused(missing):
        if row.key in states:
            states[row.key].refused[hold_id_of(row.request_id)] = (account_of(row.source), row.reason)
