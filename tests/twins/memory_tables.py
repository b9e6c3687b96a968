"""The tables of the Postgres twin and its named queries, in Python: what is committed, and the checks that writing meets.

A row is a plain dict of a table's columns. Writing goes into a session's own `Changes`, which its commit makes visible.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import asyncpg

Row = dict[str, Any]
Key = tuple[str, str]
HOLD_COLUMNS = tuple(
    "hold_id kind resource_id account token_hash buyer client_reference status quantity units granted_at "  # noqa: SIM905
    "expires_at expires_latest_at ended_at unit_price currency order_id".split()
)
_HOLD_UPDATES = ("status", "quantity", "units", "expires_at", "ended_at", "order_id")
_REQUEST_COLUMNS = tuple(
    "request_id kind resource_id source claim_id owns_claim fingerprint command reason events "  # noqa: SIM905
    "arrived_at decided_at topic_partition record_offset step_of".split()
)
RESOURCE_COLUMNS = tuple(
    "kind resource_id version settings capacity held taken remaining oversubscribed_by last_arrived_at".split()  # noqa: SIM905
)
POOL_COLUMNS = ("kind", "resource_id", "pool", "capacity", "held", "taken", "ceiling")
_MILLISECOND = timedelta(milliseconds=1)
_STATUSES = {"held", "confirmed", "cancelled", "expired", "used"}


@dataclass
class Tables:
    """What is committed; in a session's hands, what it changes."""

    resources: dict[Key, Row] = field(default_factory=dict)
    pools: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    holds: dict[str, Row] = field(default_factory=dict)
    requests: dict[str, Row] = field(default_factory=dict)
    owners: dict[Key, str] = field(default_factory=dict)
    orders: dict[str, Row] = field(default_factory=dict)
    payments: dict[Key, Row] = field(default_factory=dict)
    payment_events: dict[Key, Row] = field(default_factory=dict)
    seat_holds: dict[int, Row] = field(default_factory=dict)

    def take_over(self, changes: "Tables") -> None:
        """Make a session's changes visible."""
        for table in fields(self):
            getattr(self, table.name).update(getattr(changes, table.name))

    def is_empty(self) -> bool:
        """Tell whether nothing is in it."""
        return not any(getattr(self, table.name) for table in fields(self))


