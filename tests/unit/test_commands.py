"""Commands are read strictly, and two have one fingerprint exactly if they ask for the same."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import commands
from topics.commands import (
    Cancel,
    ChangeHold,
    Confirm,
    DefineResource,
    Expire,
    Extend,
    Hold,
    Invalid,
    decode,
    encode,
    fingerprint,
)
from topics.resources import ClaimAt

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def read(type_name: str, fields: dict[str, object]) -> commands.Command:
    """Decode a command of these fields, on resource `r`."""
    return decode(type_name, json.dumps({"resource_id": "r", **fields}).encode())


def read_hold(**fields: object) -> commands.Command:
    """Decode a hold of these fields, on resource `r`."""
    return read("Hold", fields)


NOT_UNITS = [0, -1, 2**31, 2**63, 2**64, 10**400, 5.5, 5.0, 1e300, True, False, "5", "", None, [], [1], {}]


@pytest.mark.parametrize("quantity", NOT_UNITS)
def test_e5_a_quantity_is_a_whole_number_of_units(quantity: object) -> None:
    """Zero, negative, beyond int32, fractional, boolean and text are refused, and the place is named."""
    with pytest.raises(Invalid, match=r"\$\.quantity|out of range"):
        read_hold(quantity=quantity)


@pytest.mark.parametrize("quantity", [1, 2, 2**31 - 1])
def test_e5_what_is_a_quantity(quantity: int) -> None:
    """From one unit to the largest int32."""
    assert read_hold(quantity=quantity) == Hold(resource_id="r", quantity=quantity)


@pytest.mark.parametrize("name", ["Quantity", "quantiy", "ttl", "expires_at", "", "resource_id "])
def test_an_unknown_field_is_an_error(name: str) -> None:
    """What a producer asks for is granted or refused, never passed over."""
    with pytest.raises(Invalid, match="unknown field"):
        read_hold(**{name: 1})


RESOURCE_IDS = {5: "5", 0: "0", -5: "-5", 10**63: str(10**63), "5": "5", "A.b_c-1": "A.b_c-1", "a" * 64: "a" * 64}


@pytest.mark.parametrize(("given_id", "read_id"), RESOURCE_IDS.items())
def test_an_integer_resource_id_is_read_as_its_decimal_text(given_id: object, read_id: str) -> None:
    """A JSON producer's habit, with the strictness of the other fields kept."""
    assert read_hold(resource_id=given_id) == Hold(resource_id=read_id)
    with pytest.raises(Invalid, match=r"\$\.quantity"):
        read_hold(resource_id=given_id, quantity="5")
    with pytest.raises(Invalid, match="unknown field"):
        read_hold(resource_id=given_id, other=1)


@pytest.mark.parametrize(
    "resource_id",
    ["", ".", "..", "a\n", "..\n", "a b", "a/b", "a~b", "é", "a\x00", "a" * 65, 10**64, 5.0, 5.5, True, None, [], {}],
)
def test_what_names_no_resource_is_refused(resource_id: object) -> None:
    """No trailing newline, no separator, no float or boolean that happens to have a decimal text."""
    with pytest.raises(Invalid):
        read_hold(resource_id=resource_id)


@pytest.mark.parametrize("name", ["buyer", "client_reference"])
@pytest.mark.parametrize(
    "text", ["", "\x00", "a\x00b", "a\nb", "a\n", "\t", "a\x1f", "\x7f", "a" * 129, 5, True, ["a"]]
)
def test_texts_have_no_control_characters(name: str, text: object) -> None:
    """Postgres takes no NUL, and a log line no newline."""
    with pytest.raises(Invalid, match=rf"\$\.{name}"):
        read_hold(**{name: text})


@pytest.mark.parametrize("text", ["a", " ", "Zoë", "日本", "😀", "a" * 128, "'; drop table holds; --"])
def test_other_texts_are_kept_as_they_are(text: str) -> None:
    """Any script, and what only looks dangerous."""
    assert read_hold(buyer=text) == Hold(resource_id="r", buyer=text)


OF_HOLD: dict[str, dict[str, object]] = {
    "Confirm": {"hold_id": "h"},
    "Cancel": {"hold_id": "h"},
    "Extend": {"hold_id": "h", "seconds": 1},
    "ChangeHold": {"hold_id": "h"},
}


@pytest.mark.parametrize("type_name", OF_HOLD)
def test_what_a_command_of_a_hold_must_say(type_name: str) -> None:
    """Each of its fields, but for the token. What a change is to depends on the kind, which asks for it."""
    fields = OF_HOLD[type_name]
    assert json.loads(encode(read(type_name, fields))) == {"resource_id": "r", **fields}
    for missing in fields:
        with pytest.raises(Invalid, match=missing):
            read(type_name, {name: field for name, field in fields.items() if name != missing})


