"""Broadcasts of seats by Server-Sent Events, on real Kafka and Postgres: nobody misses anything, whatever comes between."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.box_office import TOKEN, BoxOffice
from tests.installation import Client, installation
from tests.integration.expectations import problem
from tests.listening import listening
from tests.servers import Urls
from topics.commands import Cancel, Confirm
from topics.producer import ResilientProducer
from topics.seating import Row

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROW = Row(row="A", seats=5, blocked=(5,))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[BoxOffice]:
    """Give a box office of an installation with a worker and a gateway."""
    async with installation(servers, module_postgres_url, logs) as site:
        await site.start_worker()
        await site.start_gateway()
        producer = ResilientProducer(site.urls.kafka, client_id="tests")
        yield BoxOffice(site, producer)
        await producer.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(office: BoxOffice) -> AsyncIterator[Client]:
    """Give a client of the gateway."""
    async with office.site.client() as client:
        yield client


async def test_e74_e77_a_snapshot_and_then_each_change(office: BoxOffice, page: Client) -> None:
    """Once per seat, in order, with the topic's own data; a refused hold of several tells nothing, nobody is named.

    Fails if a hold's own versions count as gaps: there would be a second snapshot.
    """
    screening = await office.define(ROW)
    await office.hold(screening, "A1")
    async with listening(page.session, screening) as one:
        (first,) = one.told
        assert first.data["seats"] == {"free": ["A2", "A3", "A4"], "held": ["A1"], "taken": [], "blocked": ["A5"]}
        hold_id = await office.hold(screening, "A2", "A3", buyer="ann")
        await office.hold(screening, "A3", "A4")
        await office.ask(Confirm(resource_id=screening, hold_id=hold_id, token_hash=TOKEN))
        await office.ask(Cancel(resource_id=screening, hold_id=hold_id, token_hash=TOKEN, seats=("A3",)))
        await one.until("held A2", "held A3", "taken A2", "taken A3", "released A3")
        assert len(one.told) == 6
        assert one.seats == {"A1": "held", "A2": "taken", "A3": "free", "A4": "free", "A5": "blocked"}
        topic = {data["version"]: (kind, data) for kind, data in await office.told(screening)}
        assert [topic[each.version] for each in one.told[1:]] == [(each.event, each.data) for each in one.told[1:]]
    assert "ann" not in str(one.told)
    assert TOKEN not in str(one.told)


async def test_there_is_no_such_screening(page: Client) -> None:
    """404 before any stream begins; a way of writing is not known here."""
    problem(await page.call("GET", "/screenings/none/events"), 404, "not_found")
    problem(await page.call("GET", "/screenings/no%20id/events"), 404, "not_found")
    problem(await page.call("POST", "/screenings/none/events"), 405, "method_not_allowed")
