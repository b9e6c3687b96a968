"""Prefer as RFC 7240 has it: the first instance counts, what is not understood is ignored, and nothing raises."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prefer import Wait, wait_of

DEFAULT_SECONDS = 2.0
MAX_SECONDS = 30.0


def read(*lines: str) -> Wait:
    """Read header lines with the default settings."""
    return wait_of(lines, default_seconds=DEFAULT_SECONDS, max_seconds=MAX_SECONDS)


@pytest.mark.parametrize(
    ("lines", "seconds", "applied"),
    [
        ([], 2, ""),
        ([""], 2, ""),
        (["respond-async"], 0, "respond-async"),
        (["wait=5"], 5, "wait=5"),
        (["wait=0"], 0, "wait=0"),
        (["wait=30"], 30, "wait=30"),
        (["wait=31"], 30, "wait=30"),
        (["wait=999999999"], 30, "wait=30"),
        (["respond-async, wait=5"], 5, "respond-async, wait=5"),
        (["wait=5, respond-async"], 5, "respond-async, wait=5"),
        (["respond-async", "wait=5"], 5, "respond-async, wait=5"),
        (["wait=5", "wait=9"], 5, "wait=5"),
        (["wait=5, wait=9"], 5, "wait=5"),
        (["Respond-Async", "WAIT=5"], 5, "respond-async, wait=5"),
        (['wait="5"'], 5, "wait=5"),
        (["wait = 5 "], 5, "wait=5"),
        (["wait=5; foo=bar; baz"], 5, "wait=5"),
        (['respond-async; foo="a, wait=9; \\" b", wait=3'], 3, "respond-async, wait=3"),
        (['return=minimal; x="wait=9, respond-async"'], 2, ""),
        (['foo="wait=9, respond-async", wait=4'], 4, "wait=4"),
        (["respond-async=", "wait=5"], 5, "respond-async, wait=5"),
        (['respond-async=""'], 0, "respond-async"),
        (["handling=lenient, return=minimal, wait=7"], 7, "wait=7"),
        ([",,, ,wait=7,,"], 7, "wait=7"),
    ],
)
def test_preferences_that_are_understood(lines: Sequence[str], seconds: float, applied: str) -> None:
    """The wait in seconds, and what Preference-Applied will say."""
    assert read(*lines) == Wait(seconds, applied)


@pytest.mark.parametrize(
    "text",
    [
        "wait",
        "wait=",
        "wait=-1",
        "wait=1.5",
        "wait=+5",
        "wait=1e3",
        "wait=5s",
        "wait=٣",
        "wait=9999999999",
        'wait="5',
        "wait=5 6",
        "waits=5",
        "(wait=5)",
        "respond async",
        "respond-async2",
        "\x00",
        "\udcff",
    ],
)
def test_malformed_preferences_are_ignored(text: str) -> None:
    """What is malformed is as if it were not there, and what follows is read."""
    assert read(text) == Wait(DEFAULT_SECONDS, "")
    assert read(text, "foo") == Wait(DEFAULT_SECONDS, "")


def test_a_malformed_one_does_not_hide_the_next() -> None:
    """The list goes on at the next comma."""
    assert read("=, (), wait=3") == Wait(3, "wait=3")
    assert read("a b c, respond-async") == Wait(0, "respond-async")


def test_the_first_instance_counts_though_it_is_malformed() -> None:
    """A repeated preference is the first one, whatever the second says."""
    assert read("wait=soon", "wait=9") == Wait(DEFAULT_SECONDS, "")


TEXTS = st.text() | st.text(st.sampled_from('wait=5;," \\respond-async\t'), max_size=60)


@given(lines=st.lists(TEXTS, max_size=5))
def test_nothing_raises_and_the_wait_is_bounded(lines: list[str]) -> None:
    """Whatever the lines are, the wait is from 0 to the longest, and Preference-Applied can be sent as a header."""
    wait = read(*lines)
    assert 0 <= wait.seconds <= MAX_SECONDS
    assert wait.applied.isascii()
    assert wait.applied.isprintable()