def rows_of(columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Iterator[Row]:
    """Yield the rows that `unnest` makes of columns."""
    for row in zip(*values, strict=True):
        yield dict(zip(columns, row, strict=True))


def requests_of(values: Sequence[Any]) -> list[Row]:
    """Return requests in the order in which they are inserted."""
    rows = list(rows_of(_REQUEST_COLUMNS, values))
    return sorted(rows, key=lambda row: (row["source"], row["claim_id"], row["request_id"]))


def resources_of(values: Sequence[Any]) -> list[tuple[Row, int | None]]:
    """Return resources with the transactions that are to have written them, in the order of their writing."""
    rows = list(zip(rows_of(RESOURCE_COLUMNS, values[:-1]), values[-1], strict=True))
    for row, _ in rows:
        require(row["version"] > 0, "resources_version_check")
    return sorted(rows, key=lambda pair: (pair[0]["kind"], pair[0]["resource_id"]))


def write_pools(tables: Tables, changes: Tables, values: Sequence[Any]) -> None:
    """Create or update pools."""
    del tables
    for row in rows_of(POOL_COLUMNS, values):
        for name in ("capacity", "held", "taken"):
            require(row[name] >= 0, f"pools_{name}_check")
        require(row["held"] + row["taken"] <= row["ceiling"], "pools_never_oversold")
        changes.pools[row["kind"], row["resource_id"], row["pool"]] = row


def write_holds(tables: Tables, changes: Tables, values: Sequence[Any]) -> None:
    """Create holds, or update what may change of one."""
    for given in rows_of(HOLD_COLUMNS, values):
        before = tables.holds.get(given["hold_id"])
        row = given if before is None else before | {name: given[name] for name in _HOLD_UPDATES}
        require(row["status"] in _STATUSES, "holds_status_check")
        require(row["quantity"] > 0, "holds_quantity_check")
        require(row["expires_at"] <= row["expires_latest_at"], "holds_check")
        changes.holds[row["hold_id"]] = row


def place_holds(tables: Tables, changes: Tables, values: Sequence[Any]) -> None:
    """Create holds."""
    for given in rows_of(HOLD_COLUMNS, values):
        if given["hold_id"] in tables.holds:
            raise unique_violation("holds_pkey")
    write_holds(tables, changes, values)


def unique_violation(constraint: str) -> asyncpg.UniqueViolationError:
    """Return what is raised of a row that is there already."""
    fault = asyncpg.UniqueViolationError(f'duplicate key value violates unique constraint "{constraint}"')
    fault.constraint_name = constraint
    return fault


def require(holds: bool, constraint: str) -> None:
    """Check a row as a constraint does."""
    if not holds:
        raise asyncpg.CheckViolationError(f'new row violates check constraint "{constraint}"')


def read_pools_of(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_POOLS_OF."""
    return [tables.pools[key] for key in zip(*values, strict=True) if key in tables.pools]


def pools_in(tables: Tables, columns: Sequence[Any]) -> list[tuple[str, str, str]]:
    """Return the keys of all pools of these resources."""
    keys = set(zip(*columns, strict=True))
    return [key for key in tables.pools if key[:2] in keys]


def traces(tables: Tables, hold_ids: Sequence[str], request_ids: Sequence[str]) -> list[Row]:
    """Return the holds of these ids, and the steps that were taken for these requests."""
    holds = [tables.holds[hold_id] for hold_id in hold_ids if hold_id in tables.holds]
    return [*holds, *(row for row in tables.requests.values() if row["step_of"] in request_ids)]


def due_sales(tables: Tables) -> Iterator[tuple[Key, datetime]]:
    """Yield the resource and the end of all that is pending or parked."""
    for row in tables.orders.values():
        if row["status"] == "pending_payment":
            yield (row["kind"], row["resource_id"]), row["payment_due_at"]
    for row in tables.payments.values():
        if row["parked_until"] is not None:
            yield (row["kind"], row["resource_id"]), row["parked_until"]


def due_resources(tables: Tables, now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer FIND_DUE_RESOURCES: a page of them, by what is over of each first."""
    after, rows_max = values
    held = (row for row in tables.holds.values() if row["status"] == "held")
    ends = chain((((row["kind"], row["resource_id"]), row["expires_at"]) for row in held), due_sales(tables))
    due = sorted((ends_at, key) for key, ends_at in ends if after < ends_at <= now)
    page = [each for each in due if each[0] <= due[rows_max - 1][0]] if len(due) > rows_max else due
    ordered = dict.fromkeys(key for _, key in page)
    until = {"until": page[-1][0], "found": len(page)} if page else {}
    return [{"kind": kind, "resource_id": resource_id} | until for kind, resource_id in ordered]


def read_resources(tables: Tables, now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_RESOURCES: counters with what is due counted as free, and when the next hold of each ends."""
    kind, resource_ids = values
    found = []
    for resource_id in resource_ids:
        resource = tables.resources.get((kind, resource_id))
        if resource is None:
            continue
        live = list(_live(tables, (kind, resource_id)))
        to_come = [ends_at - now for ends_at, _ in live if ends_at > now]
        pools = [tables.pools[key] for key in pools_in(tables, [[kind], [resource_id]])]
        due = {pool["pool"]: sum(_units_over(live, now, pool["pool"])) for pool in pools}
        free = [pool["capacity"] - pool["held"] - pool["taken"] + due[pool["pool"]] for pool in pools]
        row = {name: resource[name] for name in ("resource_id", "version", "settings", "capacity", "taken")}
        row |= {"held": sum(pool["held"] for pool in pools) - sum(due.values())}
        row |= {"remaining": sum(max(0, units) for units in free)}
        row |= {"oversubscribed_by": sum(max(0, -units) for units in free)}
        found.append(row | {"expires_in_ms": min(to_come) // _MILLISECOND if to_come else None})
    return found


def _units_over(live: Iterable[tuple[datetime, str]], now: datetime, pool: str) -> Iterator[int]:
    """Yield the units of a pool that all have whose time is over."""
    return (json.loads(units).get(pool, 0) for ends_at, units in live if ends_at <= now)


def _live(tables: Tables, key: Key) -> Iterator[tuple[datetime, str]]:
    """Yield the end and the units of all that may come back by itself."""
    for row in tables.holds.values():
        if (row["kind"], row["resource_id"], row["status"]) == (*key, "held"):
            yield row["expires_at"], row["units"]
    for row in tables.orders.values():
        if (row["kind"], row["resource_id"], row["status"]) == (*key, "pending_payment"):
            yield row["payment_due_at"], row["units"]


def read_resource_ids(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_RESOURCE_IDS."""
    kind, after, ids_max = values
    ids = sorted(resource_id for known, resource_id in tables.resources if known == kind and resource_id > after)
    return [{"resource_id": resource_id} for resource_id in ids[:ids_max]]


Read = Callable[[Tables, datetime, Sequence[Any]], list[Row]]
