"""What the random histories of `test_core_against_model` are made of, and what is true of every history."""

import hashlib
import re
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from tests.unit.builders import arrived, at
from tests.unit.ledger import Ledger
from tests.unit.reference_model import Ask, Asked, Definition, Given, Name, OfHold, Sweep
from topics import commands, events
from topics.events import HoldChanged, ResourceDefined, Stored
from topics.identifiers import hold_id_of
from topics.resources import ClaimAt
from workers.core.batch import Arrived

RESOURCES = ["room", "hall"]
NOBODY_S = Name("gateway/alice", "never sent", Asked("room"))
named = st.sampled_from(["room", "room", "room", "hall"])
sources = st.sampled_from(["gateway/alice", "gateway/alice", "gateway/alice", "gateway/bob", "shop"])
tokens = st.sampled_from([None, None, "t", "u"])
quantities = st.sampled_from([1, 1, 1, 2, 3, 4])
lifetimes = st.sampled_from([5, 20, 300])
buyers = st.sampled_from([None, "ann", "bob"])
asks = st.builds(Asked, named, quantities, buyers, tokens)
plain = st.builds(Definition, named, capacity=st.integers(1, 6), hold_seconds=lifetimes)
ruled = st.builds(
    Definition,
    named,
    capacity=st.integers(0, 6),
    hold_seconds=lifetimes,
    max_hold_seconds=st.sampled_from([None, None, 10, 60, 400]),
    claim_at=st.sampled_from(["hold", "confirm"]),
    open=st.sampled_from([True, True, True, False]),
    opens_at=st.sampled_from([None, None, 30, 300]),
    closes_at=st.sampled_from([None, None, None, 200]),
    units_per_hold=st.sampled_from([None, None, 1, 3]),
    holds_per_buyer=st.sampled_from([None, 1, 2]),
)
definitions = plain | plain | ruled
verbs = st.sampled_from(["confirm", "confirm", "cancel", "extend", "change", "change"])
numbers = st.sampled_from([1, 1, 2, 3, 4, 60, 400])
lateness = st.sampled_from([0, 0, 0, 0, 1, 5, 60, -1, -3600])
wishes = st.sampled_from([None, None, None, None, None, -1, 0, 1])
passing = st.sampled_from([1, 4, 5, 15, 20, 60, 300])


@dataclass(frozen=True)
class Sent:
    """A command as it lies in the log; `appended` and `wanted_until` are seconds since the start."""

    source: str
    claim: str
    ask: Ask
    appended: int
    wanted_until: int | None

    def arrived(self, offset: int) -> Arrived:
        """Return it as the core is given it."""
        return arrived(
            command_of(self.ask),
            claim=self.claim,
            source=self.source,
            appended_at=at(self.appended),
            expiry_time=None if self.wanted_until is None else at(self.wanted_until),
            offset=offset,
        )

    def given(self, now: int) -> Given:
        """Return it as the model is given it."""
        return Given(self.source, self.claim, self.ask, self.appended, now, self.wanted_until)


def command_of(ask: Ask) -> commands.Command:
    """Return the command that asks for it."""
    match ask:
        case Asked():
            return commands.Hold(
                resource_id=ask.resource, quantity=ask.quantity, buyer=ask.buyer, token_hash=hash_of(ask.token)
            )
        case Definition():
            return _definition(ask)
        case Sweep():
            return commands.Expire(resource_id=ask.resource)
        case OfHold():
            return _command_of_hold(ask)


def _definition(ask: Definition) -> commands.Command:
    return commands.DefineResource(
        resource_id=ask.resource,
        capacity=ask.capacity,
        hold_seconds=ask.hold_seconds,
        max_hold_seconds=ask.max_hold_seconds,
        claim_at=ClaimAt(ask.claim_at),
        open=ask.open,
        opens_at=None if ask.opens_at is None else at(ask.opens_at),
        closes_at=None if ask.closes_at is None else at(ask.closes_at),
        units_per_hold=ask.units_per_hold,
        holds_per_buyer=ask.holds_per_buyer,
    )


def _command_of_hold(ask: OfHold) -> commands.Command:
    placed_by = arrived(command_of(ask.hold.asked), claim=ask.hold.claim, source=ask.hold.source)
    hold_id, token_hash = hold_id_of(placed_by.request_id), hash_of(ask.token)
    match ask.verb:
        case "confirm":
            return commands.Confirm(resource_id=ask.resource, hold_id=hold_id, token_hash=token_hash)
        case "cancel":
            return commands.Cancel(resource_id=ask.resource, hold_id=hold_id, token_hash=token_hash)
        case "extend":
            return commands.Extend(resource_id=ask.resource, hold_id=hold_id, token_hash=token_hash, seconds=ask.number)
        case _:
            return commands.ChangeHold(
                resource_id=ask.resource, hold_id=hold_id, token_hash=token_hash, quantity=ask.number
            )


def hash_of(token: str | None) -> str | None:
    """Return what commands carry of a token."""
    return None if token is None else hashlib.sha256(token.encode()).hexdigest()


def check_history(ledger: Ledger, resource_id: str) -> None:
    """Check the events of a resource: versions without gaps, no unit sold twice, and the life of each hold."""
    told = [event for request in ledger.requests.values() for event in events.decode_stored(request.events)]
    changes = [
        (event, data)
        for event in told
        if event.type != events.HOLD_UNCHANGED
        and isinstance(data := events.decode_data(event.type, bytes(event.data)), HoldChanged | ResourceDefined)
        and data.resource_id == resource_id
    ]
    assert [data.version for _, data in changes] == list(range(1, len(changes) + 1))
    assert [event.version for event, _ in changes] == [data.version for _, data in changes]
    out = 0
    for _, data in changes:
        counters = data.counters
        assert counters.held + counters.taken <= max(counters.capacity, out), "a unit was sold twice"
        out = counters.held + counters.taken
    ids = [event.id for event in told]
    assert len(ids) == len(set(ids)), "two events with one id"
    lives: dict[str, list[tuple[Stored, HoldChanged]]] = {}
    for event, data in changes:
        if isinstance(data, HoldChanged):
            lives.setdefault(data.hold.id, []).append((event, data))
    for life in lives.values():
        check_life(life)


def check_life(life: list[tuple[Stored, HoldChanged]]) -> None:
    """Check the events of one hold: placed once, ended at most once, what is firm never expires, no time is taken back."""
    letters = "".join(event.type.removeprefix("hold.")[:3] for event, _ in life)
    assert re.fullmatch(r"pla(cha|ext)*(can|exp|con(can)?)?", letters), letters
    for (_, before), (_, after) in pairwise(life):
        assert before.hold.expires_at <= after.hold.expires_at <= after.hold.expires_latest_at
        assert before.hold.expires_latest_at == after.hold.expires_latest_at
        assert before.hold.granted_at == after.hold.granted_at
        assert before.hold.ended_at is None
    for event, data in life:
        assert (data.hold.ended_at is not None) == (event.type in {events.HOLD_CANCELLED, events.HOLD_EXPIRED})
        if event.type == events.HOLD_EXPIRED:
            assert data.hold.ended_at == data.hold.expires_at <= data.arrived_at, "released before its time"
        elif event.type != events.HOLD_CANCELLED:
            assert data.hold.expires_at > data.arrived_at or event.type == events.HOLD_CONFIRMED
