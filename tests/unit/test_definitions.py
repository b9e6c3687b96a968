"""What a definition says: its numbers, and what contradicts what."""

import json

import pytest

from topics.commands import DefineResource, Invalid, contradictions, decode


@pytest.mark.parametrize("name", ["capacity", "hold_seconds", "max_hold_seconds", "units_per_hold", "holds_per_buyer"])
@pytest.mark.parametrize("number", [-1, 2**31, 5.5, True, "5", [1]])
def test_e5_the_numbers_of_a_definition_are_as_strict(name: str, number: object) -> None:
    """The same of every number that a definition sets."""
    with pytest.raises(Invalid, match=rf"\$\.{name}"):
        decode("DefineResource", json.dumps({"resource_id": "r", name: number}).encode())


@pytest.mark.parametrize(
    ("fields", "contradicted"),
    [
        ({"hold_seconds": 11, "max_hold_seconds": 10}, ["hold_seconds"]),
        ({"hold_seconds": 10, "max_hold_seconds": 10}, []),
        ({"hold_seconds": 10_000}, []),
        ({"max_hold_seconds": 1}, []),
        ({"opens_at": "2026-01-01T12:00:00Z", "closes_at": "2026-01-01T13:00:00+01:00"}, ["closes_at"]),
        ({"opens_at": "2026-01-01T12:00:00Z", "closes_at": "2026-01-01T12:00:01Z"}, []),
        ({"opens_at": "2026-01-01T12:00:00Z"}, []),
        ({"closes_at": "2026-01-01T12:00:00Z"}, []),
    ],
)
def test_settings_that_contradict_each_other(fields: dict[str, object], contradicted: list[str]) -> None:
    """What is set; a default gives way (`a lifetime and the longest, where one of them is not said`)."""
    command = decode("DefineResource", json.dumps({"resource_id": "r", **fields}).encode())
    assert isinstance(command, DefineResource)
    assert list(contradictions(command)) == contradicted
