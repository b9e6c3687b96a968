"""When a waiter looks in Postgres for an answer that did not come: not while a worker tells of its partition."""

import time
from typing import cast

import pytest

from gateway.answers import Answers
from gateway.publishing import Place, Publisher
from gateway.submission import Bounds, Submitter
from gateway.waiters import Answer, Waiters
from schema.reads import Outcome, Reads
from topics.catalogue import Catalogue

PLACE = ("slots.commands", 3)
ANSWER = Answer("hold.placed", b"{}", "3/7")


class Telling:
    """A publisher of which only this is asked: up to which offset events told of a partition."""

    def __init__(self) -> None:
        self.offset = 0
        self.moves = False

    def told(self, place: Place) -> int:
        """Go on by one whenever it is asked, if it moves."""
        assert place == PLACE
        self.offset += self.moves
        return self.offset


class Looked:
    """A store that has no outcome and counts who looks."""

    def __init__(self) -> None:
        self.looks = 0

    async def outcome(self, request_id: str, source: str) -> Outcome | None:
        """Count a look."""
        assert (request_id, source) == ("req", "gateway/alice")
        self.looks += 1
        return None


@pytest.mark.parametrize(("moves", "looks"), [(True, 1), (False, 2)])
async def test_nobody_looks_while_the_worker_tells(*, moves: bool, looks: int) -> None:
    """Under load each look would slow the worker down that the waiters wait for; the end of the wait is looked at always.

    Seen to fail (two looks) without the question whether the place moved.
    """
    telling, looked, waiters = Telling(), Looked(), Waiters(10)
    telling.moves = moves
    submitter = Submitter(
        publisher=cast("Publisher", telling),
        catalogue=Catalogue(),
        secret=b"",
        waiters=waiters,
        reads=cast("Reads", looked),
        answers=cast("Answers", None),
        bounds=Bounds(1.0, 1),
    )
    with waiters.waiting_for("req") as waiter:
        assert waiter is not None
        deadline = time.monotonic() + 0.35
        assert await submitter.outcome("req", "gateway/alice", waiter, deadline, PLACE) is None
        assert looked.looks == looks
        waiters.answer("req", ANSWER)
        assert await submitter.outcome("req", "gateway/alice", waiter, deadline + 1, PLACE) == ANSWER
        assert looked.looks == looks
