"""The list of topics: names, partitions, retention, timestamp type."""

import pytest

from tests.unit.ledger import RETENTION
from topics.catalogue import KINDS, TOPIC_OF_KIND, Catalogue, Topic

CATALOGUE = Catalogue(prefix="test.")
TOPICS = {topic.name: topic for topic in CATALOGUE.topics()}
DAY_MS = 24 * 3600 * 1000


def of_suffix(suffix: str) -> list[Topic]:
    """Return the topics whose names end so."""
    return [topic for topic in TOPICS.values() if topic.name.endswith(suffix)]


def test_the_names_of_the_topics() -> None:
    """Golden: three a kind, under the prefix as it is."""
    assert list(TOPICS) == [
        f"test.{family}.{name}"
        for family in ("slots", "screenings", "products")
        for name in ("commands", "events", "commands.dlq")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_topics_of_a_kind(kind: str) -> None:
    """They are found by kind, and the kind by its command topic."""
    assert TOPICS.keys() >= {CATALOGUE.commands(kind), CATALOGUE.events(kind), CATALOGUE.dead_letters(kind)}
    assert CATALOGUE.kind_of_commands(CATALOGUE.commands(kind)) == kind
    assert CATALOGUE.commands(kind) == f"test.{TOPIC_OF_KIND[kind]}.commands"


@pytest.mark.parametrize("name", ["", "test.", "test.trams.commands", "test.slots.events", "trams"])
def test_other_topics_have_no_kind(name: str) -> None:
    """A topic that is not ours is an error, not a guess."""
    with pytest.raises(KeyError):
        CATALOGUE.kind_of_commands(name)


def test_the_arrival_of_a_command_is_the_broker_s_time() -> None:
    """Deadlines are judged by it; what we write ourselves keeps the time that we give it."""
    assert {topic.timestamp_type for topic in of_suffix(".commands")} == {"LogAppendTime"}
    assert {topic.timestamp_type for topic in [*of_suffix(".events"), *of_suffix(".dlq")]} == {"CreateTime"}


def test_key_and_partition_count_are_shared() -> None:
    """A dead letter and an event lie on the partition of their command."""
    assert {topic.partitions for topic in TOPICS.values()} == {64}


def test_durability_is_not_a_tuning_knob() -> None:
    """Three replicas of which two must have it, and no leader that has not."""
    for topic in TOPICS.values():
        assert (topic.replication, topic.min_insync_replicas) == (3, 2)
        assert topic.config()["unclean.leader.election.enable"] == "false"
        assert topic.config()["cleanup.policy"] == "delete"


@pytest.mark.parametrize(("replication", "in_sync"), [(1, 1), (2, 2), (3, 2), (5, 2)])
def test_a_small_installation_can_still_write(replication: int, in_sync: int) -> None:
    """It never asks for more replicas in sync than there are."""
    assert {topic.min_insync_replicas for topic in Catalogue(replication=replication).topics()} == {in_sync}


def test_e32_outcomes_are_kept_longer_than_commands() -> None:
    """Else a record could be delivered again after its outcome was purged, and be executed twice."""
    for topic in of_suffix(".commands"):
        assert topic.retention_ms == 7 * DAY_MS
        assert topic.retention_ms < RETENTION.total_seconds() * 1000


def test_no_setting_is_lost_on_the_way_to_the_broker() -> None:
    """As text, by Kafka's names."""
    assert TOPICS["test.slots.commands"].config() == {
        "cleanup.policy": "delete",
        "compression.type": "uncompressed",
        "max.message.bytes": str(4 * 1024 * 1024),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": "2",
        "retention.ms": str(7 * DAY_MS),
        "unclean.leader.election.enable": "false",
    }


def test_a_dead_letter_has_room_for_its_reason() -> None:
    """The largest record of a command topic fits the dead letters with the headers that it gains there."""
    for commands, dead_letters in zip(of_suffix(".commands"), of_suffix(".dlq"), strict=True):
        assert dead_letters.max_message_bytes > commands.max_message_bytes
        assert dead_letters.retention_ms == 30 * DAY_MS
