"""Writes a run down: results.json, index.html, and rates.png that it shows."""

from html import escape
from pathlib import Path

import msgspec

from firmhold.bench.chart import draw
from firmhold.bench.results import Results
from firmhold.bench.telling import HEADINGS, lines_of, target_lines

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; margin: 1rem 0 2rem } th, td { border-bottom: 1px solid #d0d7de; padding: .3rem .7rem }
th { text-align: left } td:nth-child(n+4) { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100% }
"""


def write(results: Results, directory: Path) -> list[Path]:
    """Write the report into a directory, made if it is not there; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    data, picture, page = directory / "results.json", directory / "rates.png", directory / "index.html"
    data.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    draw(results, picture)
    page.write_text(_page(results, picture.name))
    return [data, picture, page]


def _page(results: Results, picture: str) -> str:
    machine = results.machine
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Firmhold measured</title>
<style>{_STYLE}</style>
<h1>Firmhold measured</h1>
<p>{escape(machine.processor)}, {machine.cores} cores, {machine.memory_gib:.0f} GiB; {escape(machine.system)},
Python {machine.python}; commit {escape(machine.commit)}; {machine.taken_at:%Y-%m-%d %H:%M} UTC; load average at the
beginning {machine.load_average:.1f}. Everything, the driver too, runs on this one machine.</p>
<p>Rates and latencies are medians over rounds; contenders of a group are measured in turn, and a ratio is the median of
the ratios within rounds: Firmhold's rate to that line's. Every hold that is counted was found in the store.</p>
<img src="{picture}" alt="Rates of each scenario">
{_table(HEADINGS, lines_of(results))}
<h2>Targets</h2>
{_table(("target", "measured", "wanted", ""), target_lines(results))}
</html>
"""


def _table(headings: tuple[str, ...], lines: "list[tuple[str, ...]] | list[tuple[str, str, str, str]]") -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in lines)
    return f"<table>\n<tr>{head}</tr>\n{rows}\n</table>"
