"""The statement that reads all that a batch is decided on, in Python: READ_BATCH of the Postgres twin."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from tests.twins.memory_tables import (
    HOLD_COLUMNS,
    POOL_COLUMNS,
    RESOURCE_COLUMNS,
    Key,
    Row,
    Tables,
    due_sales,
    pools_in,
)

_DECIDED_COLUMNS = ("request_id", "source", "claim_id", "owns_claim", "events", "step_of")
_REFUSED_COLUMNS = ("kind", "resource_id", "request_id", "source", "reason")
_OF_HOLDS = ("kind", "resource_id", "hold_id", *HOLD_COLUMNS[3:])


def read_batch(tables: Tables, now: datetime, values: Sequence[Any]) -> list[Any]:
    """Answer READ_BATCH: one row of arrays of rows, in place of an empty one null."""
    kinds, resource_ids, need_all, need_claimed, due_max, *rest = values
    request_ids, sources, claim_ids, *named, hold_ids, refused_ids = rest[:8]
    *buyers, needs_deadlines = rest[8:]
    keys = list(zip(kinds, resource_ids, strict=True))
    touched = [key for key in keys if key in tables.resources]
    until = max([now, *(tables.resources[key]["last_arrived_at"] for key in touched)])
    due = [hold for key in touched for hold in _due(tables, key, until)[:due_max]]
    of_names = [tables.holds[one] for one in hold_ids if one in tables.holds and _key(tables.holds[one]) in touched]
    claimed_of = {key for key, needs in zip(keys, need_claimed, strict=True) if needs}
    pools = [key for key in zip(*named, strict=True) if key in tables.pools]
    pools += pools_in(
        tables, list(zip(*(key for key, needs in zip(keys, need_all, strict=True) if needs), strict=True))
    )
    pools += _claimed(tables, (hold for hold in [*due, *of_names] if _key(hold) in claimed_of))
    refused = (tables.requests[one] for one in refused_ids if one in tables.requests)
    over = {key for key, due_at in due_sales(tables) if due_at <= until}
    columns = [
        _rows((*RESOURCE_COLUMNS, "written_by"), (tables.resources[key] for key in touched)),
        _rows(_DECIDED_COLUMNS, _decided(tables, request_ids, list(zip(sources, claim_ids, strict=True)))),
        _rows(POOL_COLUMNS, (tables.pools[key] for key in pools)),
        [key for key in touched if key in over],
        _rows(_OF_HOLDS, due),
        _rows(_OF_HOLDS, of_names),
        _rows(_REFUSED_COLUMNS, (row for row in refused if row["command"] == "Hold" and row["reason"] is not None)),
        [(*asked, _live_holds(tables, asked)) for asked in zip(*buyers, strict=True)],
        list(_deadlines(tables, touched)) if needs_deadlines else [],
    ]
    return [(now, *(column or None for column in columns))]


def _rows(columns: Sequence[str], rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in rows]


def _key(row: Row) -> Key:
    return row["kind"], row["resource_id"]


def _due(tables: Tables, key: Key, until: datetime) -> list[Row]:
    """Return the live holds of a resource that are over, the oldest first."""
    live = (row for row in tables.holds.values() if _key(row) == key and row["status"] == "held")
    return sorted((row for row in live if row["expires_at"] <= until), key=lambda row: row["expires_at"])


def _deadlines(tables: Tables, keys: Iterable[Key]) -> Iterator[tuple[str, str, datetime]]:
    """Yield the first deadline of each resource that has one."""
    sales = list(due_sales(tables))
    for key in keys:
        held = (row["expires_at"] for row in tables.holds.values() if _key(row) == key and row["status"] == "held")
        first = min([*held, *(due_at for of, due_at in sales if of == key)], default=None)
        if first is not None:
            yield *key, first


def _claimed(tables: Tables, holds: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield the pools that holds claim."""
    for hold in holds:
        yield from (key for name in json.loads(hold["units"]) if (key := (*_key(hold), name)) in tables.pools)


def _decided(tables: Tables, request_ids: Sequence[str], claims: Sequence[Key]) -> list[Row]:
    """Return the requests of these ids, those that own these claims, and the steps taken for them, steps in their order."""
    found = {one for one in request_ids if one in tables.requests}
    found |= {tables.owners[claim] for claim in claims if claim in tables.owners}
    found |= {one for one, row in tables.requests.items() if row["step_of"] in request_ids}
    rows = [tables.requests[request_id] for request_id in sorted(found)]
    return sorted(rows, key=lambda row: (row["step_of"] is None, row["step_of"], row["claim_id"]))


def _live_holds(tables: Tables, asked: tuple[str, str, str]) -> int:
    return sum((*_key(row), row["buyer"], row["status"]) == (*asked, "held") for row in tables.holds.values())
