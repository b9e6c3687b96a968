"""What bounds an audit in time and place: what is old enough to be gone, and what was asked to be looked at."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from firmhold.audit.topic_reading import Spans, instant

# Producers stamp events by their own clocks, rows are by Postgres's: closer than this the two are not compared.
CLOCKS_DIFFER_MAX = timedelta(minutes=5)


@dataclass(slots=True)
class Marks:
    """The instants and coordinates behind which nothing is known.

    `cuts` has, by topic and partition, when the oldest record that can be read was appended, where older ones are gone.
    """

    now: datetime
    request_retention: timedelta
    since: datetime | None = None
    resource_id: str | None = None
    cuts: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _seen: set[tuple[str, int]] = field(default_factory=set)

    def cut(self, topic: str, spans: Spans) -> None:
        """Note which partitions have lost their beginning; until one of their records is read, all of it."""
        for partition, span in spans.items():
            if span.is_cut:
                self.cuts.setdefault((topic, partition), self.now)

    def note(self, record: ConsumerRecord) -> None:
        """Note a record that was read: the first one of a partition dates what is left of it."""
        place = (record.topic, record.partition)
        if place in self.cuts and place not in self._seen:
            self._seen.add(place)
            self.cuts[place] = min(self.cuts[place], instant(record.timestamp))

    def may_be_gone(self, topic: str, partition: int, written_at: datetime) -> bool:
        """Tell whether a record that was written at that time or later may have been removed from the topic since."""
        cut = self.cuts.get((topic, partition))
        return cut is not None and written_at <= cut + CLOCKS_DIFFER_MAX

    def may_be_purged(self, decided_at: datetime) -> bool:
        """Tell whether the request that was decided then may have been purged."""
        return decided_at <= self.now - self.request_retention + CLOCKS_DIFFER_MAX

    def concerns(self, record: ConsumerRecord) -> bool:
        """Tell whether a record is of the resource that is looked at."""
        return self.resource_id is None or record.key == self.resource_id.encode()
