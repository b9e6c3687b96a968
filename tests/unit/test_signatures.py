"""Authority travels with the record: what a signature covers, and who may give which command as whom."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import GATEWAY, PARTNER, SECRET, WORKER
from topics.commands import COMMANDS
from topics.signatures import (
    HEADER,
    SCOPE_OF_COMMAND,
    KeyRing,
    Scope,
    Signed,
    SigningKey,
    account_of,
    gateway_key,
    may,
    sign,
    worker_key,
)
from workers import sweeping

RING = KeyRing([GATEWAY, WORKER, PARTNER])
SIGNED = Signed("slot", b"room-1", "Hold", "gateway/alice", "claim-1", b'{"resource_id":"room-1"}')


def test_a_signature_is_verified() -> None:
    """Each key of the ring is known by its own signature."""
    for key in (GATEWAY, WORKER, PARTNER):
        assert RING.signer([("other", b"x"), sign(key, SIGNED)], SIGNED) is key


def test_the_header_never_changes_its_form() -> None:
    """Golden: gateways and workers of two versions understand each other during an upgrade."""
    assert sign(gateway_key(SECRET), SIGNED) == (
        "firmhold-signature",
        b"v1,gateway,P7rXUt8Awj09J28yoAs9C++3sUZ+7Qjd8FvHLd5/YRg=",
    )


@pytest.mark.parametrize(
    "altered",
    [
        msgspec.structs.replace(SIGNED, kind="product"),
        msgspec.structs.replace(SIGNED, key=b"room-2"),
        msgspec.structs.replace(SIGNED, type="DefineResource"),
        msgspec.structs.replace(SIGNED, source="gateway/bob"),
        msgspec.structs.replace(SIGNED, id="claim-2"),
        msgspec.structs.replace(SIGNED, value=b'{"resource_id":"room-1","quantity":9}'),
        msgspec.structs.replace(SIGNED, key=b"room-1Hold", type=""),
        msgspec.structs.replace(SIGNED, source="gateway/alic", id="eclaim-1"),
    ],
)
def test_r6_a_signature_covers_every_field(altered: Signed) -> None:
    """A captured signature proves nothing for another record."""
    assert RING.signer([sign(GATEWAY, SIGNED)], altered) is None


FIELDS = st.tuples(st.text(max_size=4), st.binary(max_size=4), *[st.text(max_size=4)] * 3, st.binary(max_size=4))


@given(FIELDS, FIELDS)
def test_no_field_runs_into_its_neighbour(
    one: tuple[str, bytes, str, str, str, bytes], other: tuple[str, bytes, str, str, str, bytes]
) -> None:
    """Two records have one digest only if all their fields are equal."""
    assert (Signed(*one).digest(b"k") == Signed(*other).digest(b"k")) == (one == other)


def test_another_secret_or_an_unknown_key_proves_nothing() -> None:
    """Nor does a key of our id with a secret of somebody else's, nor theirs under our id."""
    stranger = SigningKey("stranger", b"x", frozenset(Scope), "")
    impostor = replace(GATEWAY, secret=b"x")
    header, content = sign(PARTNER, SIGNED)
    assert RING.signer([sign(stranger, SIGNED)], SIGNED) is None
    assert RING.signer([sign(impostor, SIGNED)], SIGNED) is None
    assert RING.signer([(header, content.replace(b"partner", b"gateway"))], SIGNED) is None


GOOD = sign(GATEWAY, SIGNED)[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b",",
        b",,",
        b"v1",
        b"v1,gateway",
        b"v1,gateway,",
        b"v1,gateway,====",
        b"v1,gateway,!",
        b"v1,\xff,\xff",
        GOOD[:-1],
        GOOD + b"=",
        GOOD + b",",
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b"v1", b"v2"),
        GOOD.replace(b"v1", b"V1"),
        GOOD.replace(b",", b", "),
        GOOD.replace(b"gateway", b"Gateway"),
        GOOD.upper(),
        GOOD + b" " + GOOD,
    ],
)
def test_a_malformed_header_proves_nothing(content: bytes) -> None:
    """And raises nothing."""
    assert RING.signer([(HEADER, content)], SIGNED) is None


