"""What the log lines of a task are about: `request_id`, `kind`, `resource`. One context variable for all of it.

structlog.contextvars has a variable for each name and looks through the whole context to forget them: 10 µs for each hold.
"""

from collections.abc import Mapping
from contextvars import ContextVar

from structlog.typing import EventDict, WrappedLogger

_subject: ContextVar[Mapping[str, str] | None] = ContextVar("log_subject", default=None)


def speak_of(*, request_id: str, kind: str, resource: str) -> None:
    """Let every line of this task bear these names, until `speak_of_nothing`."""
    _subject.set({"request_id": request_id, "kind": kind, "resource": resource})


def speak_of_nothing() -> None:
    """Forget what was spoken of: the next request of a connection comes in the same task."""
    _subject.set(None)


def add_subject(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the names to a line that has none of its own; a processor of structlog's."""
    for name, value in (_subject.get() or {}).items():
        event.setdefault(name, value)
    return event
