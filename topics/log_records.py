"""What is put on a topic, and where it then lies."""

from dataclasses import dataclass

from topics.cloudevents import Headers


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be put on a topic; `partition` None follows from the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Where a record lies; `timestamp_ms` is the broker's where the topic says LogAppendTime."""

    partition: int
    offset: int
    timestamp_ms: int

    @property
    def record(self) -> str:
        """Name the record as events do: `{partition}/{offset}`."""
        return f"{self.partition}/{self.offset}"
