"""What Stripe's events say, in the form that its API has had since 2020, and which command each becomes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stripe_events import command_of
from gateway.unusable import Unusable
from topics import commands
from topics.commands import RecordPayment
from topics.orders import PaymentReport

ORDER = "order_product~sneaker-9~3ykqsmhpsu6mbbcw5zhskwwvnp4yz7xs"
INTENT = {
    "id": "pi_3MtwBw",
    "object": "payment_intent",
    "amount": 25800,
    "amount_received": 25800,
    "currency": "eur",
    "latest_charge": "ch_3MmlLr",
    "metadata": {"order_id": ORDER},
    "status": "succeeded",
}
CHARGE = {
    "id": "ch_3MmlLr",
    "object": "charge",
    "amount": 25800,
    "amount_refunded": 25800,
    "currency": "eur",
    "payment_intent": "pi_3MtwBw",
    "metadata": {"order_id": ORDER},
    "refunded": True,
}


def read(type_name: str, told: dict[str, Any], **changed: Any) -> RecordPayment | None:  # noqa: ANN401 - JSON
    """Translate an event about an object with some members changed."""
    event = {"id": "evt_1NG8Du", "object": "event", "livemode": False, "type": type_name}
    return command_of(msgspec.json.encode(event | {"data": {"object": told | changed}}))


def command(status: PaymentReport, amount: int | None) -> RecordPayment:
    """Return the command of the payment."""
    return RecordPayment(
        resource_id="sneaker-9",
        order_id=ORDER,
        provider="stripe",
        payment_id="pi_3MtwBw",
        event_id="evt_1NG8Du",
        status=status,
        amount=amount,
        currency="EUR",
    )


@pytest.mark.parametrize(
    ("type_name", "status"),
    [
        ("payment_intent.succeeded", PaymentReport.PAID),
        ("payment_intent.processing", PaymentReport.PROCESSING),
        ("payment_intent.payment_failed", PaymentReport.ATTEMPT_FAILED),
        ("payment_intent.canceled", PaymentReport.FAILED),
    ],
)
def test_each_turn_of_a_payment(type_name: str, status: PaymentReport) -> None:
    """A failed try is not the end of a payment, a cancelled PaymentIntent is."""
    assert read(type_name, INTENT) == command(status, 25800)


def test_what_was_received_counts() -> None:
    """Not what was asked for: a part may have been captured."""
    assert read("payment_intent.succeeded", INTENT, amount_received=20000) == command(PaymentReport.PAID, 20000)


def test_yen_have_no_smaller_unit() -> None:
    """Stripe's amounts are in the smallest unit of the currency already: nothing is multiplied."""
    said = read("payment_intent.succeeded", INTENT, amount=500, amount_received=500, currency="jpy")
    assert said is not None
    assert (said.amount, said.currency) == (500, "JPY")


def test_refunds() -> None:
    """A refunded charge names the payment that it was; all of it has no amount, a part the sum so far."""
    assert read("charge.refunded", CHARGE) == command(PaymentReport.REFUNDED, None)
    part = read("charge.refunded", CHARGE, refunded=False, amount_refunded=5000)
    assert part == command(PaymentReport.REFUNDED, 5000)


def test_units_return_if_the_metadata_say_so() -> None:
    """Only with a refund."""
    metadata = {"order_id": ORDER, "return_units": "true"}
    refund, payment = (
        read("charge.refunded", CHARGE, metadata=metadata),
        read("payment_intent.succeeded", INTENT, metadata=metadata),
    )
    assert refund is not None
    assert refund.return_units
    assert payment == command(PaymentReport.PAID, 25800)


OF_CHARGES = ["charge.pending", "charge.succeeded", "charge.captured", "charge.updated", "charge.failed"]


@pytest.mark.parametrize("type_name", ["payment_intent.created", "payment_intent.requires_action", *OF_CHARGES])
def test_what_another_event_tells_is_passed_over(type_name: str) -> None:
    """They come with every payment: dead letters of them would hide the others."""
    assert read(type_name, CHARGE) is None


