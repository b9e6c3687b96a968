"""The one list of topics: names, partitions, retention, timestamp type. Code, docs and the broker are held to it."""

from collections.abc import Iterator
from dataclasses import dataclass

LOG_APPEND_TIME = 1
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
ROOM_FOR_HEADERS_BYTES = 64 * 1024  # what forwarding and dead-lettering add to a record stays far below it
_DAY_MS = 24 * 3600 * 1000

TOPIC_OF_KIND = {"slot": "slots", "screening": "screenings", "product": "products"}
KIND_OF_TOPIC = {topic: kind for kind, topic in TOPIC_OF_KIND.items()}
KINDS = tuple(TOPIC_OF_KIND)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must stand on the broker."""

    name: str
    partitions: int
    replication: int
    min_insync_replicas: int
    retention_ms: int
    timestamp_type: str
    compression_type: str
    max_message_bytes: int

    def config(self) -> dict[str, str]:
        """Return the broker's settings of this topic, by Kafka's names."""
        return {
            "cleanup.policy": "delete",
            "compression.type": self.compression_type,
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": self.timestamp_type,
            "min.insync.replicas": str(self.min_insync_replicas),
            "retention.ms": str(self.retention_ms),
            "unclean.leader.election.enable": "false",
        }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every topic of one installation; `prefix` is put before each name as it is."""

    prefix: str = ""
    partitions: int = 64
    replication: int = 3
    command_retention_days: int = 7
    event_retention_days: int = 7
    dead_letter_retention_days: int = 30

    def commands(self, kind: str) -> str:
        """Return the name of the command topic of `kind`."""
        return f"{self.prefix}{TOPIC_OF_KIND[kind]}.commands"

    def events(self, kind: str) -> str:
        """Return the name of the event topic of `kind`."""
        return f"{self.prefix}{TOPIC_OF_KIND[kind]}.events"

    def dead_letters(self, kind: str) -> str:
        """Return the name of the topic that takes what cannot be decided."""
        return f"{self.commands(kind)}.dlq"

    def kind_of_commands(self, topic: str) -> str:
        """Return the kind whose commands `topic` carries; KeyError if it is not a command topic of ours."""
        return KIND_OF_TOPIC[topic.removeprefix(self.prefix).removesuffix(".commands")]

    def topics(self) -> Iterator[Topic]:
        """Yield each topic; the three of a kind share key and partition count."""
        for kind in KINDS:
            # The broker unpacks what strangers compress, in whatever way and however far it expands: so no worker needs
            # their codecs, and the limit of a record holds for what the worker reads.
            yield self._topic(
                self.commands(kind), self.command_retention_days, timestamp="LogAppendTime", compression="uncompressed"
            )
            yield self._topic(self.events(kind), self.event_retention_days)
            yield self._topic(
                self.dead_letters(kind),
                self.dead_letter_retention_days,
                message_bytes=MESSAGE_BYTES_MAX + ROOM_FOR_HEADERS_BYTES,
            )

    def _topic(
        self,
        name: str,
        retention_days: int,
        *,
        timestamp: str = "CreateTime",
        compression: str = "producer",
        message_bytes: int = MESSAGE_BYTES_MAX,
    ) -> Topic:
        return Topic(
            name=name,
            partitions=self.partitions,
            replication=self.replication,
            min_insync_replicas=min(2, self.replication),
            retention_ms=retention_days * _DAY_MS,
            timestamp_type=timestamp,
            compression_type=compression,
            max_message_bytes=message_bytes,
        )
