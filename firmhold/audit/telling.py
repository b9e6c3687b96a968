"""Tell what an audit found: lines for a person, a document for a program."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import msgspec

from firmhold.audit.findings import Check

_LINES_MAX = 20


def as_lines(checks: Sequence[Check]) -> Iterator[str]:
    """Yield a line for each check, and below it one for each of its first discrepancies."""
    for check in checks:
        yield f"{'FAIL' if check.count else 'ok  '} {check.summary()}"
        for discrepancy in check.discrepancies[:_LINES_MAX]:
            yield f"     {discrepancy.sentence()}"
        if check.count > _LINES_MAX:
            yield f"     … and {check.count - _LINES_MAX} more; `--json` has up to a thousand of a check"


def as_document(checks: Sequence[Check]) -> str:
    """Return all findings as one JSON object."""
    document = {"agrees": not any(check.count for check in checks), "checks": [asdict(check) for check in checks]}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
