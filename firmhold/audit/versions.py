"""Versions: the events of a resource count up without gaps to its row, and the last one has the row's counters."""

from dataclasses import dataclass, field
from datetime import datetime

from firmhold.audit.findings import Check
from firmhold.audit.marks import Marks
from schema.audits import AuditedResource
from schema.rows import ResourceKey
from topics.catalogue import Catalogue
from topics.partitions import partition_of
from topics.resources import Counters

_MISSING_MAX = 10_000


@dataclass(slots=True)
class _Track:
    """What the events of one resource said so far: the last version, when, and with which counters; what was left out.

    `doubted` are versions of events that are no request's: they are told of as such, not as gaps too.
    """

    last: int = 0
    last_at: datetime | None = None
    counters: Counters | None = None
    missing: set[int] = field(default_factory=set)
    doubted: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Versions:
    """The versions of all resources."""

    catalogue: Catalogue
    marks: Marks
    check: Check = field(
        default_factory=lambda: Check("versions", "versions and counters of resources against their last events")
    )
    _tracks: dict[ResourceKey, _Track] = field(default_factory=dict)
    _ahead: dict[ResourceKey, tuple[int, Counters]] = field(default_factory=dict)
    _rows: set[ResourceKey] = field(default_factory=set)

    def told(self, kind: str, resource_id: str, version: int, counters: Counters | None, time: datetime) -> None:
        """Note an event that changed a resource. An earlier one that comes again changes nothing."""
        key = ResourceKey(kind, resource_id)
        track = self._tracks.setdefault(key, _Track())
        if version <= track.last:
            track.missing.discard(version)
        else:
            if version > track.last + 1 and self._knows_what_followed(key, track):
                gap = range(track.last + 1, min(version, track.last + 1 + _MISSING_MAX))
                track.missing.update(number for number in gap if number not in track.doubted)
            track.last, track.last_at, track.counters = version, time, counters
        row = self._ahead.get(key)
        if row is not None and row[0] == version:
            del self._ahead[key]
            self._compare(key, *row, counters)

    def doubt(self, kind: str, resource_id: str, version: int) -> None:
        """Note an event that is not what its request has stored, or no request's."""
        track = self._tracks.setdefault(ResourceKey(kind, resource_id), _Track())
        track.doubted.add(version)
        track.missing.discard(version)

    def judge(self, resource: AuditedResource) -> None:
        """Compare a row, read after the events, with the last of them. A row that is ahead is judged when they are there."""
        self.check.looked_at += 1
        if resource.version is None or resource.counters is None:
            return
        self._rows.add(resource.key)
        track = self._tracks.get(resource.key, _Track())
        if resource.version > track.last:
            self._ahead[resource.key] = (resource.version, resource.counters)
        elif resource.version < track.last:
            self.check.tell(
                _name(resource.key),
                found=f"its row is at version {resource.version}",
                wanted=f"an event told of version {track.last}",
                advice="The row was set back: compare with a backup before anything is decided on it",
            )
        else:
            self._compare(resource.key, resource.version, resource.counters, track.counters)

    def rows_were_read(self) -> None:
        """Tell which resources have no row though events told of them before the rows were read."""
        for key, track in self._tracks.items():
            if track.last and key not in self._rows:
                self._tell_rowless(key)

    def settle(self, reached: set[str]) -> None:
        """Judge what was left; `reached` has the kinds whose workers are past all that was decided when rows were read."""
        for key, track in self._tracks.items():
            if track.missing:
                self._settle_missing(key, track, reached)
        for key, (version, _) in self._ahead.items():
            track = self._tracks.get(key, _Track())
            if key.kind not in reached:
                self.check.open += 1
            elif self._knows_what_followed(key, track) and not _all_doubted(track, version):
                self.check.tell(
                    _name(key),
                    found=f"its row was at version {version}",
                    wanted=f"no event was told above version {track.last}",
                    advice="Find the requests of the versions between (check `events`), and send their commands again; "
                    "if there are none, the row was changed by hand",
                )

    def _settle_missing(self, key: ResourceKey, track: _Track, reached: set[str]) -> None:
        if key.kind not in reached:
            self.check.open += 1
            return
        some = ", ".join(map(str, sorted(track.missing)[:10]))
        self.check.tell(
            _name(key),
            found=f"{len(track.missing)} of its versions were never told ({some})",
            wanted=f"the events should count up to {track.last} without gaps",
            advice="Consumers take a snapshot on such a gap. Find the requests of these versions (check `events`)",
        )

    def _tell_rowless(self, key: ResourceKey) -> None:
        self.check.tell(
            _name(key),
            found="events told of it and it has no row in `resources`",
            wanted="resources are never deleted",
            advice="Restore its rows from a backup",
        )

    def _compare(self, key: ResourceKey, version: int, stored: Counters, told: Counters | None) -> None:
        if stored != told:
            self.check.tell(
                _name(key),
                found=f"at version {version} its row has {_shown(stored)}",
                wanted=f"the event of that version says {_shown(told)}",
                advice="See check `counters`: if that finds nothing here, rows were changed together by hand",
            )

    def _knows_what_followed(self, key: ResourceKey, track: _Track) -> bool:
        """Tell whether all events after the last one seen must be in what is left of the topic."""
        partition = partition_of(key.resource_id.encode(), self.catalogue.partitions)
        topic = self.catalogue.events(key.kind)
        if (topic, partition) not in self.marks.cuts:
            return True
        return track.last_at is not None and not self.marks.may_be_gone(topic, partition, track.last_at)


def _all_doubted(track: _Track, version: int) -> bool:
    return version - track.last <= len(track.doubted) and track.doubted.issuperset(range(track.last + 1, version + 1))


def _name(key: ResourceKey) -> str:
    return f"{key.kind} {key.resource_id}"


def _shown(counters: Counters | None) -> str:
    if counters is None:
        return "nothing of counters"
    return " ".join(f"{name}={getattr(counters, name)}" for name in Counters.__struct_fields__)
