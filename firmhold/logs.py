"""Logs of our processes: structlog, as JSON lines or readable; libraries' own logs take the same way.

Whoever handles a request says what it is about (`firmhold.log_subject`), so that every line below bears it. What is written
has passed two doors: one for chatter, one for secrets.
"""

import logging
import sys
import threading
import time
from collections.abc import Sequence
from typing import TextIO

import structlog

from firmhold.chatter import Chatter, LeftOut
from firmhold.log_subject import add_subject
from firmhold.redaction import Redaction
from firmhold.settings import Settings

_CHATTY = ("aiokafka", "faust", "mode", "kafka")


def configure(settings: Settings) -> None:
    """Send everything from the configured level on to standard error."""
    json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_subject,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        cache_logger_on_first_use=True,
    )
    handler = Handler(
        sys.stderr, Chatter(settings.log_repeats_max, settings.log_repeat_seconds), redact=Redaction(settings)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(is_json=json)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_end_of_thread


def _renderers(*, is_json: bool) -> Sequence[structlog.typing.Processor]:
    if is_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Not the console's own way with tracebacks: it shows local variables, and so secrets.
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]


class Handler(logging.StreamHandler[TextIO]):
    """Writes lines, without those that only repeat others, and without secrets."""

    def __init__(self, stream: TextIO, chatter: Chatter, redact: Redaction) -> None:
        """Write to `stream`."""
        super().__init__(stream)
        self._chatter = chatter
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it; before it, tell what was left out."""
        now = time.monotonic()
        self._tell_left_out(now)
        if self._chatter.admits(record, now):
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as it may be shown."""
        return self._redact(super().format(record))

    def close(self) -> None:
        """Tell what was left out and not told yet."""
        with self.lock or threading.RLock():
            self._tell_left_out(float("inf"))
        super().close()

    def _tell_left_out(self, now: float) -> None:
        for left_out in self._chatter.left_out(now):
            super().emit(_record_of(left_out))


def _record_of(left_out: LeftOut) -> logging.LogRecord:
    record = logging.LogRecord(left_out.logger, left_out.level, "", 0, "lines like others were left out", (), None)
    record.left_out = left_out.lines
    record.like = left_out.message
    return record


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Log what ended a thread, which else would be written past all this."""
    if ended.exc_value is not None and not issubclass(ended.exc_type, SystemExit):
        name = ended.thread.name if ended.thread else "?"
        structlog.get_logger(__name__).critical("a thread ended by a fault", thread=name, exc_info=ended.exc_value)


def close() -> None:
    """Tell what is still to be told, when a process leaves."""
    logging.shutdown()
