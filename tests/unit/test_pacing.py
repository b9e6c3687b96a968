"""When commands that wait for the log are to go: never late for want of company, never many records where one would do."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.pacing import FORGOTTEN_SECONDS, HELD_BACK_SECONDS, Pace, Undecided
from topics.commands import BATCH_COMMANDS_MAX

NOW = 1_000.0


def test_nobody_waits_where_nothing_is_undecided() -> None:
    """A lone client is held back by nothing."""
    assert Pace().pause_seconds(1, NOW, NOW) == 0.0


def test_the_second_does_not_wait() -> None:
    """Fails if one undecided command holds another one back."""
    pace = Pace()
    pace.send(7, 1, NOW)
    assert pace.pause_seconds(1, NOW, NOW) == 0.0


def test_few_wait_behind_many_until_these_are_decided() -> None:
    """Fails if records are sent as fast as the log takes them, or if what is decided is not counted off."""
    pace = Pace()
    pace.send(7, 10, NOW)
    pace.send(8, 20, NOW)
    assert pace.pause_seconds(29, NOW, NOW) > 0.0
    assert pace.pause_seconds(30, NOW, NOW) == 0.0
    pace.decide(7)
    assert pace.pause_seconds(19, NOW, NOW) > 0.0
    assert pace.pause_seconds(20, NOW, NOW) == 0.0
    pace.decide(9)
    assert pace.is_idle(NOW)
    assert pace.pause_seconds(1, NOW, NOW) == 0.0


@given(st.integers(1, BATCH_COMMANDS_MAX - 1), st.integers(BATCH_COMMANDS_MAX, 1_000), st.floats(0, 1))
def test_nobody_is_held_back_for_longer_than_a_moment(waiting: int, undecided: int, waited: float) -> None:
    """However many are undecided, and whether or not anybody tells of them. Fails if the pause does not count from `since`."""
    pace = Pace()
    pace.send(7, undecided, NOW + waited)
    pause_seconds = pace.pause_seconds(waiting, NOW, NOW + waited)
    assert 0.0 <= pause_seconds <= HELD_BACK_SECONDS
    assert (pause_seconds == 0.0) == (waited >= HELD_BACK_SECONDS)


def test_what_nobody_tells_of_is_forgotten() -> None:
    """A worker that is gone does not keep a resource's lane for ever."""
    pace = Pace()
    pace.send(7, 10, NOW)
    assert not pace.is_idle(NOW + FORGOTTEN_SECONDS / 2)
    assert pace.is_idle(NOW + FORGOTTEN_SECONDS)


def test_what_is_forgotten_holds_nobody_back() -> None:
    """Seen to fail where what is undecided is counted before it is looked at."""
    pace = Pace()
    pace.send(7, 40, NOW)
    pace.send(8, 2, NOW + FORGOTTEN_SECONDS / 2)
    assert pace.pause_seconds(5, NOW + FORGOTTEN_SECONDS, NOW + FORGOTTEN_SECONDS) == 0.0


def test_what_fills_a_record_goes() -> None:
    """Fails if a record that is full waits for company that it has no room for."""
    pace = Pace()
    pace.send(7, 1_000, NOW)
    assert pace.pause_seconds(BATCH_COMMANDS_MAX - 1, NOW, NOW) > 0.0
    assert pace.pause_seconds(BATCH_COMMANDS_MAX, NOW, NOW) == 0.0


def test_each_is_told_whose_record_is_decided_and_nobody_before() -> None:
    """By partition, up to an offset. Fails if what was told before the acknowledgement counts as undecided."""
    undecided: Undecided[str] = Undecided()
    assert all(undecided.send(("t", 0), offset, f"lane-{offset}", NOW) for offset in (5, 6, 8))
    assert undecided.send(("t", 1), 6, "other", NOW)
    assert undecided.decide(("t", 0), 7) == ["lane-5", "lane-6"]
    assert not undecided.send(("t", 0), 7, "late", NOW)
    assert len(undecided) == 2


def test_with_no_worker_nothing_piles_up() -> None:
    """Seen to fail (100,000 records kept) without forgetting."""
    undecided: Undecided[str] = Undecided()
    for offset in range(100_000):
        undecided.send(("t", 0), offset, "lane", NOW + offset / 1_000)
    assert len(undecided) <= 1_000 * FORGOTTEN_SECONDS + 1


def test_what_is_on_its_way_to_the_log_counts_as_undecided() -> None:
    """Fails if a second record is sent for every few commands while the first is being written."""
    pace = Pace()
    pace.begin(10)
    assert not pace.is_idle(NOW)
    assert pace.pause_seconds(9, NOW, NOW) > 0.0
    assert pace.pause_seconds(10, NOW, NOW) == 0.0
    pace.send(7, 10, NOW)
    pace.end(10)
    assert pace.pause_seconds(9, NOW, NOW) > 0.0
    pace.decide(7)
    assert pace.is_idle(NOW)