@pytest.mark.parametrize(
    ("type_name", "changed", "status", "amount"),
    [
        ("charge.succeeded", {}, PaymentReport.PAID, 25800),
        ("charge.succeeded", {"captured": False, "amount_captured": 0}, PaymentReport.PROCESSING, 25800),
        ("charge.captured", {"captured": True, "amount_captured": 20000}, PaymentReport.PAID, 20000),
        ("charge.pending", {}, PaymentReport.PROCESSING, 25800),
        ("charge.failed", {}, PaymentReport.ATTEMPT_FAILED, 25800),
        ("charge.refunded", {}, PaymentReport.REFUNDED, None),
    ],
)
def test_a_charge_without_a_payment_intent_is_the_payment(
    type_name: str, changed: dict[str, Any], status: PaymentReport, amount: int | None
) -> None:
    """Nobody else tells of its money: it is recorded under the charge's id, as its refund is.

    Seen to fail (None: money that nobody hears of) when every charge was passed over for its PaymentIntent's events.
    """
    said = read(type_name, CHARGE, payment_intent=None, **changed)
    assert said == msgspec.structs.replace(command(status, amount), payment_id="ch_3MmlLr")


def test_an_update_of_a_charge_moves_no_money() -> None:
    """What it says of the payment was said when that happened."""
    assert read("charge.updated", CHARGE, payment_intent=None) is None


@pytest.mark.parametrize("type_name", OF_CHARGES)
@pytest.mark.parametrize("told", [7, None, {}, {"id": "ch_3MmlLr", "payment_intent": 7}])
def test_e47_a_charge_that_nobody_can_read_is_put_aside(type_name: str, told: object) -> None:
    """It may be money. Seen to fail (passed over) when the type alone was looked at."""
    event = {"id": "evt_1NG8Du", "type": type_name, "data": {"object": told}}
    with pytest.raises(Unusable):
        command_of(msgspec.json.encode(event))


@pytest.mark.parametrize(
    ("type_name", "changed", "why"),
    [
        ("charge.succeeded", {"metadata": {}}, "its metadata has no order_id"),
        ("charge.dispute.created", {}, "events of type 'charge.dispute.created' are not used here"),
        ("a.type.of.tomorrow", {}, "not used here"),
        ("payment_intent.succeeded", {"metadata": {}}, "its metadata has no order_id"),
        ("payment_intent.succeeded", {"metadata": None}, "its metadata has no order_id"),
        ("payment_intent.succeeded", {"metadata": {"order_id": "17"}}, "'17' is not the id of an order"),
        ("payment_intent.succeeded", {"amount_received": "25800"}, r"\$.amount_received"),
        ("payment_intent.succeeded", {"id": None}, r"\$.id"),
        ("payment_intent.succeeded", {"amount_received": None, "amount": None}, "does not say how much was paid"),
        ("charge.refunded", {}, r"neither that all was refunded \(refunded\) nor how much \(amount_refunded\)"),
    ],
)
def test_e47_what_is_of_no_use_says_why(type_name: str, changed: dict[str, Any], why: str) -> None:
    """The reason goes with it to the dead letters."""
    with pytest.raises(Unusable, match=why):
        read(type_name, INTENT, **changed)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["id", "type", "data", "object"]), inner)
    ),
)


@given(st.binary() | json.map(msgspec.json.encode) | st.just(b"[" * 100_000))
def test_e47_no_body_raises_anything_else(body: bytes) -> None:
    """Whatever Stripe may send one day is of no use or passed over, never our fault."""
    with pytest.raises(Unusable):
        command_of(body)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(INTENT, json)))
def test_what_is_taken_can_be_read_by_workers(changed: dict[str, Any]) -> None:
    """No event becomes a record that is dead-lettered behind our back."""
    try:
        said = read("payment_intent.succeeded", INTENT, **changed)
    except Unusable:
        return
    assert said is not None
    assert commands.decode("RecordPayment", commands.encode(said)) == said
