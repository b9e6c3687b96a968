"""The one list of metrics: what each is called, and what to conclude from it."""

import re

from firmhold import metrics
from firmhold.metrics import Exposition, Metric

ALL = [metric for metric in vars(metrics).values() if isinstance(metric, Metric)]


def test_every_metric_says_what_to_conclude() -> None:
    """In more than a name; and no two are called the same."""
    assert len({metric.name for metric in ALL}) == len(ALL) > 10
    assert [metric.name for metric in ALL if len(metric.help.split()) < 8] == []
    assert [metric.name for metric in ALL if not re.fullmatch(r"firmhold_[a-z_]+", metric.name)] == []


def test_readings_are_written_as_they_are_at_the_time() -> None:
    """A number, or one for each combination of labels; a counter's name ends in _total."""
    readings: dict[tuple[str, ...], float] = {("backlog",): 2}
    exposition = Exposition({metrics.NOT_TAKEN: lambda: readings, metrics.WAITERS: lambda: 3})
    assert b'firmhold_not_taken_total{cause="backlog"} 2.0\n' in exposition.text()
    readings[("backlog",)] = 5
    text = exposition.text()
    assert b'firmhold_not_taken_total{cause="backlog"} 5.0\n' in text
    assert b"\nfirmhold_waiters 3.0\n" in text
    assert b"process_cpu_seconds_total" in text
