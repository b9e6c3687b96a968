"""What the core says beside its decision: the client's own reference, and a word for what became of a command."""

import json
from datetime import UTC, datetime

import msgspec

from tests.unit.builders import arrived, at
from tests.unit.ledger import RETENTION, Ledger
from topics import events
from topics.commands import Cancel, CancelOrder, Command, DefineResource, Hold, PlaceOrder, RecordPayment
from topics.identifiers import hold_id_of, order_id_of
from topics.orders import PaymentReport
from workers.core.batch import BatchDecision

DEFINE = DefineResource(resource_id="r", capacity=1, hold_seconds=1, client_reference="of the definition")
HOLD = Hold(resource_id="r", client_reference="of the hold")
TOO_MUCH = Hold(resource_id="r", quantity=2, client_reference="of the refused")


SHOE = DefineResource(resource_id="s", capacity=1, price=5, currency="EUR")


def told(decision: BatchDecision) -> list[tuple[str, str | None]]:
    """Return the types of the events of a batch, each with the reference that it bears."""
    stored = [event for outcome in decision.outcomes for event in outcome.events or ()]
    return [(event.type, json.loads(bytes(event.data)).get("client_reference")) for event in stored]


def test_a_reference_is_told_where_its_request_is() -> None:
    """On answers and refusals, also of one that made us fail; not on the expiry of another's hold that it found."""
    ledger = Ledger()
    assert told(ledger.apply([arrived(DEFINE, claim="a")], at(0))) == [("resource.defined", "of the definition")]
    assert told(ledger.apply([arrived(HOLD, claim="b")], at(0))) == [("hold.placed", "of the hold")]
    late = arrived(TOO_MUCH, claim="c", appended_at=at(9))
    assert told(ledger.apply([late], at(9))) == [("hold.expired", None), ("request.refused", "of the refused")]
    culprit = arrived(TOO_MUCH, claim="d", appended_at=at(9))
    assert told(ledger.fail(culprit, at(9))) == [("request.refused", "of the refused")]


def test_a_reference_of_a_sale_is_told_where_its_request_is() -> None:
    """On the answer to an order, a payment and a calling off; not on what else they cause."""
    ledger = Ledger()
    hold = arrived(Hold(resource_id="s"), claim="hold", kind="product")
    place = PlaceOrder(resource_id="s", hold_id=hold_id_of(hold.request_id), client_reference="of the order")
    order = arrived(place, claim="order", kind="product")
    order_id = order_id_of(order.request_id)
    early, paid = (
        RecordPayment(
            resource_id="s",
            order_id=order_id,
            provider="bank",
            payment_id=name,
            event_id=name,
            status=PaymentReport.PAID,
            amount=amount,
            client_reference=f"of {name}",
        )
        for name, amount in (("early", 2), ("paid", 3))
    )
    off = CancelOrder(resource_id="s", order_id=order_id, client_reference="of the end")
    ledger.apply([arrived(SHOE, claim="a", kind="product"), hold, arrived(early, claim="b", kind="product")], at(0))
    assert told(ledger.apply([order], at(0))) == [("order.placed", "of the order"), ("payment.recorded", None)]
    assert told(ledger.apply([arrived(paid, claim="c", kind="product")], at(0))) == [
        ("payment.recorded", "of paid"),
        ("order.paid", None),
    ]
    assert told(ledger.apply([arrived(off, claim="d", kind="product")], at(0))) == [
        ("order.refund_required", "of the end"),
        ("refund.required", None),
        ("refund.required", None),
    ]


def test_a_word_for_what_became_of_a_command() -> None:
    """The event that answered it, the reason of its refusal, or that it came too late to be decided at all."""
    ledger = Ledger()
    commands: list[Command] = [DEFINE, HOLD, TOO_MUCH, Cancel(resource_id="r", hold_id="none")]
    decision = ledger.apply([arrived(one, claim=str(place)) for place, one in enumerate(commands)], at(0))
    assert [outcome.label() for outcome in decision.outcomes] == [
        "resource.defined",
        "hold.placed",
        "sold_out",
        "hold_not_found",
    ]
    after = ledger.apply([arrived(HOLD, claim="after", appended_at=at(9))], at(9))
    assert [outcome.label() for outcome in after.outcomes] == ["hold.placed"]  # not the expiry before it
    assert ledger.fail(arrived(HOLD, claim="f", appended_at=at(9)), at(9)).outcomes[0].label() == "internal_error"
    old = ledger.apply([arrived(HOLD, claim="old")], at(RETENTION.total_seconds()))
    assert [outcome.label() for outcome in old.outcomes] == ["too_old"]


def test_a_refund_names_the_request_that_it_is_stored_with() -> None:
    """Its id derives from the payment, and it may be sent with a request that waited for the step which required it.

    Fails if the header has the request that it is sent with.
    """
    refund = events.Stored(
        type=events.REFUND_REQUIRED,
        id="refund_product~shoe~aa",
        answers=False,
        version=1,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        record="0/1",
        data=msgspec.Raw(b"{}"),
        request_id="req_of_the_step",
    )
    headers = {name: text.decode() for name, text in events.headers_of(refund, "shoe", "req_other", "c", None)}
    assert events.request_id_of(headers) == "req_of_the_step"
    plain = msgspec.structs.replace(refund, id="req_other/0", request_id=msgspec.UNSET)
    assert b"request_id" not in msgspec.json.encode(plain)
    headers = {name: text.decode() for name, text in events.headers_of(plain, "shoe", "req_other", "c", None)}
    assert ("ce_requestid" in headers, events.request_id_of(headers)) == (False, "req_other")


def test_units_that_are_alike_are_not_named_when_they_are_in_the_way() -> None:
    """Nobody knows the one pool by a name."""
    ledger = Ledger()
    ledger.apply([arrived(SHOE, claim="a", kind="product")], at(0))
    refused = ledger.apply([arrived(Hold(resource_id="s", quantity=2), claim="b", kind="product")], at(0)).outcomes[0]
    (event,) = refused.events or ()
    data = json.loads(bytes(event.data))
    assert (data["detail"], data.keys() & {"in_the_way"}) == ("2 units asked for, 1 free", set())
