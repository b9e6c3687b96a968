"""Results as tables: on the terminal, and as rows of text for the reports."""

from rich.console import Console
from rich.table import Table

from firmhold.bench.cases import FIRMHOLD
from firmhold.bench.results import Results, Row

HEADINGS = ("scenario", "clients", "contender", "per second", "least to most", "p50 ms", "p99 ms", "p99.9 ms", "ratio")


def lines_of(results: Results) -> list[tuple[str, ...]]:
    """Return a line for each row that was measured; `ratio` is Firmhold's rate to this one's, round by round."""
    return [_line(results, row) for row in results.rows if row.rounds]


def _line(results: Results, row: Row) -> tuple[str, ...]:
    least, most = row.spread
    firmhold = next((other for other in results.rivals(row) if other.contender == FIRMHOLD), None)
    latencies = [row.latency_ms(name) for name in ("p50_ms", "p99_ms", "p999_ms")]
    return (
        row.scenario,
        str(row.clients) if row.clients else "",
        row.contender,
        f"{row.per_second:,.0f}",
        f"{least:,.0f} to {most:,.0f}",
        *(f"{latency:,.1f}" if latency else "" for latency in latencies),
        f"{firmhold.ratio_to(row):.2f} x" if firmhold is not None else "",
    )


def target_lines(results: Results) -> list[tuple[str, str, str, str]]:
    """Return a line for each target: what, measured, wanted, and whether it is met."""
    return [
        (
            target.text,
            f"{target.measured:.2f} {target.unit}",
            f"{'≥' if target.is_least else '≤'} {target.wanted:g} {target.unit}",
            "met" if target.is_met else "missed",
        )
        for target in results.targets()
    ]


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    machine = results.machine
    table = Table(*HEADINGS, title=f"{machine.processor}, {machine.cores} cores, Python {machine.python}")
    for line in lines_of(results):
        table.add_row(*line)
    console.print(table)
    targets = target_lines(results)
    if targets:
        wanted = Table("target", "measured", "wanted", "")
        for line in targets:
            wanted.add_row(*line)
        console.print(wanted)