@given(st.binary())
def test_any_header_is_read_without_raising(content: bytes) -> None:
    """The header comes from strangers."""
    assert RING.signer([(HEADER, content)], SIGNED) is None
    assert RING.signer([(HEADER, b"v1,gateway," + content)], SIGNED) is None


def test_without_a_header_nobody_signed() -> None:
    """An unsigned record has no signer, and neither has one with another header."""
    assert RING.signer([], SIGNED) is None
    assert RING.signer([("signature", GOOD)], SIGNED) is None


def test_two_keys_of_one_id_are_an_error() -> None:
    """Which of them is meant could not be told."""
    with pytest.raises(ValueError, match="gateway"):
        KeyRing([GATEWAY, replace(PARTNER, key_id="gateway")])


def test_a_key_does_not_show_its_secret() -> None:
    """Not in a log line, not in a traceback."""
    assert repr(PARTNER) == "SigningKey('partner')"


def test_the_keys_of_our_processes_differ() -> None:
    """A worker's key does not sign as a gateway, nor that of another installation."""
    assert len({GATEWAY.secret, WORKER.secret, gateway_key(b"another secret").secret}) == 3
    assert gateway_key(SECRET) == GATEWAY
    assert worker_key(SECRET) == WORKER
    assert (worker_key(SECRET).scopes, worker_key(SECRET).source_prefix) == (frozenset((Scope.EXPIRE,)), "worker/")


HOLDING = {"Hold", "ChangeHold", "Confirm", "Cancel", "Extend", "PlaceOrder"}
PAYING = {"CancelOrder", "RecordPayment"}
ALL = {*HOLDING, *PAYING, "Expire", "DefineResource"}
SWEEPER = sweeping.SOURCE
ANYTHING = SigningKey("anything", b"x", frozenset(Scope), "")
SHOP = SigningKey("shop", b"x", frozenset({Scope.HOLD, Scope.PAYMENT}), "shop/")

# Who signs, as whom: which commands he may give.
MAY: list[tuple[SigningKey | None, str, set[str]]] = [
    (None, "", HOLDING),
    (None, "shop/1", HOLDING),
    (None, "gateway", HOLDING),
    (None, "gateway/", set()),
    (None, "gateway/alice", set()),
    (None, "worker/1", set()),
    (GATEWAY, "gateway/alice", ALL),
    (GATEWAY, "gateway/", ALL),
    (GATEWAY, "gateway", set()),
    (GATEWAY, "shop/1", set()),
    (GATEWAY, "worker/1", set()),
    (WORKER, "worker/1", {"Expire"}),
    (WORKER, SWEEPER, {"Expire"}),
    (None, SWEEPER, set()),
    (GATEWAY, SWEEPER, set()),
    (PARTNER, SWEEPER, set()),
    (WORKER, "gateway/alice", set()),
    (PARTNER, "partner/1", HOLDING),
    (PARTNER, "gateway/alice", set()),
    (PARTNER, "shop/1", set()),
    (SHOP, "shop/1", HOLDING | PAYING),
    (ANYTHING, "gateway/alice", ALL),
]


@pytest.mark.parametrize(("signer", "source", "allowed"), MAY)
def test_r6_who_may_give_which_command(signer: SigningKey | None, source: str, allowed: set[str]) -> None:
    """The table, for each command of the design."""
    assert set(SCOPE_OF_COMMAND) == ALL >= set(COMMANDS)
    assert {name for name in ALL if may(signer, name, source)} == allowed


@pytest.mark.parametrize("signer", [None, GATEWAY, ANYTHING])
@pytest.mark.parametrize("type_name", ["", "hold", "commands.batch", "Anything", "hold.placed"])
def test_nobody_may_give_what_is_no_command(signer: SigningKey | None, type_name: str) -> None:
    """Whatever key he has."""
    assert not may(signer, type_name, "gateway/alice")


@pytest.mark.parametrize(
    ("source", "account"),
    [("gateway/alice", "alice"), ("gateway/a/b", "a/b"), ("shop/1", "kafka/shop/1"), ("gateway", "kafka/gateway")],
)
def test_a_hold_belongs_to_the_account_of_its_source(source: str, account: str) -> None:
    """Of a gateway that of the API key, of anyone else the source itself."""
    assert account_of(source) == account
