"""How differences of topics are told: equal ones in one line, with what helps."""

import pytest

from firmhold.topic_differences import folded
from topics.admin import PARTITIONS, REPLICAS, Missing, Unlike

TOPICS = ("slots.commands", "slots.events", "slots.commands.dlq")


def test_equal_differences_are_one_line() -> None:
    """A broker whose topics were all made with another setting is one finding, not nine."""
    assert folded(Unlike(name, PARTITIONS, "8", "64") for name in TOPICS) == [
        (
            "3 topics have 8 partitions, the catalogue says 64: slots.commands, slots.events, slots.commands.dlq; "
            "set FIRMHOLD_PARTITIONS to what the broker has, as that is never changed"
        )
    ]


def test_different_differences_stay_apart() -> None:
    """Each needs something else, and a single topic is named in the singular."""
    assert folded(
        [
            Missing("slots.commands"),
            Unlike("slots.events", PARTITIONS, "8", "64"),
            Missing("slots.commands.dlq"),
        ]
    ) == [
        "2 topics do not exist: slots.commands, slots.commands.dlq; run `firmhold topics create`",
        (
            "topic slots.events has 8 partitions, the catalogue says 64; "
            "set FIRMHOLD_PARTITIONS to what the broker has, as that is never changed"
        ),
    ]


def test_replicas_are_set_by_who_runs_the_broker() -> None:
    """`topics create` moves no data, so it is not the advice for replicas."""
    (line,) = folded([Unlike("slots.events", REPLICAS, "1", "3")])
    assert line.startswith("topic slots.events has 1 replicas, the catalogue says 3; ")
    assert "FIRMHOLD_REPLICATION" in line
    assert "topics create" not in line


@pytest.mark.parametrize("setting", ["min.insync.replicas", "retention.ms", "message.timestamp.type"])
def test_settings_are_given_by_topics_create(setting: str) -> None:
    """What `topics create` mends is told so."""
    (line,) = folded([Unlike("slots.events", setting, "1", "2")])
    assert line.startswith(f"topic slots.events has {setting}=1, the catalogue says 2; ")
    assert "run `firmhold topics create`" in line


def test_the_same_setting_with_other_values_stays_apart() -> None:
    """A topic that has 1 and one that has 3 differ in different ways."""
    lines = folded(
        [Unlike("slots.events", "retention.ms", "1", "2"), Unlike("slots.commands", "retention.ms", "3", "2")]
    )
    assert [line.partition(";")[0] for line in lines] == [
        "topic slots.events has retention.ms=1, the catalogue says 2",
        "topic slots.commands has retention.ms=3, the catalogue says 2",
    ]
