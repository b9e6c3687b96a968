"""However much is over when a command arrives, it is decided as if all of that had ended, and no transaction is long."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from schema.connections import Timeouts, lazy_pool
from schema.store import Store, Transaction
from tests.unit.builders import arrived
from topics.commands import Command, Confirm, DefineResource, Expire, Hold, PlaceOrder
from topics.events import HoldChanged, Stored, decode_data
from topics.identifiers import hold_id_of
from workers.applying import Applied, Applier, OpenTransaction
from workers.core.batch import Arrived, Outcome
from workers.crash_points import CrashPoint, Hooks, Reached

AT_ONCE = 100  # the least that a transaction expires
MANY = 2 * AT_ONCE + 50


def arrival_of(command: Command, claim: str, *, kind: str = "slot", offset: int = 0) -> Arrived:
    """Return a command as it came from the log just now."""
    return arrived(command, claim=claim, kind=kind, offset=offset, appended_at=datetime.now(UTC))


class Site:
    """A database with an applier on it, and a slot that has many holds which are over."""

    def __init__(self, store: Store) -> None:
        """Use a store."""
        self.store = store

    def applier(
        self, reached: Reached | None = None, *, at_once: int = AT_ONCE, transaction: OpenTransaction | None = None
    ) -> Applier:
        """Return a worker's applier, as after a start."""
        return Applier(
            transaction or self.store.transaction,
            request_retention=timedelta(days=14),
            expiries_max=at_once,
            reached=reached or Hooks().reached,
        )

    async def apply(self, *batch: Arrived) -> Sequence[Outcome]:
        """Apply a batch and return its outcomes, one a command."""
        applied: Applied = await self.applier().apply(batch)
        assert [outcome.arrived for outcome in applied.outcomes] == list(batch)
        return applied.outcomes

    async def fill(self, slot: str, holds_per_buyer: int | None = None) -> list[Arrived]:
        """Let a slot be defined and wholly held, by holds that are over now; return the holds in their order."""
        define = DefineResource(resource_id=slot, capacity=MANY, holds_per_buyer=holds_per_buyer)
        await self.apply(arrival_of(define, f"define {slot}"))
        holds = [
            arrival_of(Hold(resource_id=slot, buyer=f"buyer {number % 7}"), f"{slot} {number}", offset=number)
            for number in range(MANY)
        ]
        await self.apply(*holds)
        return holds


@pytest_asyncio.fixture
async def site(postgres_url: str) -> AsyncIterator[Site]:
    """Give a database with an applier."""
    async with lazy_pool(postgres_url, connections_max=2, timeouts=Timeouts(), role="tests") as pool:
        yield Site(Store(pool))


