"""The orders and payments of the Postgres twin: their named queries in Python, and the checks that writing meets."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from tests.twins.memory_tables import Row, Tables, require, rows_of

_ORDER_COLUMNS = tuple(
    "order_id kind resource_id hold_id account token_hash client_reference status ended_by quantity units "  # noqa: SIM905
    "units_are unit_price amount currency payment_due_at placed_at updated_at".split()
)
_ORDER_UPDATES = ("status", "ended_by", "units_are", "updated_at")
_PAYMENT_COLUMNS = tuple(
    "provider payment_id kind resource_id order_id status amount currency refunded_amount returns_units "  # noqa: SIM905
    "took_units parked_until arrived_at".split()
)
_PAYMENT_UPDATES = ("status", "amount", "currency", "refunded_amount", "returns_units", "took_units", "parked_until")
_EVENT_COLUMNS = tuple(
    "provider event_id payment_id order_id report amount currency return_units effect "  # noqa: SIM905
    "request_id arrived_at decided_at".split()
)


def read_orders(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_ORDERS: what was not paid in time, the oldest first and so many of each resource, and what is named."""
    kinds, resource_ids, until, order_ids, due_max = values
    found: dict[str, Row] = {}
    for key in zip(kinds, resource_ids, strict=True):
        orders = list(_of_resource(tables.orders.values(), key))
        due = [row for row in orders if row["status"] == "pending_payment" and row["payment_due_at"] <= until]
        oldest = sorted(due, key=lambda row: row["payment_due_at"])[:due_max]
        found |= {row["order_id"]: row for row in [*oldest, *(row for row in orders if row["order_id"] in order_ids)]}
    return list(found.values())


def read_payments(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_PAYMENTS: what waited for its order in vain, the oldest first and so many, and what is of named orders."""
    kinds, resource_ids, until, order_ids, due_max = values
    found: dict[tuple[str, str], Row] = {}
    for key in zip(kinds, resource_ids, strict=True):
        payments = list(_of_resource(tables.payments.values(), key))
        due = [row for row in payments if row["parked_until"] is not None and row["parked_until"] <= until]
        oldest = sorted(due, key=lambda row: row["parked_until"])[:due_max]
        for row in [*oldest, *(row for row in payments if row["order_id"] in order_ids)]:
            found[row["provider"], row["payment_id"]] = row
    return list(found.values())


def _of_resource(rows: Iterable[Row], key: tuple[str, str]) -> Iterator[Row]:
    return (row for row in rows if (row["kind"], row["resource_id"]) == key)


def read_known_payments(tables: Tables, _now: datetime, values: Sequence[Any]) -> list[Row]:
    """Answer READ_KNOWN_PAYMENTS: a row for each that is asked for."""
    found = []
    for provider, payment_id, event_id in zip(*values, strict=True):
        payment = tables.payments.get((provider, payment_id), {})
        event = tables.payment_events.get((provider, event_id), {})
        row = {"provider": provider, "payment_id": payment_id, "event_id": event_id}
        row |= {"order_id": payment.get("order_id"), "recorded_of": event.get("payment_id")}
        found.append(row | {name: event.get(name) for name in ("report", "amount", "currency", "return_units")})
    return found


def write_orders(tables: Tables, changes: Tables, values: Sequence[Any]) -> None:
    """Create orders, or update what may change of one."""
    of_hold = {row["hold_id"]: row["order_id"] for row in tables.orders.values()}
    for given in rows_of(_ORDER_COLUMNS, values):
        before = tables.orders.get(given["order_id"])
        row = given if before is None else before | {name: given[name] for name in _ORDER_UPDATES}
        require(row["quantity"] > 0, "orders_quantity_check")
        require(row["amount"] == row["quantity"] * row["unit_price"] >= 0, "orders_amount_check")
        require((row["status"] == "pending_payment") == (row["units_are"] == "held"), "orders_check")
        require(row["status"] != "paid" or row["units_are"] == "taken", "orders_check1")
        if of_hold.setdefault(row["hold_id"], row["order_id"]) != row["order_id"]:
            raise asyncpg.UniqueViolationError('duplicate key value violates unique constraint "orders_hold_id_key"')
        changes.orders[row["order_id"]] = row


def payments_of(values: Sequence[Any]) -> list[Row]:
    """Return payments in the order in which they are written."""
    return sorted(rows_of(_PAYMENT_COLUMNS, values), key=lambda row: (row["provider"], row["payment_id"]))


def write_payment(tables: Tables, changes: Tables, given: Row) -> bool:
    """Create or update a payment whose row is locked; tells whether it was: not if it is of another order."""
    key = given["provider"], given["payment_id"]
    before = tables.payments.get(key)
    row = given if before is None else before | {name: given[name] for name in _PAYMENT_UPDATES}
    require(row["refunded_amount"] >= 0, "payments_refunded_amount_check")
    require(row["parked_until"] is None or row["status"] == "paid", "payments_check")
    is_of_this_order: bool = row["order_id"] == given["order_id"]
    if is_of_this_order:
        changes.payments[key] = row
    return is_of_this_order


def payment_events_of(values: Sequence[Any]) -> list[Row]:
    """Return payment events in the order in which they are inserted."""
    return sorted(rows_of(_EVENT_COLUMNS, values), key=lambda row: (row["provider"], row["event_id"]))
