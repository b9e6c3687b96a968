"""What providers that follow Standard Webhooks say, and which command it becomes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.payment_bodies import command_of
from gateway.unusable import Unusable
from topics import commands
from topics.commands import RecordPayment
from topics.orders import PaymentReport

ORDER = "order_product~sneaker-9~3ykqsmhpsu6mbbcw5zhskwwvnp4yz7xs"
SAID = {"payment_idempotency_key": "k-1", "order_id": ORDER, "status": "paid"}


def read(**changed: Any) -> RecordPayment:  # noqa: ANN401 - JSON
    """Translate a body with some members changed."""
    return command_of("evt_1", msgspec.json.encode(SAID | changed))


def test_the_least_that_is_said() -> None:
    """The key is the payment's id too; no amount is the whole amount due."""
    assert read() == RecordPayment(
        resource_id="sneaker-9",
        order_id=ORDER,
        provider="standard-webhooks",
        payment_id="k-1",
        event_id="evt_1",
        status=PaymentReport.PAID,
    )


def test_all_that_can_be_said() -> None:
    """Each member has its place; a currency is known in small letters too, and what we do not know is passed over."""
    said = read(payment_id="p-1", status="refunded", amount=250, currency="eur", return_units=True, note="thanks")
    assert (said.payment_id, said.status, said.amount) == ("p-1", PaymentReport.REFUNDED, 250)
    assert (said.currency, said.return_units) == ("EUR", True)


@pytest.mark.parametrize("status", ["paid", "failed", "processing", "refunded"])
def test_each_status(status: str) -> None:
    """A provider's `failed` is final."""
    assert read(status=status).status.value == status


@pytest.mark.parametrize("amount", [0, -500])
def test_e42_an_amount_of_nothing_is_decided_by_the_workers(amount: int) -> None:
    """It is a mismatch, which is kept with its order: no dead letter."""
    assert read(amount=amount).amount == amount


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"order_id": "1234"}, "'1234' is not the id of an order"),
        ({"order_id": "order_slot~x~" + "a" * 32}, "is not the id of an order"),
        ({"order_id": "hold_product~x~" + "a" * 32}, "is not the id of an order"),
        ({"order_id": 7}, r"\$.order_id"),
        ({"order_id": None}, r"\$.order_id"),
        ({"status": "succeeded"}, r"\$.status"),
        ({"status": "attempt_failed"}, r"\$.status"),
        ({"amount": "500"}, r"\$.amount"),
        ({"amount": 5.5}, r"\$.amount"),
        ({"amount": True}, r"\$.amount"),
        ({"amount": 2**53}, r"\$.amount"),
        ({"currency": "EURO"}, r"\$.currency"),
        ({"currency": "EUR\n"}, r"\$.currency"),
        ({"payment_idempotency_key": ""}, r"\$.payment_idempotency_key"),
        ({"payment_id": "x" * 256}, r"\$.payment_id"),
        ({"return_units": "yes"}, r"\$.return_units"),
    ],
)
def test_e47_what_is_of_no_use_says_why(changed: dict[str, Any], why: str) -> None:
    """The reason goes with it to the dead letters."""
    with pytest.raises(Unusable, match=why):
        read(**changed)


@pytest.mark.parametrize("missing", list(SAID))
def test_e47_what_must_be_said(missing: str) -> None:
    """Without order, key or status there is nothing to record."""
    body = msgspec.json.encode({name: text for name, text in SAID.items() if name != missing})
    with pytest.raises(Unusable, match=f"missing required field `{missing}`"):
        command_of("evt_1", body)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([ORDER, "paid"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(SAID)), inner),
)


@given(st.binary() | json.map(msgspec.json.encode) | st.just(b"[" * 100_000))
def test_e47_no_body_raises_anything_else(body: bytes) -> None:
    """What can be read is a command that workers can read; all else is of no use, never our fault."""
    try:
        command = command_of("evt_1", body)
    except Unusable:
        return
    assert commands.decode("RecordPayment", commands.encode(command)) == command


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("amount", "currency", "payment_id"), json)))
def test_what_is_taken_can_be_read_by_workers(changed: dict[str, Any]) -> None:
    """No body becomes a record that is dead-lettered behind our back."""
    try:
        command = read(**changed)
    except Unusable:
        return
    assert commands.decode("RecordPayment", commands.encode(command)) == command