@pytest.mark.parametrize("type_name", OF_HOLD)
@pytest.mark.parametrize("hold_id", ["", "a b", "a\n", "é", "\x7f", "a" * 161, 5, None, True, ["h"]])
def test_a_hold_is_named_by_printable_ascii(type_name: str, hold_id: object) -> None:
    """What could be no id of ours need not be looked up."""
    with pytest.raises(Invalid, match=r"\$\.hold_id"):
        read(type_name, {**OF_HOLD[type_name], "hold_id": hold_id})


@pytest.mark.parametrize("quantity", NOT_UNITS)
def test_e5_a_changed_quantity_is_as_strict(quantity: object) -> None:
    """The same as of a hold: who wants none cancels."""
    with pytest.raises(Invalid, match=r"\$\.quantity|out of range"):
        read("ChangeHold", {"hold_id": "h", "quantity": quantity})


@pytest.mark.parametrize("seconds", [0, -1, commands.MAX_SECONDS + 1, 2**63, 5.5, True, "5", None])
def test_e5_the_seconds_of_an_extension_are_as_strict(seconds: object) -> None:
    """An extension never shortens, and no sum of times leaves the calendar."""
    with pytest.raises(Invalid, match=r"\$\.seconds|out of range"):
        read("Extend", {"hold_id": "h", "seconds": seconds})


