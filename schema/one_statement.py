"""Join writes into one statement: each costs a round trip to Postgres, and a lone command waits for all of them.

Postgres runs the parts on one snapshot, so none may need to see what another one wrote.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Part:
    """A writing query, its arguments, and how many rows it must return, if it matters (it then has a `returning`)."""

    name: str
    query: str
    arguments: Sequence[Any]
    rows_wanted: int | None = None


def in_one_statement(parts: Sequence[Part]) -> tuple[str, list[Any]]:
    """Return a statement that runs all parts, with its arguments; its one row has the count of each that must be counted.

    The parts run in their order: counting asks for them one after the other, and Postgres runs the uncounted ones last.
    """
    arguments: list[Any] = []
    texts: list[str] = []
    for part in parts:
        before = len(arguments)
        shifted = _PARAMETER.sub(lambda found, before=before: f"${int(found[1]) + before}", _without_comments(part.query))  # type: ignore[misc]
        texts.append(f"{part.name}_written as (\n{shifted}\n)")
        arguments += part.arguments
    counted = ", ".join(
        f"(select count(*) from {part.name}_written) as {part.name}" for part in parts if part.rows_wanted is not None
    )
    return f"with {', '.join(texts)}\nselect {counted or 'null'}", arguments


def _without_comments(query: str) -> str:
    """Leave out comment lines: they speak of parameters by their old numbers."""
    return "\n".join(line for line in query.splitlines() if not line.startswith("--"))
