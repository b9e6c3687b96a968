"""The commands of orders and payments, and what a product's definition needs: read strictly, and each field asked for counts."""

import json

import pytest

from tests.unit.builders import GATEWAY, PARTITIONS, SECRET, envelope_of, record
from topics import commands, signatures
from topics.cloudevents import Envelope, encode
from topics.commands import (
    CancelOrder,
    Command,
    DefineResource,
    Invalid,
    PlaceOrder,
    RecordPayment,
    decode,
    fingerprint,
)
from topics.dead_letters import Reason
from topics.orders import PaymentReport
from topics.resources import Sale
from topics.signatures import KeyRing
from workers.core.kinds.product import Product
from workers.core.kinds.slot import Slot
from workers.reading import Item, Ordered, Reader, Rejected

ORDER = "order_product~shoe~" + "a" * 32
SALE: dict[str, object] = {"capacity": 5, "price": 500, "currency": "EUR"}
PAYMENT: dict[str, object] = {
    "order_id": ORDER,
    "provider": "bank",
    "payment_id": "p1",
    "event_id": "e1",
    "status": "paid",
    "amount": 500,
    "currency": "EUR",
}
FIELDS: dict[str, dict[str, object]] = {
    "PlaceOrder": {"hold_id": "h", "client_reference": "c"},
    "CancelOrder": {"order_id": ORDER, "client_reference": "c"},
    "RecordPayment": {**PAYMENT, "return_units": True, "client_reference": "c"},
}
OTHERS: dict[str, object] = {
    "hold_id": "g",
    "client_reference": "d",
    "order_id": "order_product~shoe~" + "b" * 32,
    "provider": "card",
    "payment_id": "p2",
    "event_id": "e2",
    "status": "failed",
    "amount": 501,
    "currency": "USD",
    "return_units": False,
}
BANK = signatures.SigningKey("bank", b"theirs", frozenset({signatures.Scope.PAYMENT}), "bank/")


def given(type_name: str, fields: dict[str, object]) -> Command:
    """Decode a command of these fields, on the product `shoe`."""
    return decode(type_name, json.dumps({"resource_id": "shoe", **fields}).encode())


def payment(**fields: object) -> Command:
    """Decode a payment, with some of its fields replaced."""
    return given("RecordPayment", PAYMENT | fields)


@pytest.mark.parametrize("type_name", FIELDS)
def test_every_field_is_part_of_what_is_asked(type_name: str) -> None:
    """But for the token that is shown; each changed alone gives a fingerprint of its own."""
    fields = FIELDS[type_name]
    plain = fingerprint("product", given(type_name, fields))
    prints = [fingerprint("product", given(type_name, {**fields, name: OTHERS[name]})) for name in fields]
    assert len({plain, *prints}) == 1 + len(fields)
    shown = set(commands.COMMANDS[type_name].__struct_fields__) - {"resource_id"}
    assert shown == fields.keys() | (commands.NOT_FINGERPRINTED & shown)
    if "token_hash" in shown:
        assert fingerprint("product", given(type_name, {**fields, "token_hash": "a" * 64})) == plain


@pytest.mark.parametrize("amount", [2**53, -(2**53), 5.5, "5", True, [1]])
def test_an_amount_is_a_whole_number_that_every_reader_keeps(amount: object) -> None:
    """Of minor units: no fraction, no text, within what JSON's readers have in common."""
    with pytest.raises(Invalid, match=r"\$\.amount"):
        payment(amount=amount)


@pytest.mark.parametrize("amount", [2**53 - 1, 0, -5, None])
def test_e42_any_whole_amount_is_read(amount: int | None) -> None:
    """One that is none is no fault of the record: the payment is kept as mismatched."""
    read = payment(amount=amount)
    assert isinstance(read, RecordPayment)
    assert read.amount == amount


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("currency", "eur"),
        ("currency", "EURO"),
        ("currency", "EUR\n"),
        ("provider", ""),
        ("provider", "a b"),
        ("provider", "x" * 65),
        ("payment_id", ""),
        ("payment_id", "x" * 256),
        ("event_id", "a\nb"),
        ("status", "done"),
        ("status", "mismatched"),
        ("order_id", ""),
        ("return_units", 1),
        ("tip", 5),
    ],
)
def test_what_is_no_payment(name: str, value: object) -> None:
    """Bounded names without spaces at their ends, a currency of three letters, a report that there is; nothing unknown."""
    with pytest.raises(Invalid, match=name):
        payment(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("price", -1), ("price", 2**53), ("price", 0.5), ("currency", "Euro"), ("payment_seconds", 0)]
)
def test_e5_the_terms_of_a_sale_are_as_strict(name: str, value: object) -> None:
    """The place is named."""
    with pytest.raises(Invalid, match=rf"\$\.{name}"):
        given("DefineResource", SALE | {name: value})


