"""How often an account may write: windows, several policies at once, and what the setting may say."""

import pytest

from firmhold.settings import SettingError
from gateway.rate_limits import Policy, RateLimits, policies_of

BURST = Policy("burst", 2, 10)
DAY = Policy("day", 3, 100)


def test_a_quota_is_used_up_and_comes_back_at_the_end_of_its_window() -> None:
    """The window begins with the first write; at its end, not before, the account has all of it again."""
    limits = RateLimits([BURST])
    told = [
        (may, one.remaining, one.reset_seconds) for may, (one,) in (limits.take("a", now) for now in (5, 7, 8, 14.9))
    ]
    assert told == [(True, 1, 10), (True, 0, 8), (False, 0, 7), (False, 0, 1)]
    may, (one,) = limits.take("a", 15)
    assert (may, one.remaining, one.reset_seconds) == (True, 1, 10)


def test_accounts_do_not_share_a_quota() -> None:
    """One's writes leave the other's as they are."""
    limits = RateLimits([BURST])
    assert [limits.take("a", 0)[0] for _ in range(3)] == [True, True, False]
    assert limits.take("b", 0)[0]


def test_a_refused_write_counts_under_no_policy() -> None:
    """The larger quota is not eaten by what the smaller one refused."""
    limits = RateLimits([BURST, DAY])
    assert [limits.take("a", 0)[0] for _ in range(5)] == [True, True, False, False, False]
    assert limits.take("a", 10)[0]
    may, standings = limits.take("a", 10)
    assert not may
    assert [(one.policy.name, one.remaining, one.reset_seconds) for one in standings] == [
        ("burst", 1, 10),
        ("day", 0, 90),
    ]


def test_the_setting_is_what_the_header_shows() -> None:
    """A list of policies, or nothing."""
    assert policies_of("") == policies_of("  ") == []
    assert policies_of('"burst";q=2;w=10, "day";w=100;q=3') == [BURST, DAY]


@pytest.mark.parametrize(
    "text",
    [
        "burst;q=1;w=1",
        '"b"',
        '"b";q=1',
        '"b";w=1',
        '"b";q=0;w=1',
        '"b";q=1;w=0',
        '"b";q=1.5;w=1',
        '"b";q=1;w=1;x=1',
        '"";q=1;w=1',
        '"b";q=1;w=1,',
        '"b";q=1;w=1, "b";q=2;w=2',
        '("b");q=1;w=1',
        "100/m",
    ],
)
def test_what_cannot_be_meant_is_told_with_an_example(text: str) -> None:
    """A mistake stops the gateway at its start, in a sentence."""
    with pytest.raises(SettingError, match=r'FIRMHOLD_RATE_LIMITS .*"burst";q=100;w=60'):
        policies_of(text)
