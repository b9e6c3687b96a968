"""Reads are waited for with a bound, whatever the driver does when it is cancelled."""

import asyncio
import time

import asyncpg
import pytest

from gateway.answers import token_hash
from gateway.patience import within
from gateway.problems import ProblemError

BOUND_SECONDS = 0.05
STUBBORN_SECONDS = 0.5


async def stubborn() -> int:
    """Read for long, and take its time to be cancelled, as asyncpg does while the server is silent."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(STUBBORN_SECONDS)
        raise
    return 1


async def failing(fault: Exception) -> int:
    """Fail at once."""
    raise fault


async def test_a_late_reading_is_a_problem_in_time() -> None:
    """The problem comes when the time is over, not when the reading has ended.

    Seen to fail with `async with asyncio.timeout(…)` around the reading.
    """
    began = time.monotonic()
    with pytest.raises(ProblemError, match="the slot cannot be read just now") as problem:
        await within(BOUND_SECONDS, stubborn(), "the slot", request_id="r")
    assert time.monotonic() - began < STUBBORN_SECONDS
    assert (problem.value.kind.status, problem.value.more) == (503, {"request_id": "r"})
    await asyncio.sleep(STUBBORN_SECONDS + BOUND_SECONDS)  # the reading ends by itself, and warns of nothing


@pytest.mark.parametrize("fault", [OSError("gone"), TimeoutError(), asyncpg.ConnectionDoesNotExistError("gone")])
async def test_a_server_that_is_away_is_a_problem(fault: Exception) -> None:
    """What will pass is 503."""
    with pytest.raises(ProblemError):
        await within(1, failing(fault), "the slot")


@pytest.mark.parametrize("fault", [asyncpg.UndefinedColumnError("no such column"), KeyError("bug")])
async def test_a_bug_is_not_hidden(fault: Exception) -> None:
    """What will not pass is raised as it is."""
    with pytest.raises(type(fault)):
        await within(1, failing(fault), "the slot")


def test_a_token_of_any_bytes_has_a_hash() -> None:
    """A header that is no text must not fail: a hold that exists would be told from one that does not."""
    assert token_hash("\udcff\udcfe") != token_hash("")
