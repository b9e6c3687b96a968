"""The tables of the Postgres twin and its named queries, in Python: what is committed, and the checks that writing meets.

A row is a plain dict of a table's columns. Writing goes into a session's own `Changes`, which its commit makes visible.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

Row = dict[str, Any]
Key = tuple[str, str]
_HOLD_COLUMNS = tuple(
    "hold_id kind resource_id account token_hash buyer client_reference status quantity units granted_at "  # noqa: SIM905
    "expires_at expires_latest_at ended_at".split()
)
_HOLD_UPDATES = ("status", "quantity", "units", "expires_at", "ended_at")
_REQUEST_COLUMNS = tuple(
    "request_id kind resource_id source claim_id owns_claim fingerprint command reason events "  # noqa: SIM905
    "arrived_at decided_at topic_partition record_offset".split()
)
_RESOURCE_COLUMNS = tuple(
    "kind resource_id version settings capacity held taken remaining oversubscribed_by last_arrived_at".split()  # noqa: SIM905
)
_POOL_COLUMNS = ("kind", "resource_id", "pool", "capacity", "held", "taken", "ceiling")
_MILLISECOND = timedelta(milliseconds=1)
_STATUSES = {"held", "confirmed", "cancelled", "expired"}


@dataclass
class Tables:
    """What is committed; in a session's hands, what it changes."""

    resources: dict[Key, Row] = field(default_factory=dict)
    pools: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    holds: dict[str, Row] = field(default_factory=dict)
    requests: dict[str, Row] = field(default_factory=dict)
    owners: dict[Key, str] = field(default_factory=dict)

    def take_over(self, changes: "Tables") -> None:
        """Make a session's changes visible."""
        self.resources |= changes.resources
        self.pools |= changes.pools
        self.holds |= changes.holds
        self.requests |= changes.requests
        self.owners |= changes.owners

    def is_empty(self) -> bool:
        """Tell whether nothing is in it."""
        return not (self.resources or self.pools or self.holds or self.requests)