async def make_over(url: str) -> None:
    """Put the ends of all holds into the past, a thousandth of a second apart in the order in which they were placed."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """
            update holds set expires_at = numbered.expires_at
            from (
                select hold_id, clock_timestamp() - interval '1 minute'
                                + row_number() over (order by r.record_offset) * interval '1 ms' as expires_at
                from holds h join requests r on h.hold_id = 'hold_' || substr(r.request_id, 5)
            ) as numbered
            where numbered.hold_id = holds.hold_id
            """
        )
    finally:
        await connection.close()


def versions(events: Iterable[Stored]) -> list[int]:
    """Return the versions of events."""
    return [event.version for event in events]


def types(events: Iterable[Stored]) -> list[str]:
    """Return the types of events."""
    return [event.type for event in events]


async def test_e12_all_that_is_over_is_free_in_a_crowded_batch(site: Site, postgres_url: str) -> None:
    """A hold of everything is granted though more is over than a transaction ends, and 100 other slots are in the batch.

    First all expiries in their order, then the hold, each with a version of its own. Seen to fail (sold_out) with the
    share of a batch as the limit of what is expired.
    """
    old = await site.fill("room")
    await make_over(postgres_url)
    others = [arrival_of(DefineResource(resource_id=f"s{number}", capacity=1), f"s{number}") for number in range(100)]
    everything = arrival_of(Hold(resource_id="room", quantity=MANY), "all")
    outcomes = await site.apply(*others[:50], everything, *others[50:], arrival_of(Hold(resource_id="room"), "late"))
    told, late = outcomes[50].events or (), outcomes[-1]
    assert types(told) == ["hold.expired"] * MANY + ["hold.placed"]
    assert versions(told) == list(range(MANY + 2, 2 * MANY + 3))
    assert late.reason == "sold_out"
    ended = [decode_data(event.type, bytes(event.data)) for event in told[:-1]]
    assert [one.hold.id for one in ended if isinstance(one, HoldChanged)] == [hold_id_of(it.request_id) for it in old]
    assert len({event.id for event in told}) == len(told)


async def test_e16_a_hold_that_is_over_is_not_confirmed_before_older_ones_expire(site: Site, postgres_url: str) -> None:
    """A command that names the last of what is over finds it expired, after all the others.

    Seen to fail with the share of a batch as the limit of what is expired.
    """
    old = await site.fill("room")
    await make_over(postgres_url)
    last = hold_id_of(old[-1].request_id)
    (outcome,) = await site.apply(arrival_of(Confirm(resource_id="room", hold_id=last), "confirm"))
    told = outcome.events or ()
    assert (outcome.reason, types(told)) == ("hold_expired", ["hold.expired"] * MANY + ["request.refused"])


async def test_limits_count_no_hold_that_is_over(site: Site, postgres_url: str) -> None:
    """A buyer all of whose holds are over may hold again. Seen to fail with the share of a batch as the limit."""
    await site.fill("room", holds_per_buyer=MANY)
    await make_over(postgres_url)
    await site.apply(arrival_of(DefineResource(resource_id="room", capacity=MANY, holds_per_buyer=1), "stricter"))
    (outcome,) = await site.apply(arrival_of(Hold(resource_id="room", buyer="buyer 6"), "again"))
    assert outcome.reason is None


async def test_an_expire_ends_its_share(site: Site, postgres_url: str) -> None:
    """What the sweeper sends leaves a part to the next: it must not hold anybody up. Seen to fail with steps for it too."""
    await site.fill("room")
    await make_over(postgres_url)
    (outcome,) = await site.apply(arrival_of(Expire(resource_id="room"), "sweep"))
    assert types(outcome.events or ()) == ["hold.expired"] * AT_ONCE


class Killed(BaseException):
    """The worker dies."""


@pytest.mark.parametrize("commits", [1, 2])
async def test_e30_killed_between_steps(site: Site, postgres_url: str, commits: int) -> None:
    """A worker that dies after some steps is followed by one that takes the others, and tells of all of them.

    Once more delivered, the record has the same events told again, word for word. Seen to fail with steps that are not
    looked for when the record is delivered again.
    """
    await site.fill("room")
    await make_over(postgres_url)
    left = commits

    def reached(point: CrashPoint) -> None:
        nonlocal left
        left -= point is CrashPoint.AFTER_COMMIT
        if left == 0:
            raise Killed

    everything = arrival_of(Hold(resource_id="room", quantity=MANY), "all")
    with pytest.raises(Killed):
        await site.applier(reached).apply([everything])
    (first,) = await site.apply(everything)
    (again,) = await site.apply(everything)
    assert types(first.events or ()) == ["hold.expired"] * MANY + ["hold.placed"]
    assert versions(first.events or ()) == list(range(MANY + 2, 2 * MANY + 3))
    assert (first.repeated, again.repeated, again.events) == (False, True, first.events)


async def test_two_workers_take_the_same_steps(site: Site, postgres_url: str) -> None:
    """A zombie that decides the same command at once changes nothing: each step is taken once."""
    await site.fill("room")
    await make_over(postgres_url)
    everything = arrival_of(Hold(resource_id="room", quantity=MANY), "all")
    one, other = await asyncio.gather(site.apply(everything), site.apply(everything))
    assert one[0].events == other[0].events
    assert types(one[0].events or ()) == ["hold.expired"] * MANY + ["hold.placed"]


async def test_r4_no_step_is_taken_for_what_is_decided(site: Site, postgres_url: str) -> None:
    """A zombie that wakes up before its step, when its command was decided by who needed none, takes none any more.

    Nobody would tell of it: the command is acknowledged. Seen to fail with steps that do not look for their command.
    """
    await site.fill("room")
    await make_over(postgres_url)
    everything = arrival_of(Hold(resource_id="room", quantity=MANY), "all")
    first: list[Outcome] = []
    opened = 0

    @asynccontextmanager
    async def overtaken(*, is_locking: bool = True) -> AsyncIterator[Transaction]:
        nonlocal opened
        opened += 1
        if opened == 2:
            first.extend((await site.applier(at_once=2 * MANY).apply([everything])).outcomes)
            await make_over(postgres_url)
        async with site.store.transaction(is_locking=is_locking) as transaction:
            yield transaction

    zombie = await site.applier(transaction=overtaken).apply([everything])
    told = first[0].events or ()
    assert types(told) == ["hold.expired"] * MANY + ["hold.placed"]
    assert zombie.outcomes[0].events == told
    assert zombie.versions == {everything.key: told[-1].version}


async def test_orders_that_are_over_are_ended_in_steps_too(site: Site, postgres_url: str) -> None:
    """Unpaid orders return their units before a hold is decided, however many. Seen to fail without counting them."""
    define = DefineResource(resource_id="shoe", capacity=MANY, price=5, currency="EUR", payment_seconds=1)
    await site.apply(arrival_of(define, "define", kind="product"))
    holds = [arrival_of(Hold(resource_id="shoe"), f"hold {number}", kind="product") for number in range(MANY)]
    await site.apply(*holds)
    orders = [PlaceOrder(resource_id="shoe", hold_id=hold_id_of(hold.request_id)) for hold in holds]
    await site.apply(*[arrival_of(order, f"order {number}", kind="product") for number, order in enumerate(orders)])
    await asyncio.sleep(1.1)  # until all are over: it is the time of the test's clock that is waited for
    hold = arrival_of(Hold(resource_id="shoe", quantity=MANY), "all", kind="product")
    (outcome,) = await site.apply(hold)
    assert types(outcome.events or ()) == ["order.cancelled"] * MANY + ["hold.placed"]


async def test_a_long_backlog_of_a_crowded_slot(site: Site, postgres_url: str) -> None:
    """Hundreds of commands that came before so much was over are decided one by one, however deep the backlog is.

    Seen to fail (RecursionError, which stops a worker) with a call within a call for each of them.
    """
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    holds = [Hold(resource_id="room") for _ in range(MANY)]
    given: list[Command] = [DefineResource(resource_id="room", capacity=MANY), *holds]
    filling = [arrived(one, claim=f"{place}", appended_at=an_hour_ago) for place, one in enumerate(given)]
    await site.apply(*filling)
    await make_over(postgres_url)
    early = an_hour_ago + timedelta(minutes=1)
    late = [arrived(Hold(resource_id="room"), claim=f"late {number}", appended_at=early) for number in range(450)]
    assert {outcome.reason for outcome in await site.apply(*late)} == {"sold_out"}
