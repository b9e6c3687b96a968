"""The statement that writes several tables at once, taken apart again: the twin runs its parts one after the other.

Postgres runs them on one snapshot. It makes no difference, as no part reads what another one writes.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from schema import queries
from schema.one_statement import Part, in_one_statement

_PARTS = {
    "resources": queries.WRITE_RESOURCES,
    "clock": queries.CHECK_CLOCK,
    "traces": queries.FIND_TRACES,
    "created": queries.FIND_CREATED_RESOURCES,
    "requests": queries.WRITE_REQUESTS,
    "payments": queries.WRITE_PAYMENTS,
    "payment_events": queries.WRITE_PAYMENT_EVENTS,
    "seat_ends": queries.END_SEAT_HOLDS,
    "seat_holds": queries.WRITE_SEAT_HOLDS,
    "pools": queries.WRITE_POOLS,
    "holds": queries.WRITE_HOLDS,
    "placed": queries.PLACE_HOLDS,
    "orders": queries.WRITE_ORDERS,
}
_NAME = re.compile(r"(\w+)_part as \(")


@cache
def _shapes(query: str) -> Sequence[Part]:
    """Return the parts with as many arguments as they take; none if it is no joined statement, or not as ours are joined."""
    names = _NAME.findall(query)
    if not names or any(name not in _PARTS for name in names):
        return ()
    checked = set(re.findall(r"require_rows\('(\w+)'", query))
    parts = [
        Part(
            name,
            _PARTS[name],
            [None] * max(int(number) for number in re.findall(r"\$(\d+)", _PARTS[name])),
            rows_wanted=0 if name in checked else None,
        )
        for name in names
    ]
    return parts if in_one_statement(parts)[0] == query else ()


def parts_of(query: str, arguments: Sequence[Any]) -> list[Part]:
    """Return the parts of a joined statement in the order in which they run; none if it is not one."""
    given = iter(arguments)
    taken = [[next(given) for _ in shape.arguments] for shape in _shapes(query)]
    return [
        Part(shape.name, shape.query, its, None if shape.rows_wanted is None else next(given))
        for shape, its in zip(_shapes(query), taken, strict=True)
    ]
