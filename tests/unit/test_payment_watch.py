"""What the payment watch tells, and until when."""

import asyncpg
import pytest

from schema.open_payments import Need, OpenPayments
from tests.installation import eventually
from workers.payment_watch import PaymentWatch


async def test_it_tells_what_it_counted_last() -> None:
    """Each need, those of nobody as 0; nothing before it counted."""

    async def count() -> dict[Need, OpenPayments]:
        return {need: OpenPayments() for need in Need} | {Need.ORPHANED: OpenPayments(2, 7.5)}

    watch = PaymentWatch(count, 60)
    assert (watch.payments(), watch.oldest_seconds()) == ({}, {})
    await watch.look_once()
    assert watch.payments() == {(need.value,): 0 for need in Need} | {("orphaned",): 2}
    assert watch.oldest_seconds()[("orphaned",)] == 7.5


async def test_what_is_old_is_not_told() -> None:
    """While Postgres is away an alert on its absence must be right. Seen to fail with whatever was counted last."""

    async def count() -> dict[Need, OpenPayments]:
        return {Need.PARKED: OpenPayments(1, 1.0)}

    watch = PaymentWatch(count, 0.05)
    await watch.look_once()
    assert watch.payments() == {("parked",): 1}
    await eventually(lambda: (watch.payments(), watch.oldest_seconds()) == ({}, {}), what="it is forgotten")


async def test_a_fault_that_it_does_not_understand_ends_it() -> None:
    """As it ends a worker; a server that does not answer does not. Fails (never ends) if every fault is passed over."""
    faults: list[Exception] = [ValueError("what is this"), TimeoutError(), asyncpg.ConnectionDoesNotExistError()]

    async def count() -> dict[Need, OpenPayments]:
        raise faults.pop()

    with pytest.raises(ValueError, match="what is this"):
        await PaymentWatch(count, 0.001).run()
    assert faults == []
    await PaymentWatch(count, 0).run()
