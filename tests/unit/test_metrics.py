"""The one list of metrics: what each is called, what to conclude from it, and how it is written."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from firmhold import metrics
from firmhold.exposition import Exposition, Histogram
from firmhold.local.places import CHECKOUT
from firmhold.metrics import ALL, Metric, Type
from workers.counting import Least


def test_every_metric_says_what_to_conclude() -> None:
    """In more than a name; and no two are called the same."""
    assert len({metric.name for metric in ALL}) == len(ALL) > 20
    assert [metric.name for metric in ALL if len(metric.help.split()) < 8] == []
    assert [metric.name for metric in ALL if not re.fullmatch(r"firmhold_[a-z_]+", metric.name)] == []
    assert [metric.name for metric in ALL if not metric.told_by] == []


def test_bounds_are_those_of_a_histogram() -> None:
    """They rise; what has none is no histogram."""
    assert {metric.name for metric in ALL if metric.bounds} == {
        metric.name for metric in ALL if metric.type is Type.HISTOGRAM
    }
    assert [metric.name for metric in ALL if list(metric.bounds) != sorted(set(metric.bounds))] == []


def test_the_page_of_metrics_is_up_to_date() -> None:
    """Written by `firmhold metrics > docs/metrics.md`."""
    assert (CHECKOUT / "docs" / "metrics.md").read_text() == metrics.metrics_table()


def test_alerts_are_about_metrics_that_there_are() -> None:
    """Each name of a rule is one that Prometheus stores, each label one that the metric has.

    Fails on a misspelt metric, a counter without _total, or a label that its metric does not have.
    """
    stored: dict[str, Metric] = {}
    for metric in ALL:
        ends = ("_bucket", "_sum", "_count") if metric.type is Type.HISTOGRAM else ("",)
        stored |= {metrics.shown_name(metric) + end: metric for end in ends}
    groups = yaml.safe_load((CHECKOUT / "docs" / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len({rule["alert"] for rule in rules}) > 5
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"].endswith(".")
        used = re.findall(r"firmhold_\w+", rule["expr"])
        assert used
        assert [name for name in used if name not in stored] == []
        labels = {label for name in used for label in (*stored[name].labels, "le")}
        asked = re.findall(r"[{,]\s*(\w+)\s*[!=]", rule["expr"]) + re.findall(r"by \(([\w, ]+)\)", rule["expr"])
        assert {label.strip() for text in asked for label in text.split(",")} <= labels


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


def test_what_is_not_known_is_not_told() -> None:
    """No sample rather than a 0 that would be a claim."""
    text = Exposition({metrics.CLOCK_DIFFERENCE: dict}).text().decode()
    assert re.search(r"^firmhold_clock_difference_seconds", text, re.MULTILINE) is None


def test_a_histogram_counts_up_to_its_bounds() -> None:
    """A bound belongs to its bucket, as Prometheus has it; what is above the last is counted, too.

    Fails if a value at a bound is counted above it (`bisect` instead of `bisect_left`).
    """
    metric = Metric("firmhold_x", Type.HISTOGRAM, (metrics.GATEWAY,), "", bounds=(0.5, 1.0, 10_000))
    histogram = Histogram(metric)
    for value in (0.5, 0.75, 1.0, 20_000.0):
        histogram.observe(value)
    text = Exposition({metric: lambda: histogram}).text().decode()
    samples = re.findall(r"^(firmhold_x\S*) (\S+)$", text, re.MULTILINE)
    assert samples == [
        ('firmhold_x_bucket{le="0.5"}', "1.0"),
        ('firmhold_x_bucket{le="1.0"}', "3.0"),
        ('firmhold_x_bucket{le="10000.0"}', "3.0"),
        ('firmhold_x_bucket{le="+Inf"}', "4.0"),
        ("firmhold_x_count", "4.0"),
        ("firmhold_x_sum", "20002.25"),
    ]


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0005, 0.001, 0.0011, 0.5, 14.0, 15.0, 16.0])))
def test_many_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    """But for what is below 0: a sum that shrinks would look like a restart.

    Fails if the values at a bound are counted above it, or if the last bucket is left out.
    """
    together, apart = Histogram(metrics.DECISION_SECONDS), Histogram(metrics.DECISION_SECONDS)
    together.observe_all(values)
    for value in values:
        apart.observe(max(0.0, value))
    assert together.buckets() == apart.buckets()
    assert together.sum == pytest.approx(apart.sum)


@pytest.mark.parametrize(("now", "least"), [(59.0, 1.0), (61.0, 1.0), (119.0, 1.0), (121.0, None), (500.0, None)])
def test_the_least_of_the_last_minutes(now: float, least: float | None) -> None:
    """What was least an hour ago says nothing of now; of the last minute it does."""
    one = Least()
    for value in (3.0, 1.0, 2.0):
        one.note(value, 10.0)
    assert one.read(now) == least
    one.note(7.0, now)
    assert one.read(now) == min(7.0, least or 7.0)
