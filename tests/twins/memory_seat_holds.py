"""The audit of seats in the Postgres twin: its statements in Python, and the checks that writing meets.

Nobody waits here: who writes holdings has written their resource, whose row is therefore locked.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from tests.twins.memory_tables import Row, Tables, require, rows_of

_COLUMNS = ("kind", "screening_id", "seat_id", "hold_id", "buyer", "held_at", "ended_at", "reason", "returned_at")
_NEWS = ("ended_at", "reason", "returned_at")
_REASONS = {None, "confirmed", "cancelled", "changed", "expired"}


def write_seat_holds(tables: Tables, changes: Tables, values: Sequence[Any]) -> list[Row]:
    """Insert holdings and return them; a seat that has an open one gets no second."""
    now = tables.seat_holds | changes.seat_holds
    open_seats = {_seat(row) for row in now.values() if row["ended_at"] is None}
    inserted = list(rows_of(_COLUMNS, values))
    for seat_hold_id, row in enumerate(inserted, start=len(now)):
        if row["ended_at"] is None and _seat(row) in open_seats:
            raise asyncpg.UniqueViolationError('duplicate key value violates unique constraint "seat_holds_open"')
        if row["ended_at"] is None:
            open_seats.add(_seat(row))
        _put(changes, seat_hold_id, row)
    return inserted


def end_seat_holds(tables: Tables, changes: Tables, values: Sequence[Any]) -> list[Row]:
    """Update what is new of stored holdings and return these; what ended stays ended as it did."""
    news_of = {(row["hold_id"], row["seat_id"]): row for row in rows_of(("hold_id", "seat_id", *_NEWS), values)}
    updated = []
    for seat_hold_id, row in tables.seat_holds.items():
        news = news_of.get((row["hold_id"], row["seat_id"]))
        if news is not None and row["returned_at"] is None and row["reason"] in {None, "confirmed"}:
            row_now = row | {name: row[name] if row[name] is not None else news[name] for name in _NEWS}
            _put(changes, seat_hold_id, row_now)
            updated.append({"seat_id": row["seat_id"]})
    return updated


def _seat(row: Row) -> tuple[str, str, str]:
    return row["kind"], row["screening_id"], row["seat_id"]


def _put(changes: Tables, seat_hold_id: int, row: Row) -> None:
    require(row["reason"] in _REASONS, "seat_holds_reason_check")
    require((row["ended_at"] is None) == (row["reason"] is None), "seat_holds_check")
    require(row["returned_at"] is None or row["reason"] == "confirmed", "seat_holds_check1")
    changes.seat_holds[seat_hold_id] = row
