"""Ids that route themselves: derived, parsed, never mistaken for one another."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import identifiers
from topics.identifiers import (
    ORDER,
    hold_id_of,
    is_resource_id,
    order_id_of,
    parse,
    refund_id,
    request_id,
    request_id_of,
)

FINGERPRINT = bytes(32)
resource_ids = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=64).filter(
    lambda text: text not in {".", ".."}
)


@pytest.mark.parametrize(
    "text", ["a", "7", "A1", "...", "-", "_", "a.b-c_d", "0123456789" * 6 + "abcd", ".a", "..b", "a."]
)
def test_what_may_name_a_resource(text: str) -> None:
    """Letters, digits, dot, underscore and hyphen, up to 64 of them."""
    assert is_resource_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a\n",
        ".\n",
        "..\n",
        "\na",
        "a b",
        "a/b",
        "a~b",
        "a%",
        "é",
        "٣",
        "a\x00",
        "a" * 65,
        "a\u2028",
        "\ud800",
    ],
)
def test_what_may_not_name_a_resource(text: str) -> None:
    """A dot alone, separators, other scripts, line ends and what is too long are refused."""
    assert not is_resource_id(text)


def test_the_request_id_never_changes_its_form() -> None:
    """Golden: ids that clients keep must be derived alike by every later version."""
    derived = request_id("slot", "room-1", "gateway/alice", "key-1", FINGERPRINT)
    assert derived == "req_slot~room-1~6g4ifwlscw2tbdgmpbx6ehhdqpe2zuig"
    assert hold_id_of(derived) == "hold_slot~room-1~6g4ifwlscw2tbdgmpbx6ehhdqpe2zuig"


@given(resource_ids, st.text(), st.text(), st.binary(min_size=32, max_size=32))
def test_an_id_is_parsed_into_what_it_was_made_of(resource: str, source: str, claim: str, fingerprint: bytes) -> None:
    """Kind and resource come back from a request's id and from its hold's, without a look-up."""
    made = request_id("slot", resource, source, claim, fingerprint)
    of_request, of_hold = parse(made, identifiers.REQUEST), parse(hold_id_of(made), identifiers.HOLD)
    assert of_request is not None
    assert of_hold is not None
    assert (of_request.kind, of_request.resource_id) == (of_hold.kind, of_hold.resource_id) == ("slot", resource)
    assert (str(of_request), str(of_hold)) == (made, hold_id_of(made))
    assert request_id_of(hold_id_of(made)) == made
    assert parse(made, identifiers.HOLD) is None


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
def test_two_claims_share_no_id(source: str, claim: str, other_source: str, other_claim: str) -> None:
    """Fields are length-prefixed: moving a character from one into its neighbour gives another id."""
    one = request_id("slot", "r", source, claim, FINGERPRINT)
    other = request_id("slot", "r", other_source, other_claim, FINGERPRINT)
    assert (one == other) == ((source, claim) == (other_source, other_claim))


def test_each_part_of_a_request_is_part_of_its_id() -> None:
    """Another kind, resource, source, claim or fingerprint is another request."""
    ids = {
        request_id("slot", "r", "s", "c", FINGERPRINT),
        request_id("product", "r", "s", "c", FINGERPRINT),
        request_id("slot", "q", "s", "c", FINGERPRINT),
        request_id("slot", "r", "t", "c", FINGERPRINT),
        request_id("slot", "r", "s", "d", FINGERPRINT),
        request_id("slot", "r", "s", "c", b"\x01" * 32),
    }
    assert len(ids) == 6


GOOD = "hold_slot~room-1~" + "a" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hold",
        "hold_",
        "hold_slot",
        GOOD.replace("~", "-"),
        GOOD[:-1],
        GOOD + "a",
        GOOD + "\n",
        GOOD + "~",
        GOOD.replace("hold_", "hold"),
        GOOD.replace("hold", "Hold"),
        GOOD.replace("slot", ""),
        GOOD.replace("slot", "s1"),
        GOOD.replace("slot", "é"),
        GOOD.replace("room-1", ""),
        GOOD.replace("room-1", ".."),
        GOOD.replace("room-1", "a b"),
        GOOD.replace("aaaa", "AAAA"),
        GOOD.replace("aaaa", "a1aa"),
        GOOD.replace("hold_", "hold__"),
        " " + GOOD,
    ],
)
def test_what_is_not_an_id_is_none(text: str) -> None:
    """A damaged id is refused, not half understood."""
    assert parse(GOOD, identifiers.HOLD) is not None
    assert parse(text, identifiers.HOLD) is None


@given(st.text(), st.sampled_from([identifiers.REQUEST, identifiers.HOLD, identifiers.ORDER, "", "other"]))
def test_parsing_raises_nothing(text: str, prefix: str) -> None:
    """Ids come from strangers' paths: any text is read or refused, and what is read is the text."""
    parsed = parse(text, prefix)
    assert parsed is None or str(parsed) == text


def test_the_id_of_an_order_follows_from_its_request() -> None:
    """And says where the order will be, before it is."""
    request = request_id("product", "shoe", "s", "c", FINGERPRINT)
    order = order_id_of(request)
    assert order == request.replace("req_", "order_")
    parsed = parse(order, ORDER)
    assert parsed is not None
    assert (parsed.kind, parsed.resource_id) == ("product", "shoe")


def test_e40_the_id_of_a_refund_derives_from_the_payment() -> None:
    """Golden, as other systems deduplicate by it; no payment shares another's by where its provider's name ends."""
    assert refund_id("product", "shoe", "bank", "p1") == "refund_product~shoe~23q6xasjku2zmgnvrxeuhcvxmknelo47"
    assert refund_id("product", "shoe", "bankp", "1") != refund_id("product", "shoe", "bank", "p1")
    assert refund_id("product", "shoe", "card", "p1") != refund_id("product", "shoe", "bank", "p1")
