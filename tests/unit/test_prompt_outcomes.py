"""What is told at once is what the event says, only to gateways, and nothing that comes by Redis harms one."""

import msgspec
import pytest
from msgspec.structs import replace

from gateway.event_reader import Place
from gateway.prompt_listener import PromptListener
from gateway.waiters import Waiters
from tests.unit.builders import at, define, envelope_of, signed_record
from tests.unit.ledger import Ledger
from tests.unit.test_emitting import READER
from topics import events
from topics.catalogue import Catalogue
from topics.commands import Command, Hold
from topics.prompt_outcomes import OUTCOME_BYTES_MAX, PromptOutcome, decode, encode
from topics.redis_keys import RedisKeys
from workers.core.batch import Outcome
from workers.prompt_outcomes import prompt_of
from workers.reading import Ordered

CATALOGUE = Catalogue()
ROOM = "room-1"


def decided() -> list[Outcome]:
    """Return what became of a definition and two holds, of which the second is refused."""
    commands: list[tuple[Command, str]] = [
        (define(capacity=1), "d"),
        (Hold(resource_id=ROOM), "h-1"),
        (Hold(resource_id=ROOM), "h-2"),
    ]
    items = [item for asked, claim in commands for item in READER.read(signed_record(envelope_of(asked, claim=claim)))]
    ledger = Ledger()
    return list(ledger.apply([item.arrived for item in items if isinstance(item, Ordered)], at(0)).outcomes)


def answer_of(outcome: Outcome) -> events.Stored:
    """Return the event that answers."""
    return next(event for event in outcome.events or () if event.answers)


def listening(waiters: Waiters) -> tuple[PromptListener, list[tuple[Place, int]]]:
    """Return a listener, and what it was told is decided."""
    told: list[tuple[Place, int]] = []
    return PromptListener("", RedisKeys(""), CATALOGUE, waiters, lambda *one: told.append(one)), told


def test_granted_and_refused_are_told_as_their_events_say() -> None:
    """Fails if a refusal has to wait for its event, or the data differs."""
    outcomes = decided()
    prompt = prompt_of(outcomes)
    assert prompt.is_whole
    assert decode(prompt.message) == [
        PromptOutcome(one.arrived.request_id, "slot", answer_of(one).type, answer_of(one).record, answer_of(one).data)
        for one in outcomes
    ]
    assert [one.type for one in decode(prompt.message)][1:] == [events.HOLD_PLACED, events.REQUEST_REFUSED]


def test_what_no_gateway_asked_for_is_left_to_events() -> None:
    """Its sender reads these, so they must not be held back. Fails without the look at the source."""
    outcomes = decided()
    outcomes[1] = replace(outcomes[1], arrived=replace(outcomes[1].arrived, source="upstream/partner"))
    prompt = prompt_of(outcomes)
    assert not prompt.is_whole
    assert [one.request_id for one in decode(prompt.message)] == [outcomes[n].arrived.request_id for n in (0, 2)]
    assert prompt_of(outcomes[1:2]).message == b""


def test_what_is_large_or_has_no_answer_is_left_to_events() -> None:
    """Every gateway is sent every outcome. Fails without the bound."""
    outcomes = decided()
    long = msgspec.Raw(b'"' + b"x" * OUTCOME_BYTES_MAX + b'"')
    large = replace(outcomes[0], events=(replace(answer_of(outcomes[0]), data=long),))
    for outcome in (large, replace(outcomes[0], events=()), replace(outcomes[0], events=None)):
        prompt = prompt_of([outcome])
        assert (prompt.message, prompt.is_whole) == (b"", False)


async def test_who_waits_is_answered_and_others_hear_what_is_decided() -> None:
    """Of each record once. Fails if the waiter of another request is answered."""
    outcomes = decided()
    waiters = Waiters(10)
    listener, told = listening(waiters)
    asked = outcomes[1].arrived.request_id
    with waiters.waiting_for(asked) as waiter, waiters.waiting_for("another") as other:
        listener.hear(prompt_of(outcomes).message)
        assert waiter is not None
        assert other is not None
        assert waiter.answer is not None
        assert other.answer is None
        event = answer_of(outcomes[1])
        assert (waiter.answer.type, waiter.answer.data) == (event.type, bytes(event.data))
        assert waiter.answer.record == event.record
    assert listener.told == 1
    place = (CATALOGUE.commands("slot"), outcomes[0].arrived.partition)
    assert [one for one, _ in told] == [place] * len({answer_of(one).record for one in outcomes})


@pytest.mark.parametrize(
    "message",
    [b"", b"{}", b"[1]", b'[["a"]]', b"\xff", b"[" * 100_000, b'[["\xff","slot","t","0/0",1]]'],
    ids=["empty", "object", "number", "short", "bytes", "deep", "text"],
)
def test_what_cannot_be_read_is_passed_over(message: bytes) -> None:
    """Fails if anything that somebody puts on the channel ends the listening."""
    listener, told = listening(Waiters(1))
    listener.hear(message)
    assert not told


@pytest.mark.parametrize(("kind", "record"), [("boat", "0/1"), ("slot", "0/x"), ("slot", "9" * 5_000 + "/0"), ("", "")])
def test_a_place_that_is_none_is_passed_over(kind: str, record: str) -> None:
    """Fails (KeyError, ValueError) if it is taken for one."""
    listener, told = listening(Waiters(1))
    listener.hear(encode([PromptOutcome("r", kind, "t", record, msgspec.Raw(b"{}"))]))
    assert not told
