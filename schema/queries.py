"""The named queries: one .sql file each, with a sentence above it that says what it is for."""

from importlib.resources import files
from typing import Final


def _read(name: str) -> str:
    return files("schema").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


LOCK_RESOURCES: Final = _read("lock_resources")
READ_BATCH: Final = _read("read_batch")
READ_POOLS_OF: Final = _read("read_pools_of")
READ_ORDERS: Final = _read("read_orders")
READ_PAYMENTS: Final = _read("read_payments")
READ_KNOWN_PAYMENTS: Final = _read("read_known_payments")
FIND_DUE_RESOURCES: Final = _read("find_due_resources")
WRITE_REQUESTS: Final = _read("write_requests")
FIND_CREATED_RESOURCES: Final = _read("find_created_resources")
CHECK_CLOCK: Final = _read("check_clock")
FIND_TRACES: Final = _read("find_traces")
WRITE_RESOURCES: Final = _read("write_resources")
WRITE_POOLS: Final = _read("write_pools")
WRITE_HOLDS: Final = _read("write_holds")
PLACE_HOLDS: Final = WRITE_HOLDS.partition("on conflict")[0]
"""The same without a look at what is there: a hold that is raises a unique violation."""
WRITE_ORDERS: Final = _read("write_orders")
WRITE_PAYMENTS: Final = _read("write_payments")
WRITE_PAYMENT_EVENTS: Final = _read("write_payment_events")
WRITE_SEAT_HOLDS: Final = _read("write_seat_holds")
END_SEAT_HOLDS: Final = _read("end_seat_holds")
READ_LIVE_SEATS: Final = _read("read_live_seats")
READ_VERSIONS_AFTER: Final = _read("read_versions_after")
READ_VERSIONS_NAMED: Final = _read("read_versions_named")
READ_SEATS_HELD_UNTIL: Final = _read("read_seats_held_until")
READ_REQUEST: Final = _read("read_request")
READ_HOLD: Final = _read("read_hold")
READ_ORDER: Final = _read("read_order")
READ_PAYMENTS_OF_ORDER: Final = _read("read_payments_of_order")
READ_RESOURCES: Final = _read("read_resources")
READ_RESOURCE_IDS: Final = _read("read_resource_ids")
READ_POOLS_OUT: Final = _read("read_pools_out")
READ_AS_TOLD: Final = _read("read_as_told")
READ_VERSIONS: Final = _read("read_versions")
FIND_HOLD_OF_SEAT: Final = _read("find_hold_of_seat")
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
