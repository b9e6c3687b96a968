"""Whatever is decided on what was kept between batches is what reading would have come to, over random histories."""

import asyncio
from dataclasses import fields, replace
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.unit.builders import arrived
from tests.unit.histories import asks, command_of, definitions, numbers, plain, tokens, verbs
from tests.unit.keeping_site import Clock, Site
from tests.unit.reference_model import Ask, Asked, Definition, Name, OfHold, Sweep
from workers.core.batch import Arrived

ALICE = "gateway/alice"


class Log:
    """Commands as they arrive, drawn one after the other."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[Arrived] = []
        self.names = [Name(ALICE, "never sent", Asked("room"))]

    def send(self, ask: Ask, late: float = 0) -> Arrived:
        """Return a command under a new claim."""
        claim = f"claim-{len(self.sent)}"
        if isinstance(ask, Asked):
            self.names.append(Name(ALICE, claim, ask))
        appended_at = self.clock.now() - timedelta(seconds=late)
        one = arrived(command_of(ask), claim=claim, source=ALICE, appended_at=appended_at, offset=len(self.sent))
        self.sent.append(one)
        return one

    def again(self, place: int) -> Arrived:
        """Return an earlier command in a record of its own."""
        return structs.replace(self.sent[place % len(self.sent)], appended_at=self.clock.now())

    def draw(self, data: st.DataObject) -> Arrived:
        """Draw the next one: mostly holds."""
        match data.draw(st.integers(0, 19)):
            case 0 | 1:
                return self.again(data.draw(st.integers(0, 99)))
            case 2 | 3 | 4:
                name = data.draw(st.sampled_from(self.names))
                verb, number, token = data.draw(st.tuples(verbs, numbers, tokens))
                return self.send(OfHold(verb, name.asked.resource, name, number, token))
            case 5:
                return self.send(Sweep("room"))
            case 6:
                return self.send(data.draw(definitions))
            case _:
                return self.send(data.draw(asks), data.draw(st.sampled_from([0, 0, 0, 0.2, 3])))


def tables_of(site: Site) -> dict[str, Any]:
    """Return all that is stored, but which transaction wrote it."""
    tables = {table.name: getattr(site.server.tables, table.name) for table in fields(site.server.tables)}
    resources = {key: {**row, "written_by": None} for key, row in tables["resources"].items()}
    return {**tables, "resources": resources}


@settings(max_examples=150)
@given(st.data(), plain, plain)
def test_what_is_kept_comes_to_what_reading_comes_to(data: st.DataObject, one: Definition, two: Definition) -> None:
    """The same batches at the same times, with and without: the same outcomes, the same rows, to the last word.

    Seen to fail with deadlines passed over, and with a limit for each buyer.
    """
    asyncio.run(_compare(data, one, two))


async def _compare(data: st.DataObject, one: Definition, two: Definition) -> None:
    clock = Clock()
    keeping, reading = Site(clock), Site(clock)
    never = count(step=100)
    reading.applier = reading.another(lambda: next(never))
    log = Log(clock)
    batch = [log.send(replace(one, resource="room")), log.send(replace(two, resource="hall"))]
    for _ in range(data.draw(st.integers(1, 8))):
        applied = await keeping.send(batch)
        assert applied.outcomes == (await reading.send(batch)).outcomes
        assert tables_of(keeping) == tables_of(reading)
        clock.wait(data.draw(st.sampled_from([0, 0.001, 0.1, 0.1, 0.3, 0.9, 5, 60, 300])))
        batch = [log.draw(data) for _ in range(data.draw(st.integers(1, 4)))]
