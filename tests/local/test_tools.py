"""`doctor` and `seed` on an installation that runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from firmhold.doctor import examine
from firmhold.seed import DEMO, SeedError, seed
from firmhold.settings import Settings
from tests.installation import Installation, installation
from tests.servers import Urls

pytestmark = pytest.mark.asyncio(loop_scope="module")
TIMEOUT_SECONDS = 20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    servers: Urls, module_postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Give an installation with a gateway and a worker."""
    logs: Path = tmp_path_factory.mktemp("logs")
    async with installation(servers, module_postgres_url, logs) as one:
        await one.start_worker()
        await one.start_gateway()
        yield one


def settings_of(running: Installation, **changed: object) -> Settings:
    """Return the settings that a person beside the installation has."""
    return running.settings.model_copy(update={"url": running.gateway_url, **changed})


async def complaints(settings: Settings) -> dict[str, list[str]]:
    """Return what the doctor finds wrong, by subject; the tests' own Postgres is less durable by intent."""
    findings = await examine(settings, TIMEOUT_SECONDS)
    bad = [finding for finding in findings if not finding.is_good and finding.subject != "Durability"]
    return {subject: [one.text for one in bad if one.subject == subject] for subject in {one.subject for one in bad}}


async def test_nothing_is_wrong_with_a_healthy_installation(running: Installation) -> None:
    """With the settings of its processes the doctor finds no fault."""
    assert await complaints(settings_of(running)) == {}


async def test_another_partition_count_is_one_complaint(running: Installation) -> None:
    """All nine topics are in one line, with the setting that mends it.

    Fails if each topic is told by itself, or if the advice is `topics create`.
    """
    (line,) = (await complaints(settings_of(running, partitions=64)))["Topics"]
    assert line.startswith("9 topics have 4 partitions, the catalogue says 64: ")
    assert "set FIRMHOLD_PARTITIONS" in line


async def test_a_missing_secret_is_not_a_silent_server(running: Installation) -> None:
    """What is not set is told as not set."""
    found = await complaints(settings_of(running, secret=SecretStr("")))
    assert found.keys() == {"Secret"}
    assert found["Secret"][0].startswith("FIRMHOLD_SECRET is not set")


async def test_faulty_keys_are_told_by_their_number(running: Installation) -> None:
    """Before a gateway or a worker ends because of them."""
    keys = SecretStr("topsecret")
    found = await complaints(settings_of(running, api_keys=keys, signing_keys=keys, webhook_secret=keys))
    assert found.keys() == {"Secret", "Callers", "Webhooks"}
    assert "topsecret" not in str(found)


async def test_seed_leaves_alone_what_exists(running: Installation) -> None:
    """What a person made of the demo slot outlives the next `make up`.

    Fails if seed defines without asking first.
    """
    first = await seed(settings_of(running))
    assert first == ["slot demo: capacity 100000", "slot demo-small: capacity 3", "screening demo: capacity 108"]
    async with running.client() as alice:
        await alice.define("demo", 7, title="mine")
        again = await seed(settings_of(running))
        assert again == [f"{kind} {name}: exists, left as it is" for kind, name in DEMO]
        reply = await alice.call("GET", "/slots/demo")
    assert (reply.body["capacity"], reply.body["title"]) == (7, "mine")


async def test_seed_without_the_admin_key_says_what_to_set(running: Installation) -> None:
    """The gateway's refusal is told with the setting."""
    with pytest.raises(SeedError, match=r"was answered 401(.|\n)*FIRMHOLD_ADMIN_KEY"):
        await seed(settings_of(running, admin_key=SecretStr("wrong")))
