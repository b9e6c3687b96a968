"""The auditor's part on what was read through the cache: nothing older than was told before the asking, nothing made up."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.simulation.evidence import Evidence, SlotRead
from topics import events
from topics.resources import Counters, HoldStatus


@dataclass(frozen=True)
class Version:
    """A slot as of one version: its counters, and the units of each live hold by the instant at which it ends."""

    counters: Counters
    live: dict[str, tuple[datetime, int]]

    def at(self, instant: datetime) -> tuple[int, int, int]:
        """Return capacity, held and remaining, with what is past its expiry counted as free."""
        units = self.counters
        due = sum(claimed for expires_at, claimed in self.live.values() if expires_at <= instant)
        held = units.held - due
        return units.capacity, held, max(0, units.capacity - held - units.taken)


def faults_of_reads(evidence: Evidence, told: Iterable[events.EventData]) -> Iterator[str]:
    """Yield what was read wrongly, in sentences; `told` is the data of each event that changed a slot, once."""
    versions = _versions(told)
    nothing = Version(Counters(0, 0, 0, 0, 0), {})
    for it in evidence.reads:
        version = versions[it.resource_id].get(it.version) if it.version else nothing
        if it.version < it.version_least:
            yield f"{_name(it)}, and version {it.version_least} was told before it was asked"
        elif version is None:
            yield f"{_name(it)}, which never was"
        elif it.units not in _possible(it, version):
            yield f"{_name(it)} as {it.units}; it could be {sorted(_possible(it, version))}"
    for page in evidence.lists:
        lacking, too_many = page.least - page.ids, page.ids - versions.keys()
        if lacking or too_many:
            yield f"{page.reader} listed at {page.answered_at} without {lacking}, and with {too_many} too many"


def _name(it: SlotRead) -> str:
    return f"{it.reader} asked at {it.asked_at} and read {it.resource_id} at version {it.version}"


def _versions(told: Iterable[events.EventData]) -> dict[str, dict[int, Version]]:
    found: dict[str, dict[int, Version]] = defaultdict(dict)
    live: dict[str, dict[str, tuple[datetime, int]]] = defaultdict(dict)
    changes = [data for data in told if isinstance(data, events.HoldChanged | events.ResourceDefined)]
    for data in sorted(changes, key=lambda data: data.version):
        holds = live[data.resource_id]
        if isinstance(data, events.HoldChanged):
            holds.pop(data.hold.id, None)
            if data.hold.status is HoldStatus.HELD:
                holds[data.hold.id] = data.hold.expires_at, sum(data.hold.units.values())
        found[data.resource_id][data.version] = Version(data.counters, dict(holds))
    return found


def _possible(it: SlotRead, version: Version) -> set[tuple[int, int, int]]:
    """Return what was free at any instant at which the source may have been read."""
    begin = it.asked_at - it.stale_for
    instants = [expires_at for expires_at, _ in version.live.values() if begin < expires_at <= it.answered_at]
    return {version.at(instant) for instant in (begin, *instants)}
