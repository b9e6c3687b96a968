"""Join writes into one statement: each costs a round trip to Postgres, and a lone command waits for all of them.

Postgres runs the parts on one snapshot, so none may need to see what another one wrote.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_WRITTEN_BY = "pg_current_xact_id()::xid::text::bigint as written_by"  # as `xmin` of the rows that it writes
_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Part:
    """A query, its arguments, and how many rows it must return, if it matters (it then has a `returning`)."""

    name: str
    query: str
    arguments: Sequence[Any]
    rows_wanted: int | None = None


def in_one_statement(parts: Sequence[Part]) -> tuple[str, list[Any]]:
    """Return a statement that runs all parts, and its arguments; it fails as a whole where a part has not its `rows_wanted`.

    At least one part must have it. The parts run in their order: counting asks for them one after the other, and Postgres
    runs the uncounted ones last. It returns one row, with the number of the transaction as `written_by`.
    """
    shapes = tuple((part.name, part.query, len(part.arguments), part.rows_wanted is not None) for part in parts)
    arguments = [argument for part in parts for argument in part.arguments]
    return _statement(shapes), [*arguments, *(part.rows_wanted for part in parts if part.rows_wanted is not None)]


@cache
def _statement(shapes: tuple[tuple[str, str, int, bool], ...]) -> str:
    """Return the statement of parts, each by its name, query, number of parameters, and whether its rows are counted."""
    texts: list[str] = []
    shift = 0
    for name, query, parameters, _ in shapes:
        texts.append(f"{name}_part as (\n{_shifted(query, shift)}\n)")
        shift += parameters
    counted = [name for name, _, _, is_counted in shapes if is_counted]
    checks = [
        f"require_rows('{name}', (select count(*) from {name}_part), ${shift + place}) as {name}"  # noqa: S608 - names are ours
        for place, name in enumerate(counted, start=1)
    ]
    return f"with {', '.join(texts)}\nselect {', '.join(checks)}, {_WRITTEN_BY}"


def _shifted(query: str, count: int) -> str:
    """Return a query with its parameters numbered behind so many others."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + count}", _without_comments(query))


def _without_comments(query: str) -> str:
    """Leave out comment lines: they speak of parameters by their old numbers."""
    return "\n".join(line for line in query.splitlines() if not line.startswith("--"))
