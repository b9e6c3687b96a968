"""When events are left unread: never while somebody may need them, and nothing that answers a waiter is passed over."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.dozing import AWAKE_SECONDS, MARKED_SECONDS, UNTOLD_SECONDS, Doze
from gateway.waiters import Answer, Waiters

NOW = 1_000.0
LATER = NOW + AWAKE_SECONDS


def begun() -> Doze[str]:
    """Return one that looked for the first time just now."""
    doze: Doze[str] = Doze()
    assert not doze.look(NOW, waiting_since=None, heard=7)
    return doze


def test_it_begins_awake_and_dozes_while_nobody_needs_it() -> None:
    """Fails if a gateway that was just started leaves events alone."""
    doze = begun()
    assert not doze.look(LATER - 0.01, waiting_since=None, heard=7)
    assert doze.look(LATER, waiting_since=None, heard=7)
    assert doze.look(LATER, waiting_since=LATER - UNTOLD_SECONDS / 2, heard=7)


def test_who_waits_for_long_wakes_it_for_a_while() -> None:
    """Fails if it dozes off again at once: whoever was not told is seldom the only one."""
    doze = begun()
    assert doze.look(LATER, waiting_since=LATER - UNTOLD_SECONDS, heard=7)
    woken = LATER + 0.1
    assert not doze.look(woken, waiting_since=LATER - UNTOLD_SECONDS, heard=7)
    assert not doze.look(woken + AWAKE_SECONDS - 0.01, waiting_since=None, heard=7)
    assert doze.look(woken + AWAKE_SECONDS, waiting_since=None, heard=7)


def test_who_waits_for_long_keeps_it_awake() -> None:
    """At the first look, as it is awake. Fails if it dozes off while it is needed."""
    doze = begun()
    assert not doze.look(LATER - 0.01, waiting_since=LATER - UNTOLD_SECONDS - 0.01, heard=7)
    assert not doze.look(LATER + 0.01, waiting_since=None, heard=7)


def test_a_late_look_wakes_nobody() -> None:
    """Everything stood still for a moment, and then whoever waited is told. Fails if one look counts."""
    doze = begun()
    assert doze.look(LATER, waiting_since=LATER - UNTOLD_SECONDS, heard=7)
    assert doze.look(LATER + 0.1, waiting_since=None, heard=8)
    assert doze.look(LATER + 0.2, waiting_since=LATER - UNTOLD_SECONDS, heard=8)


def test_without_redis_it_stays_awake() -> None:
    """Fails if the listener is not asked."""
    doze = begun()
    assert not doze.look(LATER, waiting_since=None, heard=None)
    assert not doze.look(LATER + AWAKE_SECONDS - 0.01, waiting_since=None, heard=7)


def test_an_event_that_was_needed_keeps_it_awake() -> None:
    """Until Redis tells somebody again. Fails if who is answered by events has to wait for each of them."""
    doze = begun()
    doze.answered(LATER, 7)
    assert not doze.look(LATER + AWAKE_SECONDS - 0.01, waiting_since=None, heard=8)
    assert not doze.look(LATER + AWAKE_SECONDS, waiting_since=None, heard=7)
    assert not doze.look(LATER + 100, waiting_since=None, heard=7)
    assert doze.look(LATER + 100 + AWAKE_SECONDS, waiting_since=None, heard=8)


def test_marks_are_taken_now_and_then() -> None:
    """Fails if the log is asked at every look, or never."""
    doze = begun()
    assert doze.wants_mark(NOW)
    doze.mark(NOW, {"p": 1})
    assert not doze.wants_mark(NOW + MARKED_SECONDS / 2)
    assert doze.wants_mark(NOW + MARKED_SECONDS)
    doze.wake(NOW)
    assert doze.wants_mark(NOW)
    assert doze.passed(None) == {}


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), max_size=20), st.one_of(st.none(), st.floats(0, 20)))
def test_what_may_answer_a_waiter_is_never_passed(steps: list[tuple[float, int]], waiting_since: float | None) -> None:
    """Of the marks from before a wait the last one counts. Fails if one that was taken during a wait is taken."""
    doze, now, end = begun(), 0.0, 0
    marks: list[tuple[float, int]] = []
    for pause, more in steps:
        now, end = now + pause, end + more
        doze.mark(now, {"p": end})
        marks.append((now, end))
    before = [end for at, end in marks if waiting_since is None or at < waiting_since]
    assert doze.passed(waiting_since) == ({"p": before[-1]} if before else {})
    assert doze.passed(waiting_since) == {}


def test_the_oldest_wait_is_known_whoever_leaves() -> None:
    """A request's wait counts from its first waiter while any is left. Fails if a later one hides an older request's."""
    waiters = Waiters(10)
    assert waiters.since() is None
    with waiters.waiting_for("a"):
        oldest = waiters.since()
        assert oldest is not None
        with waiters.waiting_for("b"), waiters.waiting_for("a"):
            assert waiters.since() == oldest
        with waiters.waiting_for("b"):
            assert waiters.since() == oldest
    assert waiters.since() is None


def test_who_was_told_is_not_awaited() -> None:
    """Its task may not have left yet. Fails if an event that comes after the outcome was told counts as needed."""
    waiters = Waiters(10)
    with waiters.waiting_for("a"):
        assert waiters.awaits("a")
        waiters.answer("a", Answer("hold.placed", b"{}", "0/1"))
        assert not waiters.awaits("a")
        assert waiters.since() is None
        with waiters.waiting_for("a"):
            assert waiters.awaits("a")
            assert waiters.since() is not None
    assert waiters.since() is None
