"""Records of type `commands.batch`: each of their events stands for itself."""

import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import GATEWAY, PARTITIONS, PARTNER, WORKER, define, envelope_of, signed_record, structured
from topics.cloudevents import Envelope
from topics.commands import BATCH, BATCH_COMMANDS_MAX, Hold
from topics.dead_letters import Reason
from topics.signatures import KeyRing, SigningKey
from workers.reading import Item, Ordered, Reader, Rejected

READER = Reader(KeyRing([GATEWAY, WORKER, PARTNER]), PARTITIONS)


def part(claim: str, *, resource_id: str = "room-1", source: str = "gateway/alice") -> dict[str, object]:
    """Return a hold as a part of a batch."""
    return structured(envelope_of(Hold(resource_id=resource_id), claim=claim, source=source))


def read(
    parts: Sequence[object] | bytes, signer: SigningKey | None = GATEWAY, source: str = "gateway/alice"
) -> list[Item]:
    """Read a batch of these parts."""
    data = parts if isinstance(parts, bytes) else msgspec.json.encode(parts)
    return list(READER.read(signed_record(Envelope(type=BATCH, source=source, id="batch-1", data=data), signer)))


def shown(items: Sequence[Item]) -> list[str]:
    """Return the claims that are ordered, and why the others are not."""
    words = []
    for item in items:
        assert isinstance(item, Ordered | Rejected)
        if isinstance(item, Ordered):
            words.append(item.arrived.claim_id)
        else:
            words.append("forbidden" if item.reason is None else item.reason.value)
    return words


def test_the_parts_of_a_batch_are_ordered_in_their_order() -> None:
    """Each with its own claim; all of them lie where the record lies."""
    items = read([part("a"), part("b", source="gateway/bob"), part("c")])
    assert shown(items) == ["a", "b", "c"]
    ordered = [item.arrived for item in items if isinstance(item, Ordered)]
    assert [arrived.account for arrived in ordered] == ["alice", "bob", "alice"]
    assert {arrived.offset for arrived in ordered} == {7}


def test_a_part_is_the_same_request_as_the_command_alone() -> None:
    """A retry may come by the other way."""
    (in_batch,) = read([part("claim-1")])
    (alone,) = READER.read(signed_record(envelope_of(Hold(resource_id="room-1"))))
    assert isinstance(in_batch, Ordered)
    assert isinstance(alone, Ordered)
    assert in_batch.arrived == alone.arrived


BAD_PARTS: dict[str, tuple[object, str]] = {
    "not an event": ({"hello": 1}, "undecodable"),
    "not an object": (5, "undecodable"),
    "null": (None, "undecodable"),
    "without a source": ({key: value for key, value in part("x").items() if key != "source"}, "undecodable"),
    "of another key": (part("x", resource_id="room-2"), "mis_keyed"),
    "of somebody else": (part("x", source="shop/7"), "forbidden"),
    "of a worker": (part("x", source="worker/1"), "forbidden"),
    "an unknown type": (part("x") | {"type": "Grab"}, "unknown_type"),
    "another version": (part("x") | {"dataschema": "/schemas/commands/Hold/2"}, "unknown_version"),
    "an invalid command": (part("x") | {"data": {"resource_id": "room-1", "quantity": 0}}, "invalid_command"),
    "without data": ({key: value for key, value in part("x").items() if key != "data"}, "invalid_command"),
    "a batch": (part("x") | {"type": BATCH, "data": []}, "unknown_type"),
}


@pytest.mark.parametrize("what", BAD_PARTS)
def test_a_bad_part_does_not_keep_the_others_from_being_decided(what: str) -> None:
    """Before it and after it."""
    bad, reason = BAD_PARTS[what]
    assert shown(read([part("a"), bad, part("b")])) == ["a", reason, "b"]


def test_bad_and_good_parts_mixed() -> None:
    """All of the bad ones at once."""
    parts: list[object] = []
    expected: list[str] = []
    for number, (bad, reason) in enumerate(BAD_PARTS.values()):
        parts += [part(f"k{number}"), bad]
        expected += [f"k{number}", reason]
    assert shown(read(parts)) == expected


def test_a_batch_carries_so_many_commands() -> None:
    """One more, or none, and the whole of it is a dead letter."""
    most = [part(f"k{number}") for number in range(BATCH_COMMANDS_MAX)]
    assert len(read(most)) == BATCH_COMMANDS_MAX
    assert shown(read([*most, part("one more")])) == ["undecodable"]
    assert shown(read([])) == ["undecodable"]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"null", b"[", b'["\xff"]', b"[" * 60_000, b"[" * 60_000 + b"]" * 60_000, b"[1]x", b"\xff"]
)
def test_what_is_no_list_of_events_is_a_dead_letter(data: bytes) -> None:
    """Nothing of it raises."""
    assert set(shown(read(data))) == {"undecodable"}


def test_r6_a_batch_is_signed_by_one_who_may() -> None:
    """An unsigned batch is forbidden as a whole, and so is one of a source that is not the signer's."""
    assert shown(read([part("a")], None)) == ["forbidden"]
    assert shown(read([part("a")], None, source="shop/7")) == ["forbidden"]
    theirs = [part("a", source="partner/1"), part("b", source="partner/1")]
    assert shown(read(theirs, PARTNER, source="partner/1")) == ["a", "b"]
    assert shown(read(theirs, PARTNER)) == ["forbidden"]
    stranger = SigningKey("x", b"x", GATEWAY.scopes, "")
    assert shown(read([part("a")], stranger)) == ["forbidden"]


def test_a_batch_gives_no_right_that_its_signer_has_not() -> None:
    """Its scopes are asked for each part."""
    definition = structured(envelope_of(define(), source="partner/1"))
    assert shown(read([part("a", source="partner/1"), definition], PARTNER, "partner/1")) == ["a", "forbidden"]


def test_a_rejected_part_names_its_own_claim() -> None:
    """So that whoever sent it can tell which it was."""
    first, second = read([part("x", resource_id="room-2"), part("y", source="shop/7")])
    assert isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert (first.source, first.claim_id, first.reason) == ("gateway/alice", "x", Reason.MIS_KEYED)
    assert (second.source, second.claim_id, second.reason) == ("shop/7", "y", None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(part("a")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*part("a"), "x"]), inner, max_size=5),
    max_leaves=8,
)


@given(st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value, default=str).encode()))
def test_reading_any_batch_raises_nothing(data: bytes) -> None:
    """Even what was signed is not trusted to be well-formed."""
    assert len(read(data)) >= 1


@given(st.lists(st.sampled_from(sorted(BAD_PARTS)) | st.just(""), min_size=1, max_size=BATCH_COMMANDS_MAX))
def test_any_mixture_of_parts_is_taken_apart_rightly(kinds: list[str]) -> None:
    """As many items as parts, in their order."""
    parts = [BAD_PARTS[kind][0] if kind else part(f"k{number}") for number, kind in enumerate(kinds)]
    expected = [BAD_PARTS[kind][1] if kind else f"k{number}" for number, kind in enumerate(kinds)]
    assert shown(read(parts)) == expected
