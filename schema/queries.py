"""The named queries: one .sql file each, with a sentence above it that says what it is for."""

from importlib.resources import files
from typing import Final


def _read(name: str) -> str:
    return files("schema").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


LOCK_RESOURCES: Final = _read("lock_resources")
READ_CLOCK_AND_DECIDED: Final = _read("read_clock_and_decided")
READ_POOLS: Final = _read("read_pools")
READ_POOLS_OF: Final = _read("read_pools_of")
READ_HOLDS: Final = _read("read_holds")
READ_REFUSED_HOLDS: Final = _read("read_refused_holds")
READ_ORDERS: Final = _read("read_orders")
READ_PAYMENTS: Final = _read("read_payments")
READ_KNOWN_PAYMENTS: Final = _read("read_known_payments")
FIND_DUE_RESOURCES: Final = _read("find_due_resources")
COUNT_LIVE_HOLDS_OF_BUYERS: Final = _read("count_live_holds_of_buyers")
WRITE_REQUESTS: Final = _read("write_requests")
WRITE_RESOURCES: Final = _read("write_resources")
WRITE_POOLS: Final = _read("write_pools")
WRITE_HOLDS: Final = _read("write_holds")
WRITE_ORDERS: Final = _read("write_orders")
WRITE_PAYMENTS: Final = _read("write_payments")
WRITE_PAYMENT_EVENTS: Final = _read("write_payment_events")
WRITE_SEAT_HOLDS: Final = _read("write_seat_holds")
END_SEAT_HOLDS: Final = _read("end_seat_holds")
READ_REQUEST: Final = _read("read_request")
READ_HOLD: Final = _read("read_hold")
READ_ORDER: Final = _read("read_order")
READ_PAYMENTS_OF_ORDER: Final = _read("read_payments_of_order")
READ_RESOURCES: Final = _read("read_resources")
READ_RESOURCE_IDS: Final = _read("read_resource_ids")
AUDIT_POOLS: Final = _read("audit_pools")
AUDIT_REQUESTS: Final = _read("audit_requests")
AUDIT_HOLDS: Final = _read("audit_holds")
AUDIT_ORDERS: Final = _read("audit_orders")
AUDIT_PAYMENTS: Final = _read("audit_payments")
AUDIT_DECIDED: Final = _read("audit_decided")
COUNT_OPEN_PAYMENTS: Final = _read("count_open_payments")
SHOW_REQUEST: Final = _read("show_request")
SHOW_PAYMENT_EVENTS: Final = _read("show_payment_events")
READ_CLOCK: Final = _read("read_clock")
PURGE_REQUESTS: Final = _read("purge_requests")
LOCK_PURGING: Final = _read("lock_purging")