def rows_of(columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Iterator[Row]:
    """Yield the rows that `unnest` makes of columns."""
    for row in zip(*values, strict=True):
        yield dict(zip(columns, row, strict=True))


def requests_of(values: Sequence[Any]) -> list[Row]:
    """Return requests in the order in which they are inserted."""
    rows = list(rows_of(_REQUEST_COLUMNS, values))
    return sorted(rows, key=lambda row: (row["source"], row["claim_id"], row["request_id"]))


def resources_of(values: Sequence[Any]) -> list[tuple[Row, int]]:
    """Return resources with the versions that are expected of them, in the order in which they are written."""
    rows = list(zip(rows_of(_RESOURCE_COLUMNS, values[:-1]), values[-1], strict=True))
    for row, _ in rows:
        _check(row["version"] > 0, "resources_version_check")
    return sorted(rows, key=lambda pair: (pair[0]["kind"], pair[0]["resource_id"]))


def write_pools(tables: Tables, changes: Tables, values: Sequence[Any]) -> None:
    """Create or update pools."""
    del tables
    for row in rows_of(_POOL_COLUMNS, values):
        for name in ("capacity", "held", "taken"):
            _check(row[name] >= 0, f"pools_{name}_check")
        _check(row["held"] + row["taken"] <= row["ceiling"], "pools_never_oversold")
        changes.pools[row["kind"], row["resource_id"], row["pool"]] = row


def write_holds(tables: Tables, changes: Tables, values: Sequence[Any]) -> None:
    """Create holds, or update what may change of one."""
    for given in rows_of(_HOLD_COLUMNS, values):
        before = tables.holds.get(given["hold_id"])
        row = given if before is None else before | {name: given[name] for name in _HOLD_UPDATES}
        _check(row["status"] in _STATUSES, "holds_status_check")
        _check(row["quantity"] > 0, "holds_quantity_check")
        _check(row["expires_at"] <= row["expires_latest_at"], "holds_check")
        changes.holds[row["hold_id"]] = row


def _check(holds: bool, constraint: str) -> None:
    if not holds:
        raise asyncpg.CheckViolationError(f'new row violates check constraint "{constraint}"')


def clock_and_decided(tables: Tables, now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_CLOCK_AND_DECIDED."""
    request_ids, sources, claim_ids = values
    found = {one for one in request_ids if one in tables.requests}
    found |= {tables.owners[claim] for claim in zip(sources, claim_ids, strict=True) if claim in tables.owners}
    nothing: Row = dict.fromkeys(("request_id", "source", "claim_id", "owns_claim", "events"))
    rows = [tables.requests[request_id] for request_id in sorted(found)] or [nothing]
    return [{"now": now, **{name: row[name] for name in nothing}} for row in rows]


def read_pools(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_POOLS."""
    keys = set(zip(*values, strict=True))
    return [row for (kind, resource_id, _), row in tables.pools.items() if (kind, resource_id) in keys]


def read_holds(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_HOLDS: what is due, the oldest first and so many of each resource, and what is named."""
    kinds, resource_ids, until, hold_ids, due_max = values
    found: dict[str, Row] = {}
    for key in zip(kinds, resource_ids, strict=True):
        holds = [row for row in tables.holds.values() if (row["kind"], row["resource_id"]) == key]
        due = [row for row in holds if row["status"] == "held" and row["expires_at"] <= until]
        oldest = sorted(due, key=lambda row: row["expires_at"])[:due_max]
        found |= {row["hold_id"]: row for row in oldest}
        found |= {row["hold_id"]: row for row in holds if row["hold_id"] in hold_ids}
    return list(found.values())


def read_refused(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_REFUSED_HOLDS."""
    rows = [tables.requests[one] for one in values[0] if one in tables.requests]
    return [row for row in rows if row["command"] == "Hold" and row["reason"] is not None]


def count_live_holds(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer COUNT_LIVE_HOLDS_OF_BUYERS; who has none is not counted."""
    counted = []
    for kind, resource_id, buyer in zip(*values, strict=True):
        asked = {"kind": kind, "resource_id": resource_id, "buyer": buyer}
        live = asked | {"status": "held"}
        holds = sum(all(row[name] == it for name, it in live.items()) for row in tables.holds.values())
        if holds:
            counted.append(asked | {"holds": holds})
    return counted


def due_resources(tables: Tables, now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer FIND_DUE_RESOURCES, the longest overdue first."""
    earliest: dict[Key, datetime] = {}
    for row in tables.holds.values():
        if row["status"] == "held" and row["expires_at"] <= now:
            key = row["kind"], row["resource_id"]
            earliest[key] = min(row["expires_at"], earliest.get(key, row["expires_at"]))
    ordered = sorted(earliest, key=lambda key: earliest[key])[: values[0]]
    return [{"kind": kind, "resource_id": resource_id} for kind, resource_id in ordered]


def read_resources(tables: Tables, now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_RESOURCES: a row for each pool, with what is due in it and when the next hold of its resource ends."""
    kind, resource_ids = values
    found = []
    for resource_id in resource_ids:
        resource = tables.resources.get((kind, resource_id))
        if resource is None:
            continue
        live = [hold for hold in tables.holds.values() if _is_live(hold, kind, resource_id)]
        to_come = [hold["expires_at"] - now for hold in live if hold["expires_at"] > now]
        for pool in read_pools(tables, now, [[kind], [resource_id]]):
            due = [json.loads(hold["units"]).get(pool["pool"], 0) for hold in live if hold["expires_at"] <= now]
            row = {name: resource[name] for name in ("resource_id", "version", "settings", "capacity", "taken")}
            row |= {"pool_capacity": pool["capacity"], "held": pool["held"], "pool_taken": pool["taken"]}
            row |= {"due_units": sum(due)}
            found.append(row | {"expires_in_ms": min(to_come) // _MILLISECOND if to_come else None})
    return found


def _is_live(hold: Row, kind: str, resource_id: str) -> bool:
    return (hold["kind"], hold["resource_id"], hold["status"]) == (kind, resource_id, "held")


def read_resource_ids(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_RESOURCE_IDS."""
    kind, after, ids_max = values
    ids = sorted(resource_id for known, resource_id in tables.resources if known == kind and resource_id > after)
    return [{"resource_id": resource_id} for resource_id in ids[:ids_max]]


Read = Callable[[Tables, datetime, Sequence[Any]], list[Row]]
