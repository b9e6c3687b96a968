"""How differences of topics are told: equal ones in one line, with what helps."""

import pytest

from firmhold.topic_differences import folded

TOPICS = ("slots.commands", "slots.events", "slots.commands.dlq")


def test_equal_differences_are_one_line() -> None:
    """A broker whose topics were all made with another setting is one finding, not nine."""
    sentences = [f"topic {name} has 8 partitions, the catalogue says 64" for name in TOPICS]
    assert folded(sentences) == [
        (
            "3 topics have 8 partitions, the catalogue says 64: slots.commands, slots.events, slots.commands.dlq; "
            "set FIRMHOLD_PARTITIONS to what the broker has, as that is never changed"
        )
    ]


def test_different_differences_stay_apart() -> None:
    """Each needs something else, and a single topic is named in the singular."""
    assert folded(
        [
            "topic slots.commands does not exist",
            "topic slots.events has 8 partitions, the catalogue says 64",
            "topic slots.commands.dlq does not exist",
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
    (line,) = folded(["topic slots.events has 1 replicas, the catalogue says 3"])
    assert "FIRMHOLD_REPLICATION" in line
    assert "topics create" not in line


@pytest.mark.parametrize("setting", ["min.insync.replicas", "retention.ms", "message.timestamp.type"])
def test_settings_are_given_by_topics_create(setting: str) -> None:
    """What `topics create` mends is told so."""
    (line,) = folded([f"topic slots.events has {setting}=1, the catalogue says 2"])
    assert "run `firmhold topics create`" in line


def test_a_sentence_of_another_form_is_told_as_it_is() -> None:
    """Nothing is lost because it was not foreseen."""
    (line,) = folded(["the broker has moods"])
    assert line.startswith("the broker has moods; ")
