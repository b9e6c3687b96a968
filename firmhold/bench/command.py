"""The command `firmhold bench`."""

from pathlib import Path

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from firmhold.bench.results import Results
from firmhold.bench.running import Plan, nothing_yet, run
from firmhold.bench.scenarios import SCENARIOS
from firmhold.bench.telling import show
from firmhold.settings import Settings

ALL = tuple(SCENARIOS)
_WIDTH_OF_FILES = 160


def bench_stack(settings: Settings, plan: Plan, report: Path | None, console: Console) -> bool:
    """Measure, show, write the report; return whether every target that was measured is met."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = nothing_yet()
    try:
        with Progress(*columns, console=console) as progress:
            uvloop.run(run(settings, plan, progress, results))
    finally:  # what was measured in twenty minutes is not lost to what ended them
        _tell(results, report, console)
    return all(target.is_met for target in results.targets())


def _tell(results: Results, report: Path | None, console: Console) -> None:
    show(results, console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES))
    if report is not None and results.rows:
        from firmhold.bench.report import write  # noqa: PLC0415 - needs the extra `bench`

        for path in write(results, report):
            console.print(f"wrote {path}", highlight=False)


def clients_of(text: str) -> list[int]:
    """Read numbers separated by commas."""
    try:
        numbers = [int(one) for one in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 1,64,256", param_hint="--clients")
    return numbers


def scenarios_of(names: list[str]) -> list[str]:
    """Return the scenarios that are named, all if none is."""
    for name in names:
        if name not in SCENARIOS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(ALL)}", param_hint="--scenario")
    return names or list(ALL)
