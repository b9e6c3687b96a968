"""Stripe's signatures, against the vector of stripe-dotnet's tests (Apache-2.0), and whatever a header may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stripe_signatures import SIGNATURE, fault_of_signature, sign

SECRET = b"webhook_secret"
SIGNED_AT = 1533204620
BODY = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"""
V1 = "2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7"
V0 = "63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"


def fault(header: str, body: bytes = BODY, now: float = SIGNED_AT) -> str | None:
    """Check with the vector's secret."""
    return fault_of_signature({SIGNATURE: header}, body, [SECRET], now)


def test_the_reference_signature() -> None:
    """We sign as Stripe does, and believe what it signed; spaces behind commas, as its documentation shows them, too."""
    assert sign(SECRET, str(SIGNED_AT), BODY) == f"t={SIGNED_AT},v1={V1}"
    assert fault(f"t={SIGNED_AT},v1={V1},v0={V0}") is None
    assert fault(f"t={SIGNED_AT}, v1={V1}, v0={V0}") is None


@pytest.mark.parametrize("several", [f"v1=wrong,v1={V1}", f"v1={V1},v1=wrong", f"v0={V0},v2,=,v1={V1},x"])
def test_one_of_several_signatures_is_enough(several: str) -> None:
    """While a secret is rolled, Stripe signs with both."""
    assert fault(f"t={SIGNED_AT},{several}") is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bad_header",
        f"v1={V1}",
        f"t={SIGNED_AT}",
        f"t={SIGNED_AT},v0={V1}",
        f"t={SIGNED_AT},v1=",
        f"t={SIGNED_AT},v1={V0}",
        f"t={SIGNED_AT},v1={V1[:-1]}",
        f"t={SIGNED_AT},t={SIGNED_AT},v1={V1}",
        f"t=,v1={V1}",
        f"t=now,v1={V1}",
        f"t={SIGNED_AT}.0,v1={V1}",
        f"t={SIGNED_AT + 1},v1={V1}",
        f"t={'9' * 400},v1={V1}",
    ],
)
def test_e45_a_signature_that_is_none(header: str) -> None:
    """Malformed, of another scheme, of another time, cut off or missing: refused with a reason."""
    assert fault(header)


def test_e45_no_header_at_all() -> None:
    """Nothing was signed."""
    assert fault_of_signature({}, BODY, [SECRET], SIGNED_AT)


@pytest.mark.parametrize(("seconds_later", "is_taken"), [(300, True), (-300, True), (300.5, False), (-301, False)])
def test_e48_the_window_is_five_minutes_both_ways(seconds_later: float, is_taken: bool) -> None:
    """Seen to fail when only what is too old is refused, as Stripe's own library does it."""
    assert (fault(f"t={SIGNED_AT},v1={V1}", now=SIGNED_AT + seconds_later) is None) is is_taken


def test_e49_old_and_new_secret() -> None:
    """Whichever of our secrets signed, it is believed; when the old one is gone, it is not."""
    header = {SIGNATURE: f"t={SIGNED_AT},v1={V1}"}
    assert fault_of_signature(header, BODY, [b"new", SECRET], SIGNED_AT) is None
    assert fault_of_signature(header, BODY, [b"new"], SIGNED_AT) is not None
    assert fault_of_signature(header, BODY, [], SIGNED_AT) is not None


@pytest.mark.parametrize("body", [BODY.rstrip(), BODY.replace(b"\n", b"\r\n"), b""])
def test_e45_every_byte_counts(body: bytes) -> None:
    """The same JSON in other bytes is another body."""
    assert fault(f"t={SIGNED_AT},v1={V1}", body=body) is not None


@given(st.text() | st.text(alphabet="tv1=, \udcff\ud800\x00é0"), st.binary(), st.floats(allow_nan=False))
def test_e45_no_header_raises(header: str, body: bytes, now: float) -> None:
    """Whatever a stranger sends is refused, never an exception. Seen to fail when an entry is split at its = and unpacked."""
    assert fault(header, body, now) is not None
    assert fault(f"t={SIGNED_AT},{header}", body) is not None
