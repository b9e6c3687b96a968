"""What is stored, as plain values: the rows of the tables, which are also the state that the core decides on.

No I/O and no rules here. Instants are aware datetimes in UTC, counts are units.
"""

from dataclasses import dataclass
from datetime import datetime

from topics.resources import Counters, HoldStatus, Settings


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """What names a resource."""

    kind: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as of its `version`; the counters are sums over its pools."""

    version: int
    settings: Settings
    counters: Counters
    last_arrived_at: datetime


@dataclass(frozen=True, slots=True)
class Pool:
    """A number of interchangeable units; `ceiling` is what Postgres never lets held + taken exceed."""

    capacity: int
    held: int
    taken: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A temporary claim: `units` by pool name is what it takes of each."""

    hold_id: str
    account: str
    token_hash: str | None
    buyer: str | None
    client_reference: str | None
    status: HoldStatus
    quantity: int
    units: dict[str, int]
    granted_at: datetime
    expires_at: datetime
    expires_latest_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A decided request; `events` is the JSON of `topics.events.encode_stored`, `reason` is None if it succeeded."""

    request_id: str
    key: ResourceKey
    source: str
    claim_id: str
    owns_claim: bool
    fingerprint: bytes
    command: str
    reason: str | None
    events: str
    arrived_at: datetime
    decided_at: datetime
    partition: int
    offset: int
