"""The core against an independent model, over random histories: batches, clocks that step, copies, keys used twice.

After each history the same log is decided again, differently cut into batches: that must change nothing at all.
"""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.builders import at
from tests.unit.histories import (
    NOBODY_S,
    RESOURCES,
    Sent,
    asks,
    check_history,
    definitions,
    lateness,
    named,
    numbers,
    passing,
    plain,
    ruled,
    sources,
    tokens,
    verbs,
    wishes,
)
from tests.unit.ledger import Ledger
from tests.unit.reference_model import Ask, Asked, Definition, Model, Name, OfHold, Sweep
from tests.unit.scenario import Scenario
from topics import events
from workers.core.batch import Arrived

ALICE = "gateway/alice"


class Histories(RuleBasedStateMachine):
    """Random histories of two resources."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario()
        self.model = Model()
        self.now = 0
        self.sent: list[Sent] = []
        self.names: list[Name] = [NOBODY_S]
        self.pending: list[Sent] = []
        self.log: list[tuple[int, list[Arrived], bool]] = []
        self.offset = 0

    @initialize(room=plain, hall=plain | ruled)
    def first(self, room: Definition, hall: Definition) -> None:
        """Begin with resources, so that few histories are of nothing; one of them may take what is not there yet."""
        self._send(ALICE, Asked("hall"), 0, None)
        self._send(ALICE, replace(room, resource="room"), 0, None)
        self._send(ALICE, replace(hall, resource="hall"), 0, None)
        self.decide_what_waits()

    @rule(several=st.lists(st.tuples(sources, asks, lateness, wishes), min_size=1, max_size=5))
    def hold(self, several: list[tuple[str, Asked, int, int | None]]) -> None:
        """Send holds under new keys."""
        for source, ask, late, wish in several:
            self._send(source, ask, late, wish)

    @rule(data=st.data(), several=st.lists(st.tuples(verbs, numbers, tokens, lateness), min_size=1, max_size=4))
    def of_holds(self, data: st.DataObject, several: list[tuple[str, int, str | None, int]]) -> None:
        """Send commands of holds that were asked for, mostly by who asked for them."""
        for verb, number, token, late in several:
            name = data.draw(st.sampled_from(self.names))
            source = data.draw(st.sampled_from([name.source] * 3) | sources)
            self._send(source, self._of(name, verb, number, token), late, None)

    @rule(data=st.data(), what=st.tuples(verbs, numbers, tokens), source=sources, resource=named, wish=wishes)
    def of_any_hold(
        self, data: st.DataObject, *, what: tuple[str, int, str | None], source: str, resource: str, wish: int | None
    ) -> None:
        """Send a command of a hold that may be of another resource, or that nobody waits for any more."""
        name = data.draw(st.sampled_from(self.names))
        self._send(source, replace(self._of(name, *what), resource=resource), 0, wish)

    @rule(ask=asks, several=st.lists(st.tuples(verbs, numbers), min_size=1, max_size=3))
    def pipeline(self, ask: Asked, several: list[tuple[str, int]]) -> None:
        """Send a hold and, without waiting for it, what is to become of it."""
        self._send(ALICE, ask, 0, None)
        for verb, number in several:
            self._send(ALICE, self._of(self.names[-1], verb, number, None), 0, None)

    @rule(resource=named, late=lateness)
    def sweep(self, resource: str, late: int) -> None:
        """Send the sweeper's command, early or late."""
        self._send("worker/sweeper", Sweep(resource), late, None)

    @rule(definition=definitions, late=lateness)
    def define(self, definition: Definition, late: int) -> None:
        """Send a definition under a new key."""
        self._send(ALICE, definition, late, None)

    @rule(data=st.data(), late=lateness)
    def send_again(self, data: st.DataObject, late: int) -> None:
        """Send an earlier command once more: it is another record, with a time of its own."""
        earlier = data.draw(st.sampled_from(self.sent))
        self._keep(replace(earlier, appended=self.now - late))

    @rule(data=st.data(), ask=asks | definitions)
    def use_a_key_again(self, data: st.DataObject, ask: Asked | Definition) -> None:
        """Send something else, or by chance the same, under an earlier key."""
        earlier = data.draw(st.sampled_from(self.sent))
        self._keep(Sent(earlier.source, earlier.claim, ask, self.now, None))

    @rule(seconds=passing)
    def wait(self, seconds: int) -> None:
        """Let time pass; what was sent becomes a backlog."""
        self.now += seconds

    @rule(seconds=passing)
    def decide_and_wait(self, seconds: int) -> None:
        """Let time pass for what was decided."""
        self.decide_what_waits()
        self.now += seconds

    @rule()
    def decide_what_waits(self) -> None:
        """Decide all that was sent since the last time in one batch, and compare each outcome."""
        batch = [self._arrived(sent) for sent in self.pending]
        outcomes = self.scenario.ledger.apply(batch, at(self.now)).outcomes
        self.log.append((self.now, batch, False))
        for sent, outcome in zip(self.pending, outcomes, strict=True):
            self._compare(self.model.submit(sent.given(self.now)), self.scenario.result(outcome))
        self.pending.clear()

    @precondition(lambda self: len(self.sent) % 4 == 0)
    @rule(data=st.data(), ask=asks, verb=verbs, number=numbers)
    def fail(self, data: st.DataObject, ask: Asked, verb: str, number: int) -> None:
        """Let a command make the worker fail, as Postgres would by a CHECK."""
        self.decide_what_waits()
        of_hold = self._of(data.draw(st.sampled_from(self.names)), verb, number, None)
        self._send(ALICE, ask if data.draw(st.booleans()) else of_hold, 0, None)
        sent = self.pending.pop()
        command = self._arrived(sent)
        outcome = self.scenario.ledger.fail(command, at(self.now)).outcomes[0]
        self.log.append((self.now, [command], True))
        self._compare(self.model.submit(sent.given(self.now), fails=True), self.scenario.result(outcome))

    @invariant()
    def counters_are_the_sums(self) -> None:
        """And the ceiling is what is out where that is more than there is."""
        self.scenario.ledger.check_sums()

    def teardown(self) -> None:
        """Check the whole history, then decide it again in other batches, then deliver all of it once more."""
        self.decide_what_waits()
        for resource in RESOURCES:
            check_history(self.scenario.ledger, resource)
        for size in (1, 2, 1000):
            assert decided_again(self.log, size) == self.scenario.ledger
        before = {name: request.events for name, request in self.scenario.ledger.requests.items()}
        for _, batch, _ in self.log:
            for outcome in self.scenario.ledger.apply(batch, at(self.now + 1)).outcomes:
                assert outcome.repeated
                assert outcome.events is not None
                assert events.encode_stored(list(outcome.events)) == before[outcome.arrived.request_id]
        assert decided_again(self.log, 3) == self.scenario.ledger

    @staticmethod
    def _of(name: Name, verb: str, number: int, token: str | None) -> OfHold:
        counted = number if verb in {"extend", "change"} else 0
        return OfHold(verb, name.asked.resource, name, counted, token)

    def _send(self, source: str, ask: Ask, late: int, wish: int | None) -> None:
        wanted_until = None if wish is None else self.now + wish
        self._keep(Sent(source, f"k{len(self.sent)}", ask, self.now - late, wanted_until))

    def _keep(self, sent: Sent) -> None:
        self.sent.append(sent)
        self.pending.append(sent)
        if isinstance(sent.ask, Asked):
            self.names.append(Name(sent.source, sent.claim, sent.ask))

    def _arrived(self, sent: Sent) -> Arrived:
        self.offset += 1
        command = sent.arrived(self.offset)
        self.scenario.claims[command.request_id] = sent.claim
        return command

    @staticmethod
    def _compare(expected: tuple[list[str], dict[str, str]], actual: tuple[list[str], dict[str, str]]) -> None:
        (words, numbers_of_model), (its_words, its_numbers) = expected, actual
        assert its_words == words
        assert {name: its_numbers.get(name) for name in numbers_of_model} == numbers_of_model


def decided_again(log: list[tuple[int, list[Arrived], bool]], size: int) -> Ledger:
    """Decide a log from the start, in batches of at most `size`, each command at the time at which it was decided."""
    ledger = Ledger()
    for now, batch, failed in log:
        if failed:
            ledger.fail(batch[0], at(now))
            continue
        for first in range(0, len(batch), size):
            ledger.apply(batch[first : first + size], at(now))
    return ledger


Histories.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestHistories = Histories.TestCase