@pytest.mark.parametrize("name", SALE)
def test_a_product_needs_its_terms(name: str) -> None:
    """A stock, a price and its currency; everything else has a default."""
    missing = {field: value for field, value in SALE.items() if field != name}
    assert Product().fault_of(given("DefineResource", missing)) == f"a product needs a {name}"
    assert Product().fault_of(given("DefineResource", SALE | {name: SALE[name]})) is None
    assert Product().fault_of(PlaceOrder(resource_id="shoe", hold_id="h")) is None


def test_the_terms_of_a_sale() -> None:
    """Fifteen minutes to pay by default; a hold lives for two."""
    plain = given("DefineResource", SALE)
    assert isinstance(plain, DefineResource)
    assert Product().sale(plain) == Sale(price=500, currency="EUR", payment_seconds=900, name=None)
    full = given("DefineResource", SALE | {"payment_seconds": 60, "name": "Shoe"})
    assert isinstance(full, DefineResource)
    assert Product().sale(full) == Sale(price=500, currency="EUR", payment_seconds=60, name="Shoe")
    assert Product().hold_seconds == 120
    assert Product().takes_orders


@pytest.mark.parametrize("name", ["price", "currency", "name", "payment_seconds"])
def test_a_slot_sells_nothing(name: str) -> None:
    """To ignore what was asked for would grant something else."""
    value = {"price": 0, "currency": "EUR", "name": "n", "payment_seconds": 5}[name]
    assert Slot().fault_of(given("DefineResource", {"capacity": 1, name: value})) == f"a slot has no {name}"
    assert not Slot().takes_orders


def read_record(command: Command, *, kind: str = "product", signer: signatures.SigningKey | None = GATEWAY) -> Item:
    """Read the record of a command on a topic of the kind."""
    source = signer.source_prefix + "x" if signer is not None else "shop/7"
    envelope: Envelope = envelope_of(command, source=source)
    headers = encode(envelope, "commands")
    if signer is not None:
        fields = signatures.Signed(kind, b"shoe", envelope.type, envelope.source, envelope.id, envelope.data)
        headers.append(signatures.sign(signer, fields))
    ring = KeyRing([signatures.gateway_key(SECRET), BANK])
    return next(Reader(ring, PARTITIONS).read(record(b"shoe", envelope.data, headers, kind=kind)))


PLACE = PlaceOrder(resource_id="shoe", hold_id="h")
CANCEL = CancelOrder(resource_id="shoe", order_id=ORDER)
PAY = RecordPayment(
    resource_id="shoe", order_id=ORDER, provider="b", payment_id="p", event_id="e", status=PaymentReport.PAID
)


@pytest.mark.parametrize("command", [PLACE, CANCEL, PAY], ids=lambda it: type(it).__name__)
def test_a_slot_takes_no_orders(command: Command) -> None:
    """Who may give the command is told that the topic has none such; who may not, that he may not."""
    item = read_record(command, kind="slot")
    assert isinstance(item, Rejected)
    assert item.reason is Reason.UNKNOWN_TYPE
    assert isinstance(read_record(command), Ordered)


def test_r6_who_may_order_and_who_may_pay() -> None:
    """Anyone may place an order on his hold; a payment, and the end of an order, need the scope for it."""
    assert isinstance(read_record(PLACE, signer=None), Ordered)
    for command in (CANCEL, PAY):
        item = read_record(command, signer=None)
        assert isinstance(item, Rejected)
        assert item.reason is None
        assert isinstance(read_record(command, signer=BANK), Ordered)
    assert isinstance(read_record(replace_order("order_product~shoe~" + "c" * 32), signer=BANK), Ordered)


@pytest.mark.parametrize(
    "order_id", ["x", ORDER.replace("order_", "hold_"), ORDER.replace("shoe", "boot"), ORDER + "a"]
)
def test_e47_a_payment_names_an_order_of_its_product(order_id: str) -> None:
    """Even one that has not come; any other is unusable."""
    item = read_record(replace_order(order_id), signer=BANK)
    assert isinstance(item, Rejected)
    assert item.reason is Reason.INVALID_COMMAND


def replace_order(order_id: str) -> Command:
    """Return a payment for another order."""
    fields = {**PAYMENT, "order_id": order_id}
    return given("RecordPayment", fields)
