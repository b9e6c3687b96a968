"""Tells a person at the terminal, or a log file, how far things are. It must not know what is being done."""

import time
from contextlib import suppress
from threading import Lock

from rich.console import Console
from rich.markup import escape


class Progress:
    """One line per finished step, with its seconds; colours only on a terminal.

    A terminal that has gone away is no reason to stop stopping: what cannot be written is dropped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._lock = Lock()

    def done(self, step: str) -> None:
        """Tell that a step is done, and when since the start."""
        self._write(f"[green]✓[/] {escape(step):<52} [dim]{time.monotonic() - self._started:5.1f} s[/]")

    def note(self, text: str) -> None:
        """Tell what is going on."""
        self._write(f"[dim]…[/] {escape(text)}")

    def warn(self, text: str) -> None:
        """Tell what went wrong and is being mended."""
        self._write(f"[yellow]![/] {escape(text)}")

    def fail(self, text: str) -> None:
        """Tell what a person has to do something about."""
        self._write(f"[red]✗[/] {escape(text)}")

    def show(self, text: str) -> None:
        """Print plain text."""
        self._write(escape(text))

    def _write(self, markup: str) -> None:
        with self._lock, suppress(OSError, ValueError):
            self._console.print(markup)
