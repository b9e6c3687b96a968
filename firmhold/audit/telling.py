"""Tell what an audit found: lines for a person, a document for a program."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import msgspec

from firmhold.audit.findings import Check, Discrepancy, Note

_LINES_MAX = 20


def as_lines(checks: Sequence[Check]) -> Iterator[str]:
    """Yield a line for each check, and below it one for each of its first discrepancies and notes."""
    for check in checks:
        yield f"{'FAIL' if check.count else 'ok  '} {check.summary()}"
        yield from _first(check.discrepancies, check.count, "")
        yield from _first(check.notes, check.noted, "note: ")


def _first(told: Sequence[Discrepancy | Note], count: int, prefix: str) -> Iterator[str]:
    for one in told[:_LINES_MAX]:
        yield f"     {prefix}{one.sentence()}"
    if count > _LINES_MAX:
        yield f"     … and {count - _LINES_MAX} more; `--json` has up to a thousand of a check"


def as_document(checks: Sequence[Check]) -> str:
    """Return all findings as one JSON object."""
    document = {"agrees": not any(check.count for check in checks), "checks": [asdict(check) for check in checks]}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
