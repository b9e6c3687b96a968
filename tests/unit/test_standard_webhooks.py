"""Signatures of Standard Webhooks, against the vectors of its reference libraries (MIT), and whatever a header may hold."""

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.standard_webhooks import ID, SIGNATURE, TIMESTAMP, fault_of_signature, sign

# libraries/*/…test…: "sign function works"
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SIGNED_AT = 1614265330
BODY = b'{"test": 2432232314}'
TRUE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# The same libraries' signatures that must not be taken.
FALSE = ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=", "v1,")
OTHER_SECRET = b"another secret of 24 byte"


def headers(**changed: str | None) -> dict[str, str]:
    """Return the vector's headers, with some changed, or gone where None."""
    all_of = {ID: MESSAGE_ID, TIMESTAMP: str(SIGNED_AT), SIGNATURE: TRUE}
    all_of |= {f"webhook-{name}": text for name, text in changed.items() if text is not None}
    return {name: text for name, text in all_of.items() if changed.get(name.removeprefix("webhook-"), "") is not None}


def fault(given: Mapping[str, str], body: bytes = BODY, now: float = SIGNED_AT) -> str | None:
    """Check with the vector's secret."""
    return fault_of_signature(given, body, [SECRET], now)


def test_the_reference_signature() -> None:
    """We sign as the reference libraries do, and believe what they signed."""
    assert sign(SECRET, MESSAGE_ID, str(SIGNED_AT), BODY) == TRUE
    assert fault(headers()) is None


@pytest.mark.parametrize("wrong", [*FALSE, "v1", ",", "v1,v1", "", TRUE.lower(), TRUE.replace("v1", "v1a")])
def test_e45_a_signature_that_is_none(wrong: str) -> None:
    """Wrong, cut off, of another scheme or missing: refused with a reason."""
    assert "no signature" in (fault(headers(signature=wrong)) or "")


@pytest.mark.parametrize(
    "several",
    [
        f"{FALSE[1]} {FALSE[1].replace('v1', 'v2')} {TRUE} {FALSE[1]}",
        f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {TRUE}",
        f"  malformed , v1,%%% {TRUE} ",
    ],
)
def test_one_of_several_signatures_is_enough(several: str) -> None:
    """Other versions and malformed entries beside a true one do no harm."""
    assert fault(headers(signature=several)) is None


def test_e49_old_and_new_secret() -> None:
    """Whichever of our secrets signed, it is believed; when the old one is gone, it is not."""
    assert fault_of_signature(headers(), BODY, [OTHER_SECRET, SECRET], SIGNED_AT) is None
    assert fault_of_signature(headers(), BODY, [SECRET, OTHER_SECRET], SIGNED_AT) is None
    assert fault_of_signature(headers(), BODY, [OTHER_SECRET], SIGNED_AT) is not None
    assert fault_of_signature(headers(), BODY, [], SIGNED_AT) is not None


@pytest.mark.parametrize(("seconds_later", "is_taken"), [(300, True), (-300, True), (300.5, False), (-301, False)])
def test_e48_the_window_is_five_minutes_both_ways(seconds_later: float, is_taken: bool) -> None:
    """Seen to fail when only what is too old is refused."""
    assert (fault(headers(), now=SIGNED_AT + seconds_later) is None) is is_taken


@pytest.mark.parametrize("body", [BODY + b"\n", BODY.replace(b" ", b""), b"", b"\xff"])
def test_e45_every_byte_counts(body: bytes) -> None:
    """The same JSON in other bytes is another body."""
    assert fault(headers(), body=body) is not None


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_every_header_is_needed(name: str) -> None:
    """One that is missing, or another than was signed, refuses."""
    assert fault(headers(**{name: None})) is not None
    assert fault(headers(**{name: ""})) is not None


@pytest.mark.parametrize("timestamp", ["hello", "1614265330.0", "-1", "٣", "1e9", " 1614265330", "9" * 400])
def test_a_timestamp_is_whole_seconds(timestamp: str) -> None:
    """Anything else is refused, however Python would read it."""
    assert "timestamp" in (fault(headers(timestamp=timestamp)) or "")


def test_what_is_signed_is_what_is_read() -> None:
    """Id and time are signed too: a captured body cannot be sent as news."""
    assert fault(headers(id="msg_of_mine")) is not None
    assert fault(headers(timestamp=str(SIGNED_AT + 1))) is not None


anything = st.text() | st.text(alphabet="v1, =+/\udcff\ud800\x00é") | st.sampled_from([MESSAGE_ID, str(SIGNED_AT)])


@given(st.dictionaries(st.sampled_from([ID, TIMESTAMP, SIGNATURE]), anything), st.binary(), st.floats(allow_nan=False))
def test_e45_no_header_raises(strange: dict[str, str], body: bytes, now: float) -> None:
    """Whatever a stranger sends is refused, never an exception. Seen to fail when entries are unpacked at their comma."""
    assert fault(strange, body, now) is not None
    assert fault({**headers(), ID: strange.get(ID, "")}) is not None or strange.get(ID) == MESSAGE_ID


@given(st.text())
def test_a_true_signature_among_anything(noise: str) -> None:
    """What stands beside a true signature cannot spoil it."""
    assert fault(headers(signature=f"{noise} {TRUE} {noise}")) is None