@pytest.mark.parametrize("token_hash", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", 5])
def test_a_token_hash_is_sha256_in_lower_hex(token_hash: object) -> None:
    """Nothing else could ever be equal to a hash of ours."""
    with pytest.raises(Invalid, match=r"\$\.token_hash"):
        read_hold(token_hash=token_hash)


@pytest.mark.parametrize(
    "instant", ["2026-01-01T12:00:00", "2026-01-01", "noon", "", 1767268800, "2026-02-30T00:00:00Z"]
)
def test_an_instant_has_an_offset(instant: object) -> None:
    """A time without one is nobody's time."""
    with pytest.raises(Invalid, match=r"\$\.opens_at"):
        read("DefineResource", {"opens_at": instant})


NOT_COMMANDS = [
    b"",
    b"null",
    b"[]",
    b'"a"',
    b"5",
    b"{",
    b'{"resource_id":',
    b"{}",
    b'{"resource_id":"r"}x',
    b"\xff",
    b'{"resource_id":"\xff"}',
    b'{"\xff":1}',
    b'{"resource_id":5,"buyer":"\xff"}',
    b'{"resource_id":"r","buyer":"\\ud800"}',
    b'{"resource_id":NaN}',
    b'{"resource_id":' + b"[" * 50_000,
    b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"resource_id":5,"buyer":' + b'{"a":' * 50_000,
    b'{"resource_id":' + b"9" * 5_000 + b"}",
    "{'resource_id': 'r'}".encode("utf-16"),
]


@pytest.mark.parametrize("value", NOT_COMMANDS, ids=range(len(NOT_COMMANDS)))
@pytest.mark.parametrize("type_name", commands.COMMANDS)
def test_what_is_no_command_is_invalid_and_nothing_else(type_name: str, value: bytes) -> None:
    """Bytes that are not UTF-8, nesting without end and endless numbers raise Invalid like any other fault."""
    with pytest.raises(Invalid):
        decode(type_name, value)


@given(st.sampled_from(sorted(commands.COMMANDS)), st.binary())
def test_decoding_any_bytes_raises_only_invalid(type_name: str, value: bytes) -> None:
    """The topic is a public ingress."""
    with pytest.raises(Invalid):
        decode(type_name, value)


texts = st.none() | st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128)
units = st.integers(1, 2**31 - 1)
seconds = st.none() | st.integers(1, commands.MAX_SECONDS)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.none() | st.datetimes(timezones=offsets | st.just(UTC))
ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
holds = st.builds(Hold, resource_id=ids, quantity=units, buyer=texts, client_reference=texts)
definitions = st.builds(
    DefineResource,
    resource_id=ids,
    capacity=st.none() | st.integers(0, 2**31 - 1),
    hold_seconds=seconds,
    max_hold_seconds=seconds,
    claim_at=st.sampled_from(ClaimAt),
    open=st.booleans(),
    opens_at=instants,
    closes_at=instants,
    units_per_hold=st.none() | units,
    holds_per_buyer=st.none() | units,
    title=texts,
    if_version=st.none() | st.integers(0, 2**63),
)


hold_ids = st.from_regex(r"[\x21-\x7e]{1,160}", fullmatch=True)
hashes = st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
of_holds = st.one_of(
    st.builds(Confirm, resource_id=ids, hold_id=hold_ids, token_hash=hashes),
    st.builds(Cancel, resource_id=ids, hold_id=hold_ids, token_hash=hashes),
    st.builds(
        Extend, resource_id=ids, hold_id=hold_ids, token_hash=hashes, seconds=st.integers(1, commands.MAX_SECONDS)
    ),
    st.builds(ChangeHold, resource_id=ids, hold_id=hold_ids, token_hash=hashes, quantity=units),
)
expirations = st.builds(Expire, resource_id=ids)


@given(holds | definitions | of_holds | expirations)
def test_a_command_comes_back_from_its_json(command: commands.Command) -> None:
    """Every field, as it was, and with the fingerprint it had."""
    back = decode(type(command).__name__, encode(command))
    assert back == command
    assert fingerprint("slot", back) == fingerprint("slot", command)


HOLD_ID = "hold_slot~room-1~" + "a" * 32
GOLDEN_FINGERPRINTS: dict[str, tuple[commands.Command, str]] = {
    "the least hold": (Hold(resource_id="room-1"), "9aa76f28781563e3a42642b898ba036dd362f375db0a8707cd0878a81b46114d"),
    "a hold with all that counts": (
        Hold(resource_id="room-1", quantity=3, client_reference="order-7"),
        "1a673b9f005205f8271896c25fe94fc1f5d7cd157d0c7e847a30fac6066e18e5",
    ),
    "the least definition": (
        DefineResource(resource_id="room-1", capacity=1),
        "cbc3efafe74700f7656557a76c46f9a944bfc41516280bac06042bb795a62554",
    ),
    "a definition with all that counts": (
        DefineResource(
            resource_id="room-1",
            capacity=0,
            hold_seconds=60,
            max_hold_seconds=600,
            claim_at=ClaimAt.CONFIRM,
            open=False,
            opens_at=NOON,
            closes_at=NOON + timedelta(microseconds=1),
            units_per_hold=2,
            holds_per_buyer=3,
            title="Zoë's room",
        ),
        "37962965410f66a2b90c49363da2a5f4262301a45ed978fada55e47f234500bf",
    ),
    "a confirm": (
        Confirm(resource_id="room-1", hold_id=HOLD_ID),
        "7f742c40814cdcb7833290691cf949c771291a5e8e908b1f91f0625a0c65a9ca",
    ),
    "a cancel": (
        Cancel(resource_id="room-1", hold_id=HOLD_ID),
        "83fd97b093fd27a2503958184c8dbaa5dba31451c5a2f6a157973f620bbafcef",
    ),
    "an extension": (
        Extend(resource_id="room-1", hold_id=HOLD_ID, seconds=60),
        "1ed17e1c6a90e12d7ec6d9c28736a4e60fbae2deee9ad021026bc20998c370c5",
    ),
    "a change": (
        ChangeHold(resource_id="room-1", hold_id=HOLD_ID, quantity=2),
        "1a682a5b5779100c40978704aa42ba64318954a770d26dc35289b3286418c39d",
    ),
    "an expiry": (Expire(resource_id="room-1"), "8358a12e07bf3dba69ef64389ed03eebde43ab41d8f138821f3d596b9730992c"),
}


@pytest.mark.parametrize("name", GOLDEN_FINGERPRINTS)
def test_the_fingerprint_never_changes_its_form(name: str) -> None:
    """Golden: a retry that comes after an upgrade must still be the same request."""
    command, digest = GOLDEN_FINGERPRINTS[name]
    assert fingerprint("slot", command).hex() == digest


@pytest.mark.parametrize(
    ("type_name", "defaults"),
    [
        ("Hold", {"quantity": 1, "buyer": None, "client_reference": None, "token_hash": None}),
        (
            "DefineResource",
            {
                "capacity": None,
                "claim_at": "hold",
                "open": True,
                "opens_at": None,
                "if_version": None,
                "if_exists": False,
            },
        ),
    ],
)
def test_an_explicit_default_asks_for_the_same_as_none(type_name: str, defaults: dict[str, object]) -> None:
    """Together and each by itself."""
    plain = fingerprint("slot", read(type_name, {}))
    assert fingerprint("slot", read(type_name, defaults)) == plain
    for name, value in defaults.items():
        assert fingerprint("slot", read(type_name, {name: value})) == plain


def test_who_asks_and_with_what_token_is_no_part_of_what_is_asked() -> None:
    """Nor is the version that a definition was made for: they are headers of the request."""
    plain = fingerprint("slot", Hold(resource_id="r"))
    assert fingerprint("slot", Hold(resource_id="r", buyer="ann")) == plain
    assert fingerprint("slot", Hold(resource_id="r", token_hash="a" * 64)) == plain
    for_a_version = DefineResource(resource_id="r", capacity=1, if_version=7)
    if_there = DefineResource(resource_id="r", capacity=1, if_exists=True)
    for conditional in (for_a_version, if_there):
        assert fingerprint("slot", conditional) == fingerprint("slot", DefineResource(resource_id="r", capacity=1))


@pytest.mark.parametrize("type_name", OF_HOLD)
def test_the_token_that_is_shown_is_no_part_of_what_is_asked(type_name: str) -> None:
    """Every other field is; and to confirm a hold is not to cancel it."""
    fields = OF_HOLD[type_name]
    plain = fingerprint("slot", read(type_name, fields))
    assert fingerprint("slot", read(type_name, {**fields, "token_hash": "a" * 64})) == plain
    others: dict[str, object] = {"hold_id": "g", "seconds": 2, "client_reference": "c"}
    others |= {"quantity": 2, "seats": ["A1"], "areas": {"floor": 1}}
    asked = {*commands.COMMANDS[type_name].__struct_fields__} - {"resource_id", "token_hash"}
    prints = [fingerprint("slot", read(type_name, {**fields, name: others[name]})) for name in asked]
    assert asked >= {*fields, "client_reference"}
    assert len({plain, *prints}) == 1 + len(asked)
    assert len({fingerprint("slot", read(name, its)) for name, its in OF_HOLD.items()}) == len(OF_HOLD)


def test_every_other_field_is_part_of_what_is_asked() -> None:
    """Each changed alone gives a fingerprint of its own; a field that is added must be ruled on here."""
    holds_asked: dict[str, object] = {"resource_id": "q", "quantity": 2, "client_reference": "c"}
    holds_asked |= {"seats": ["A1"], "best_available": 2, "areas": {"floor": 1}}
    definitions_asked: dict[str, object] = {
        "resource_id": "q",
        "client_reference": "c",
        "capacity": 0,
        "hold_seconds": 1,
        "max_hold_seconds": 1,
        "claim_at": "confirm",
        "open": False,
        "opens_at": "2026-01-01T00:00:00Z",
        "closes_at": "2026-01-01T00:00:00Z",
        "units_per_hold": 1,
        "holds_per_buyer": 1,
        "title": "t",
        "price": 1,
        "currency": "USD",
        "name": "n",
        "payment_seconds": 1,
    }
    definitions_asked |= {"rows": [{"row": "A", "seats": 1}], "areas": [{"id": "floor", "capacity": 1}], "focal": "A1"}
    for type_name, fields in (("Hold", holds_asked), ("DefineResource", definitions_asked)):
        assert fields.keys() | commands.NOT_FINGERPRINTED >= set(commands.COMMANDS[type_name].__struct_fields__)
        prints = [fingerprint("slot", read(type_name, {name: value})) for name, value in fields.items()]
        assert len({fingerprint("slot", read(type_name, {})), *prints}) == 1 + len(fields)


def test_kind_and_type_are_part_of_what_is_asked() -> None:
    """A hold of a slot is not one of a product, nor a definition without fields."""
    holds = {fingerprint(kind, Hold(resource_id="r")) for kind in ("slot", "product")}
    assert len(holds | {fingerprint("slot", DefineResource(resource_id="r"))}) == 3


ordinary = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))  # noqa: DTZ001 - the zone follows


@given(ordinary, offsets, offsets)
def test_one_instant_written_in_two_time_zones_is_one(naive: datetime, one: timezone, other: timezone) -> None:
    """A retry that writes the offset otherwise asks for the same."""
    instant = naive.replace(tzinfo=one)
    prints = {
        fingerprint("slot", DefineResource(resource_id="r", opens_at=written))
        for written in (instant, instant.astimezone(other))
    }
    assert len(prints) == 1


def test_the_order_of_fields_is_no_part_of_what_is_asked() -> None:
    """Nor are spaces, or how a letter is escaped."""
    one = decode("Hold", b'{"resource_id":"r","quantity":2,"client_reference":"a"}')
    other = decode("Hold", b'{ "client_reference": "\\u0061", "quantity": 2, "resource_id": "r" }')
    assert fingerprint("slot", one) == fingerprint("slot", other)
