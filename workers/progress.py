"""How far this worker is in each partition: what was asked of itself over the log is on its way until then."""


class Progress:
    """The place behind the last record that was decided, partition by partition, since the worker started."""

    def __init__(self) -> None:
        """Begin with nothing decided."""
        self._next: dict[tuple[str, int], int] = {}

    def note(self, topic: str, partition: int, offset: int) -> None:
        """Take in that a record is decided. After a rebalance records come again: then it goes back with them."""
        self._next[topic, partition] = offset + 1

    def is_past(self, topic: str, partition: int, offset: int) -> bool:
        """Tell whether this record is decided, as far as this worker knows."""
        return self._next.get((topic, partition), 0) > offset
