"""What is counted of the payments that need somebody, for the metrics. It writes nothing."""

from dataclasses import dataclass
from enum import Enum

import asyncpg

from schema import queries


class Need(Enum):
    """What a payment waits for: its order, or somebody.

    `orphaned` is money whose order did not come in time, `mismatched` that of another currency, or none at all,
    `refund_required` what an order does not count and nobody has told to be given back. `refused` is what a provider said
    within a day and is recorded nowhere: no row tells when somebody saw to it.
    """

    PARKED = "parked"
    ORPHANED = "orphaned"
    MISMATCHED = "mismatched"
    REFUND_REQUIRED = "refund_required"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OpenPayments:
    """How many payments need the same, and for how many seconds the one has that needed it first."""

    payments: int = 0
    oldest_seconds: float = 0.0


async def open_payments(pool: asyncpg.Pool) -> dict[Need, OpenPayments]:
    """Count them by their need, each of which is there; raises what asyncpg raises if Postgres does not answer."""
    rows = await pool.fetch(queries.COUNT_OPEN_PAYMENTS)
    found = {Need(row["need"]): OpenPayments(row["payments"], row["oldest_seconds"]) for row in rows}
    return {need: found.get(need, OpenPayments()) for need in Need}
