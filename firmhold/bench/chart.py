"""Draws the rates of a run as bars, with Pillow: it is one small wheel, and bars need no more."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from firmhold.bench.cases import FIRMHOLD
from firmhold.bench.results import Results, Row

_WIDTH = 1200
_LINE = 26
_GAP = 18
_MARGIN = 24
_LABEL = 340
_OURS, _LIMIT, _OTHERS, _TEXT = "#0969da", "#c0c6cd", "#8250df", "#1b1f24"


def draw(results: Results, path: Path) -> None:
    """Write a PNG: a block for each scenario and number of clients, a bar for each contender, as long as its rate."""
    blocks: dict[tuple[str, int], list[Row]] = {}
    for row in results.rows:
        if row.rounds:
            blocks.setdefault((row.scenario, row.clients), []).append(row)
    height = 2 * _MARGIN + sum((len(rows) + 1) * _LINE + _GAP for rows in blocks.values())
    image = Image.new("RGB", (_WIDTH, height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=15)
    top = _MARGIN
    for (scenario, clients), rows in blocks.items():
        title = f"{scenario}, {clients} clients" if clients else scenario
        pen.text((_MARGIN, top), f"{title} (per second)", fill=_TEXT, font=font)
        top += _LINE
        most = max(row.per_second for row in rows)
        for row in rows:
            length = (_WIDTH - _LABEL - 2 * _MARGIN - 90) * row.per_second / most
            left = _MARGIN + _LABEL
            pen.text((_MARGIN + 16, top + 2), row.contender, fill=_TEXT, font=font)
            pen.rectangle((left, top + 3, left + max(1.0, length), top + _LINE - 5), fill=_colour(row))
            pen.text((left + length + 8, top + 2), f"{row.per_second:,.0f}", fill=_TEXT, font=font)
            top += _LINE
        top += _GAP
    image.save(path)


def _colour(row: Row) -> str:
    if row.contender == FIRMHOLD:
        return _OURS
    return _LIMIT if row.contender.startswith("limit") else _OTHERS
