"""The auditor's part on the rows that are left at the end: each is what was rebuilt from the log."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tests.simulation.evidence import Evidence
from tests.simulation.rebuilding import POOL, Placed, Slot


def faults_of_rows(evidence: Evidence, slots: Mapping[str, Slot]) -> Iterator[str]:
    """Yield where the final rows differ from what was rebuilt: no more, no less, no other."""
    yield from _differing(_rebuilt_resources(slots), evidence.rows["resources"], "resource_id")
    yield from _differing(_rebuilt_pools(slots), evidence.rows["pools"], "resource_id")
    holds = (_rebuilt_hold(hold, slot.resource_id) for slot in slots.values() for hold in slot.holds.values())
    yield from _differing(holds, evidence.rows["holds"], "hold_id")


def _differing(rebuilt: Iterator[dict[str, Any]], rows: Sequence[Mapping[str, Any]], key: str) -> Iterator[str]:
    stored = {row[key]: row for row in rows}
    due = {row[key]: row for row in rebuilt}
    if stored.keys() != due.keys():
        yield f"rows by {key} differ: {sorted(stored.keys() ^ due.keys())[:3]}"
    for name, row in due.items():
        differing = {
            column: (stored[name][column], value)
            for column, value in row.items()
            if name in stored and stored[name][column] != value
        }
        if differing:
            yield f"{name}: stored and rebuilt differ in {differing}"


def _rebuilt_resources(slots: Mapping[str, Slot]) -> Iterator[dict[str, Any]]:
    for slot in slots.values():
        if slot.settings is not None:
            yield {
                "resource_id": slot.resource_id,
                "version": slot.version,
                "last_arrived_at": slot.last_arrived_at,
                **msgspec.structs.asdict(slot.counters()),
            }


def _rebuilt_pools(slots: Mapping[str, Slot]) -> Iterator[dict[str, Any]]:
    for slot in slots.values():
        if slot.settings is not None:
            units = slot.counters()
            yield {
                "resource_id": slot.resource_id,
                "pool": POOL,
                "capacity": units.capacity,
                "held": units.held,
                "taken": units.taken,
                "ceiling": max(units.capacity, units.held + units.taken),
            }


def _rebuilt_hold(hold: Placed, resource_id: str) -> dict[str, Any]:
    return {
        "hold_id": hold.hold_id,
        "resource_id": resource_id,
        "account": hold.account,
        "token_hash": hold.token_hash,
        "buyer": hold.buyer,
        "client_reference": hold.client_reference,
        "status": hold.status.value,
        "quantity": hold.quantity,
        "units": hold.units,
        "granted_at": hold.granted_at,
        "expires_at": hold.expires_at,
        "expires_latest_at": hold.latest,
        "ended_at": hold.ended_at,
    }
