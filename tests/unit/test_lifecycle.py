"""The life of a hold is a table without gaps, and the diagram in the docs is that table."""

import re
from pathlib import Path

import pytest

from topics.orders import OrderStatus, PaymentStatus
from topics.refusals import CATALOGUE
from topics.resources import HoldStatus
from workers.core.lifecycle import BEGINS, NEXT, REFUSAL_OF_STATUS, Happening, diagram
from workers.core.order_lifecycle import (
    NEXT_OF_ORDER,
    NEXT_OF_PAYMENT,
    OrderHappening,
    PaymentHappening,
    diagrams,
)

LIVE = {HoldStatus.HELD}
DOCS = Path(__file__).parents[2] / "docs"


def test_every_state_and_every_happening_is_in_the_table() -> None:
    """None is forgotten, and each state can be reached or is where a hold begins."""
    assert set(NEXT) == set(HoldStatus)
    assert {happening for ways in NEXT.values() for happening in ways} == set(Happening)
    assert {after for ways in NEXT.values() for after in ways.values()} == set(HoldStatus)


@pytest.mark.parametrize("status", [status for status in HoldStatus if status not in LIVE], ids=lambda its: its.value)
def test_what_has_ended_never_expires(status: HoldStatus) -> None:
    """E-13: a unit that is sold is never freed by an expiry, and none is freed twice."""
    assert Happening.EXPIRE not in NEXT[status]


@pytest.mark.parametrize("status", [status for status in HoldStatus if status not in LIVE], ids=lambda its: its.value)
def test_nothing_comes_back_to_life(status: HoldStatus) -> None:
    """E-18: what is over or firm is never held again."""
    assert LIVE & set(NEXT[status].values()) == set()


@pytest.mark.parametrize("status", [its for its in HoldStatus if its is not HoldStatus.USED], ids=lambda its: its.value)
def test_a_cancel_always_succeeds(status: HoldStatus) -> None:
    """E-82: and leads to an end, the one that is there already if there is one. What an order used is the order's."""
    after = NEXT[status][Happening.CANCEL]
    assert after is (HoldStatus.EXPIRED if status is HoldStatus.EXPIRED else HoldStatus.CANCELLED)


def test_what_lives_expires() -> None:
    """Into the state that says so."""
    assert NEXT[HoldStatus.HELD][Happening.EXPIRE] is HoldStatus.EXPIRED


def test_what_is_not_in_the_table_has_a_refusal() -> None:
    """Of the catalogue, named for the state that stands in the way; what lives refuses nothing."""
    assert set(NEXT[HoldStatus.HELD]) == set(Happening)
    assert {status: f"hold_{status.value}" for status in HoldStatus if status not in LIVE} == REFUSAL_OF_STATUS
    assert set(REFUSAL_OF_STATUS.values()) <= set(CATALOGUE)


def test_the_diagram_in_the_docs_is_the_table_of_the_code() -> None:
    """Each arrow, and none besides; if this fails, put what `diagram()` and `diagrams()` return into docs/lifecycle.md."""
    blocks = re.findall(r"```mermaid\n(.*?)\n```", (DOCS / "lifecycle.md").read_text(), re.DOTALL)
    assert blocks == [diagram(), *diagrams()]


def test_every_state_of_orders_and_payments_is_in_their_tables() -> None:
    """None is forgotten, and each can be reached or is where it begins."""
    assert set(NEXT_OF_ORDER) == set(OrderStatus)
    assert set(NEXT_OF_PAYMENT) == set(PaymentStatus)
    assert {after for ways in NEXT_OF_ORDER.values() for after in ways.values()} | {OrderStatus.PENDING_PAYMENT} == set(
        OrderStatus
    )
    assert {happening for ways in NEXT_OF_ORDER.values() for happening in ways} == set(OrderHappening)
    assert {happening for ways in NEXT_OF_PAYMENT.values() for happening in ways} == set(PaymentHappening)


def test_a_payment_only_moves_forward() -> None:
    """But for one that waited for its order, which then turned out to be in another currency: it never counted."""
    forward = list(PaymentStatus)
    back = [
        (status, after)
        for status, ways in NEXT_OF_PAYMENT.items()
        for after in ways.values()
        if forward.index(after) < forward.index(status)
    ]
    assert back == [(PaymentStatus.PAID, PaymentStatus.MISMATCHED)]


def test_e40_money_is_required_back_once() -> None:
    """No way leads from there but to its being given back, and none leads there again."""
    assert NEXT_OF_PAYMENT[PaymentStatus.REFUND_REQUIRED] == {PaymentHappening.REFUND: PaymentStatus.REFUNDED}
    assert NEXT_OF_PAYMENT[PaymentStatus.REFUNDED] == {}


def test_e35_what_is_refunded_never_comes_back() -> None:
    """Nor does an order wait for payment twice."""
    assert set(NEXT_OF_ORDER[OrderStatus.REFUNDED].values()) == {OrderStatus.REFUNDED}
    assert all(OrderStatus.PENDING_PAYMENT not in ways.values() for ways in NEXT_OF_ORDER.values())


def test_the_diagram_has_an_arrow_for_each_way() -> None:
    """From where a hold begins on."""
    head, *arrows = diagram().splitlines()
    ways = {
        f"    {status.value} --> {after.value}: {happening.value}"
        for status, its in NEXT.items()
        for happening, after in its.items()
    }
    assert head == "stateDiagram-v2"
    assert BEGINS is HoldStatus.HELD
    assert arrows[0] == "    [*] --> held: place"
    assert (set(arrows[1:]), len(arrows)) == (ways, 1 + len(ways))
