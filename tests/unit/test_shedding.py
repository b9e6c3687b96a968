"""When a gateway refuses at once: the breaker of a silent log, and the age of a backlog, told as tables of happenings."""

import pytest

from gateway.shedding import Backlog, Breaker

SILENT_SECONDS = 1.0
Step = tuple[float, str, object]

# time, what happens, what it must come to: "admits" asks and, if admitted, begins a publication of the number given.
BREAKER: dict[str, list[Step]] = {
    "nothing on its way": [(0, "admits", True), (0, "is open", False)],
    "acknowledged in time": [(0, "begin", 0), (0.9, "acknowledge", 0), (5, "admits", True)],
    "silent for the bound exactly": [(0, "begin", 0), (1.0, "admits", True)],
    "silent beyond the bound": [(0, "begin", 0), (1.1, "admits", False), (1.1, "is open", True)],
    "slow, but others are acknowledged": [
        (0, "begin", 0),
        (0.8, "begin", 1),
        (0.9, "acknowledge", 1),
        (1.5, "admits", True),
        (2.0, "admits", False),
    ],
    "given up opens it though nothing else waits": [(0, "begin", 0), (5, "give up", 0), (60, "admits", False)],
    "given up behind a long queue, while others are acknowledged": [
        (0, "begin", 0),
        (0.1, "begin", 1),
        (4.5, "acknowledge", 1),
        (5, "give up", 0),
        (5, "admits", True),
    ],
    "its client went away": [(0, "begin", 0), (0.5, "forget", 0), (5, "admits", True)],
    "a late acknowledgement closes it": [
        (0, "begin", 0),
        (2, "admits", False),
        (3, "acknowledge", 0),
        (3, "admits", True),
    ],
    "no trial without a sign of life": [(0, "begin", 0), (2, "admits", False), (60, "admits", False)],
    "a sign of life lets one through": [
        (0, "begin", 0),
        (2, "admits", False),
        (3, "show life", None),
        (3, "admits", True),
        (3, "begin", 1),
        (3.1, "admits", False),
        (3.2, "acknowledge", 1),
        (3.2, "admits", True),
        (3.3, "admits", True),
    ],
    "old ones that never come do not open it at once": [
        (0, "begin", 0),
        (2, "admits", False),
        (2.1, "show life", None),
        (2.2, "begin", 1),
        (2.3, "acknowledge", 1),
        (3.2, "admits", True),
        (3.4, "admits", False),
    ],
    "a trial without acknowledgement waits for the next sign of life": [
        (0, "begin", 0),
        (2, "admits", False),
        (3, "show life", None),
        (3, "begin", 1),
        (4.1, "admits", False),
        (4.2, "admits", False),
        (4.3, "show life", None),
        (4.3, "admits", True),
    ],
    "a trial that was forgotten makes room for another": [
        (0, "begin", 0),
        (2, "admits", False),
        (3, "show life", None),
        (3, "begin", 1),
        (3.1, "forget", 1),
        (3.2, "admits", True),
    ],
    "life of a log that is not silent means nothing": [(0, "show life", None), (0, "begin", 0), (2, "admits", False)],
}


@pytest.mark.parametrize("name", BREAKER)
def test_e70_breaker(name: str) -> None:
    """Each step comes to what its line says."""
    breaker = Breaker(SILENT_SECONDS)
    for now, what, outcome in BREAKER[name]:
        match what:
            case "admits":
                assert breaker.admits(now) is outcome, (now, what)
            case "is open":
                assert breaker.is_open is outcome, (now, what)
            case "begin":
                assert breaker.begin(now) == outcome, (now, what)
            case "acknowledge":
                breaker.acknowledge(int(str(outcome)), now)
            case "give up":
                breaker.give_up(int(str(outcome)))
            case "forget":
                breaker.forget(int(str(outcome)))
            case _:
                breaker.show_life()


def test_the_breaker_counts_what_is_on_its_way() -> None:
    """However it ends, it counts no more."""
    breaker = Breaker(SILENT_SECONDS)
    numbers = [breaker.begin(0) for _ in range(4)]
    assert len(breaker) == 4
    breaker.acknowledge(numbers[1], 0)
    breaker.forget(numbers[0])
    breaker.give_up(numbers[2])
    assert len(breaker) == 1


STALE_SECONDS = 5.0

# time, what happens ("read" end and committed, "decided" offset, "age" as it must be)
BACKLOG: dict[str, list[Step]] = {
    "never read": [(0, "age", 0.0)],
    "nothing behind": [(0, "read", (7, 7)), (1, "age", 0.0)],
    "counts from the first reading that shows it": [(0, "read", (9, 7)), (1, "read", (9, 7)), (3, "age", 3.0)],
    "is over when all is committed": [(0, "read", (9, 7)), (1, "read", (9, 9)), (2, "age", 0.0)],
    "the oldest counts though more comes": [(0, "read", (9, 7)), (1, "read", (20, 7)), (2, "age", 2.0)],
    "what moves on is as old as what it has come to": [
        (0, "read", (9, 7)),
        (1, "read", (20, 8)),
        (2, "read", (30, 9)),
        (3, "age", 2.0),
        (3, "read", (30, 20)),
        (4, "age", 2.0),
    ],
    "steady traffic that is decided soon is young": [
        (number, what, outcome)
        for number in range(20)
        for what, outcome in (("read", (10 * number + 10, 10 * number)), ("age", 0.0))
    ],
    "an event is as good as a commit": [
        (0, "read", (9, 7)),
        (1, "decided", 7),
        (1, "age", 1.0),
        (1, "decided", 8),
        (2, "age", 0.0),
    ],
    "an event's word outlives a reading that is behind": [(0, "decided", 8), (1, "read", (9, 7)), (2, "age", 0.0)],
    "an old event takes nothing back": [(0, "decided", 8), (0, "decided", 3), (1, "read", (9, 0)), (2, "age", 0.0)],
    "old readings say nothing": [(0, "read", (9, 7)), (5, "age", 5.0), (5.1, "age", 0.0)],
}


@pytest.mark.parametrize("name", BACKLOG)
def test_e70_backlog(name: str) -> None:
    """Each step comes to what its line says."""
    backlog: Backlog[str] = Backlog(STALE_SECONDS)
    for now, what, outcome in BACKLOG[name]:
        match what, outcome:
            case "read", (int(end), int(committed)):
                backlog.read({"here": (end, committed), "elsewhere": (1, 1)}, now)
            case "decided", int(offset):
                backlog.decide("here", offset)
            case _:
                assert (backlog.age_seconds("here", now), backlog.age_seconds("elsewhere", now)) == (outcome, 0.0), now
                assert backlog.oldest_seconds(now) == outcome


def test_a_backlog_of_hours_costs_no_more_than_one_of_minutes() -> None:
    """What is remembered is bounded; the age stays that of the oldest."""
    backlog: Backlog[str] = Backlog(STALE_SECONDS)
    for now in range(10_000):
        backlog.read({"here": (now + 1, 0)}, now)
    assert backlog.age_seconds("here", 10_000) == 10_000
    assert len(backlog._ends["here"]) < 1_000
