"""The catalogue of refusals is closed and ordered, and of two reasons that apply the earlier is the answer."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

import workers.core
from tests.unit.situations import HOLD, NOW, situation
from topics.commands import COMMANDS, OfHold
from topics.events import HoldChanged, RequestRefused
from topics.refusals import CATALOGUE, PRECEDENCE, Retry
from topics.resources import HoldStatus
from workers.core.decide import fail
from workers.core.lifecycle import REFUSAL_OF_STATUS
from workers.core.state import Decision


def test_the_catalogue_is_closed_and_in_this_order() -> None:
    """Golden: clients know these reasons, and the order is part of the contract."""
    assert PRECEDENCE == (
        "forbidden",
        "idempotency_key_reused",
        "command_expired",
        "not_found",
        "version_mismatch",
        "hold_refused",
        "hold_not_found",
        "needs_order",
        "hold_confirmed",
        "hold_used",
        "hold_cancelled",
        "hold_expired",
        "order_not_found",
        "payment_of_another_order",
        "closed",
        "not_open_yet",
        "units_per_hold_exceeded",
        "holds_per_buyer_exceeded",
        "unknown_pool",
        "sold_out",
        "internal_error",
    )


def test_the_core_refuses_with_reasons_of_the_catalogue_only() -> None:
    """And there is none in it that the core (or the reader: forbidden) never gives."""
    trees = [ast.parse(path.read_text()) for path in Path(workers.core.__path__[0]).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "No"]
    computed = {ast.unparse(call.args[0]) for call in calls if not isinstance(call.args[0], ast.Constant)}
    written = {ast.literal_eval(call.args[0]) for call in calls if isinstance(call.args[0], ast.Constant)}
    assert computed == {"REFUSAL_OF_STATUS[hold.status]"}
    assert written | set(REFUSAL_OF_STATUS.values()) | {"forbidden"} == set(CATALOGUE)


@pytest.mark.parametrize("reason", PRECEDENCE)
def test_a_refusal_says_what_it_is(reason: str) -> None:
    """In a sentence, and what a client can do."""
    refusal = CATALOGUE[reason]
    assert refusal.reason == reason
    assert refusal.title[0].isupper()
    assert refusal.title[-1] != "."
    assert refusal.stored == (reason != "forbidden")
    hopeless = {"forbidden", "internal_error", "hold_refused", "needs_order"}
    hopeless |= {"hold_confirmed", "hold_used", "hold_cancelled", "hold_expired"}
    assert (refusal.retry is Retry.NEVER) == (reason in hopeless)


EVERY = ("idempotency_key_reused", "command_expired", "not_found")
HOLD_IS_NOT_THERE = ("hold_refused", "hold_not_found")
HOLD_IS_OVER = ("hold_confirmed", "hold_used", "hold_cancelled", "hold_expired")
TAKING = ("closed", "not_open_yet", "units_per_hold_exceeded")
OF_HOLD = ("Confirm", "Cancel", "Extend", "ChangeHold", "PlaceOrder")

# For each command all that may refuse it, in order of precedence.
REASONS = {
    "Hold": (*EVERY, *TAKING, "holds_per_buyer_exceeded", "unknown_pool", "sold_out"),
    "DefineResource": ("idempotency_key_reused", "command_expired", "version_mismatch"),
    "Confirm": (
        *EVERY,
        *HOLD_IS_NOT_THERE,
        "needs_order",
        "hold_used",
        "hold_cancelled",
        "hold_expired",
        "sold_out",
    ),
    "Cancel": (*EVERY, *HOLD_IS_NOT_THERE, "hold_used"),
    "Extend": (*EVERY, *HOLD_IS_NOT_THERE, *HOLD_IS_OVER),
    "ChangeHold": (*EVERY, *HOLD_IS_NOT_THERE, *HOLD_IS_OVER, *TAKING, "unknown_pool", "sold_out"),
    "PlaceOrder": (*EVERY, *HOLD_IS_NOT_THERE, *HOLD_IS_OVER, "sold_out"),
    "CancelOrder": (*EVERY, "order_not_found"),
    "RecordPayment": (*EVERY, "payment_of_another_order"),
}
ALONE = [(command, reason) for command, reasons in REASONS.items() for reason in reasons]


def can_coincide(earlier: str, later: str) -> bool:
    """Tell whether both can apply: a hold has one state, and where something is missing nothing is wrong with it."""
    if "not_found" in (earlier, later):
        return earlier in EVERY and later in EVERY
    if earlier == "hold_refused":
        return later not in (*HOLD_IS_NOT_THERE, *HOLD_IS_OVER)
    return not (earlier in HOLD_IS_OVER and later in HOLD_IS_OVER)


def pairs() -> Iterator[tuple[str, str, str]]:
    """Yield each command with two reasons that can apply at once."""
    for command, reasons in REASONS.items():
        yield from ((command, *pair) for pair in combinations(reasons, 2) if can_coincide(*pair))


def refused_in(decision: Decision) -> RequestRefused:
    """Return the one event of a refusal."""
    assert len(decision.facts) == 1
    assert decision.facts[0].answers
    refused = decision.facts[0].data
    assert isinstance(refused, RequestRefused)
    return refused


def test_every_command_is_in_the_table() -> None:
    """And every reason that the core can be made to give; `Expire` is never refused for what it finds."""
    assert set(REASONS) | {"Expire"} == set(COMMANDS)
    given = {reason for reasons in REASONS.values() for reason in reasons}
    assert given | {"forbidden", "internal_error"} == set(CATALOGUE)


@pytest.mark.parametrize("reasons", REASONS.values(), ids=REASONS)
def test_the_table_follows_the_catalogue(reasons: tuple[str, ...]) -> None:
    """What is tested below as the order is the order that is published."""
    assert list(reasons) == sorted(reasons, key=PRECEDENCE.index)


@pytest.mark.parametrize("command", REASONS)
def test_when_no_reason_applies_there_is_no_refusal(command: str) -> None:
    """The situations below start from a command that is granted, and changes something."""
    decision = situation(command).decide()
    assert decision.reason is None
    assert decision.resource is not None
    assert decision.resource.version == 8


@pytest.mark.parametrize(("command", "reason"), ALONE)
def test_a_reason_alone_refuses(command: str, reason: str) -> None:
    """It changes no pool and no hold, and is told once, with the version that stands."""
    its = situation(command)
    its.make(reason)
    before = its.state().resource
    decision = its.decide()
    assert (decision.reason, decision.pools, decision.holds) == (reason, {}, {})
    assert decision.resource == (None if before is None else replace(before, last_arrived_at=NOW))
    refused = refused_in(decision)
    assert (refused.reason, refused.command, refused.resource_id) == (reason, command, "r")
    assert refused.version == (0 if reason == "not_found" else 7)
    assert refused.counters == (None if before is None else before.counters)
    assert (refused.arrived_at, refused.decided_at) == (NOW, NOW)


@pytest.mark.parametrize(("command", "earlier", "later"), list(pairs()))
def test_of_two_reasons_to_refuse_the_earlier_is_the_answer(command: str, earlier: str, later: str) -> None:
    """Each pair that can coincide, in whichever order it came about."""
    for order in ((earlier, later), (later, earlier)):
        its = situation(command)
        for reason in order:
            its.make(reason)
        assert its.decide().reason == earlier


@pytest.mark.parametrize("command", REASONS)
def test_all_reasons_at_once(command: str) -> None:
    """Taken away from the front one by one, each is the answer in its turn."""
    alternatives = {"not_found", "hold_refused", "hold_confirmed", "hold_used", "hold_cancelled"}
    in_turn = [reason for reason in REASONS[command] if reason not in alternatives]
    for first in range(len(in_turn)):
        its = situation(command)
        for reason in in_turn[first:]:
            its.make(reason)
        assert its.decide().reason == in_turn[first]


@pytest.mark.parametrize("command", OF_HOLD)
def test_where_there_is_no_resource_there_is_no_hold(command: str) -> None:
    """Even of a hold that was refused because of that."""
    its = situation(command)
    its.make("hold_refused")
    its.make("not_found")
    assert its.decide().reason == "not_found"


@pytest.mark.parametrize("command", OF_HOLD)
@pytest.mark.parametrize("status", HoldStatus)
def test_e78_r7_a_stranger_learns_nothing(command: str, status: HoldStatus) -> None:
    """Of a hold in whatever state, or refused, he is told word for word what he is told of one never seen."""
    answers = []
    for stage in range(3):
        its = situation(command)
        assert its.hold is not None
        its.hold = replace(its.hold, status=status)
        if stage == 1:
            its.make("hold_refused")
        if stage == 2:
            its.hold = None
        its.make("hold_not_found")
        answers.append(its.decide())
    assert answers[0] == answers[1] == answers[2]
    assert refused_in(answers[0]).reason == "hold_not_found"


@pytest.mark.parametrize("command", OF_HOLD)
@pytest.mark.parametrize(
    ("shown", "its_own", "granted"), [("f", "f", True), ("e", "f", False), (None, "f", False), (None, None, False)]
)
def test_e78_who_shows_the_token_is_entitled(
    command: str, shown: str | None, its_own: str | None, *, granted: bool
) -> None:
    """That token and no other; a hold without one is nobody's but the owner's."""
    its = situation(command)
    its.make("hold_not_found")
    assert its.hold is not None
    assert isinstance(its.ask.command, OfHold)
    its.hold = replace(its.hold, token_hash=its_own and its_own * 64)
    its.ask = replace(its.ask, command=msgspec.structs.replace(its.ask.command, token_hash=shown and shown * 64))
    assert its.decide().reason == (None if granted else "hold_not_found")


@pytest.mark.parametrize("command", ["Confirm", "Cancel", "Extend"])
def test_closed_and_limits_are_asked_of_new_claims_only(command: str) -> None:
    """What a hold was granted it keeps, and who makes it firm, gives it back or waits claims nothing more."""
    its = situation(command)
    for reason in (*TAKING, "holds_per_buyer_exceeded"):
        its.make(reason)
    assert its.decide().reason is None


def test_a_refused_hold_says_why() -> None:
    """In the detail: the reason of then."""
    its = situation("Confirm")
    its.make("hold_refused")
    assert refused_in(its.decide()).detail == "the hold was refused: sold_out"


def test_closed_for_good_comes_before_not_open_yet() -> None:
    """Of a slot whose dates contradict each other."""
    its = situation("Hold")
    its.settings = msgspec.structs.replace(its.settings, closes_at=NOW, opens_at=NOW + timedelta(days=1))
    assert its.decide().reason == "closed"


@pytest.mark.parametrize(("command", "reason"), ALONE)
def test_a_fault_of_ours_comes_before_everything_that_was_not_asked(command: str, reason: str) -> None:
    """Whatever else applied: it could not be decided, and nothing changes."""
    its = situation(command)
    its.make(reason)
    decision = fail(its.state(), its.kind, its.ask, NOW, NOW, detail="a fault")
    assert (decision.reason, decision.pools, decision.holds) == ("internal_error", {}, {})
    assert refused_in(decision).detail == "a fault"


@pytest.mark.parametrize("reason", ["idempotency_key_reused", "command_expired", *TAKING, "sold_out"])
def test_r12_a_hold_that_exists_answers_for_its_request(reason: str) -> None:
    """It stands for the outcome that was purged, so it comes where a stored outcome comes: before all that is asked."""
    its = situation("Hold")
    its.ask = replace(its.ask, request_id=HOLD.replace("hold_", "req_"))
    its.make(reason)
    decision = its.decide()
    assert (decision.reason, decision.pools, decision.holds) == (None, {}, {})
    data = decision.facts[0].data
    assert isinstance(data, HoldChanged)
    assert (len(decision.facts), data.hold.id, data.version) == (1, HOLD, 7)
