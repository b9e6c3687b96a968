"""The statement that writes several tables at once, taken apart again: the twin runs its parts one after the other.

Postgres runs them on one snapshot. It makes no difference, as no part reads what another one writes.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import compress, product
from typing import Any

from schema import queries
from schema.one_statement import Part, in_one_statement

_PARTS = (
    Part("requests", queries.WRITE_REQUESTS, (), rows_wanted=0),
    Part("resources", queries.WRITE_RESOURCES, (), rows_wanted=0),
    Part("pools", queries.WRITE_POOLS, ()),
    Part("holds", queries.WRITE_HOLDS, ()),
)


def _with_arguments(part: Part, arguments: Sequence[Any]) -> tuple[Part, Sequence[Any]]:
    """Return the part with its arguments, taken from the front, and the rest."""
    count = max(int(number) for number in re.findall(r"\$(\d+)", part.query))
    return Part(part.name, part.query, arguments[:count], part.rows_wanted), arguments[count:]


def _split(parts: Sequence[Part], arguments: Sequence[Any]) -> Iterator[Part]:
    for part in parts:
        one, arguments = _with_arguments(part, arguments)
        yield one


def _known() -> Iterator[tuple[str, Sequence[Part]]]:
    """Yield the statement of requests with each choice of the others."""
    anything = [None] * 100
    for chosen in product((True, False), repeat=len(_PARTS) - 1):
        parts = list(compress(_PARTS, (True, *chosen)))
        yield in_one_statement(list(_split(parts, anything)))[0], parts


_PARTS_OF = dict(_known())


def parts_of(query: str, arguments: Sequence[Any]) -> list[Part]:
    """Return the parts of a joined statement in the order in which they run; none if it is not one."""
    return list(_split(_PARTS_OF.get(query, ()), arguments))
