"""What is measured: each scenario is a file that makes groups of cases. A new one is a file, and a line below."""

from collections.abc import AsyncIterator, Callable, Mapping

from firmhold.bench.cases import Bench, Group
from firmhold.bench.scenarios import from_kafka, holds, reads, sale, seats

Scenario = Callable[[Bench], AsyncIterator[Group]]

SCENARIOS: Mapping[str, Scenario] = {
    "hot-slot": holds.on_one_hot_slot,
    "slots": holds.on_a_thousand_slots,
    "open": holds.at_a_rate,
    "sold-out": holds.sold_out,
    "kafka": from_kafka.straight_to_kafka,
    "reads": reads.under_writes,
    "seats": seats.of_a_large_house,
    "sale": sale.end_to_end,
}
