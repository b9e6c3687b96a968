"""Create the topics of the catalogue, and compare the broker with it. Nothing is ever created by writing to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from topics.catalogue import Catalogue, Topic

PARTITIONS: Final = "partitions"
REPLICAS: Final = "replicas"
_REQUEST_TIMEOUT_MS = 5_000
_SHOWN_AFTER_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Missing:
    """A topic of the catalogue that the broker does not have."""

    topic: str

    def __str__(self) -> str:
        return f"topic {self.topic} does not exist"


@dataclass(frozen=True, slots=True)
class Unlike:
    """A topic that the broker has otherwise: `what` is `partitions`, `replicas` or a setting by Kafka's name."""

    topic: str
    what: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"topic {self.topic} has {self.has()}"

    def has(self) -> str:
        """Return what it has, and what it should have."""
        found = f"{self.found} {self.what}" if self.what in {PARTITIONS, REPLICAS} else f"{self.what}={self.found}"
        return f"{found}, the catalogue says {self.wanted}"


Difference = Missing | Unlike


class TopicError(Exception):
    """The broker refused to create a topic; the message names it."""


@asynccontextmanager
async def admin_client(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an admin client for the length of the block."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers, client_id="firmhold-admin", request_timeout_ms=_REQUEST_TIMEOUT_MS
    )
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def create_topics(bootstrap_servers: str, catalogue: Catalogue) -> list[str]:
    """Create what is missing; return the names of what was created. Existing topics are left as they are."""
    async with admin_client(bootstrap_servers) as client:
        new = [
            NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication,
                topic_configs=topic.config(),
            )
            for topic in catalogue.topics()
        ]
        response = await client.create_topics(new)
        created = _created(response.topic_errors)
        await _until_shown("the new topics", lambda: _missing(client, catalogue))
        return created


async def settle_topics(bootstrap_servers: str, catalogue: Catalogue) -> list[str]:
    """Give existing topics the settings of the catalogue; return the names of those that had others.

    Partitions and replicas are never changed: that would move keys, or data.
    """
    async with admin_client(bootstrap_servers) as client:
        wanted = list(catalogue.topics())
        partitions = await _partitions(client, wanted)
        present = [topic for topic in wanted if topic.name in partitions]
        configs = await _configs(client, present)
        other = [topic for topic in present if _other_settings(topic, configs[topic.name])]
        if not other:
            return []
        responses = await client.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config()) for topic in other]
        )
        for code, text, _, name in (resource for response in responses for resource in response.resources):
            if code:
                refused = f"the broker did not change the settings of topic {name}: {for_code(code).__name__}"
                raise TopicError(f"{refused} {text or ''}")
        await _until_shown("the new settings", lambda: _unsettled(client, other))
    return [topic.name for topic in other]


async def _until_shown(what: str, missing: Callable[[], Awaitable[list[str]]]) -> None:
    """Wait until the broker shows what its controller accepted; it learns of it a moment later (KRaft), and tells nobody."""
    try:
        async with asyncio.timeout(_SHOWN_AFTER_SECONDS):
            while await missing():  # noqa: ASYNC110 - no broker tells when it shows what it took
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    except TimeoutError as error:
        message = f"the broker accepted {what} but did not show them within {_SHOWN_AFTER_SECONDS:g} s"
        raise TopicError(message) from error


async def _missing(client: AIOKafkaAdminClient, catalogue: Catalogue) -> list[str]:
    wanted = list(catalogue.topics())
    partitions = await _partitions(client, wanted)
    return [topic.name for topic in wanted if topic.name not in partitions]


async def _unsettled(client: AIOKafkaAdminClient, topics: list[Topic]) -> list[str]:
    configs = await _configs(client, topics)
    return [topic.name for topic in topics if _other_settings(topic, configs[topic.name])]


def _other_settings(topic: Topic, config: dict[str, str]) -> list[Difference]:
    return [
        Unlike(topic.name, name, str(config.get(name)), wanted)
        for name, wanted in topic.config().items()
        if config.get(name) != wanted
    ]


def _created(topic_errors: Iterable[tuple[str, int, str | None]]) -> list[str]:
    created = []
    for name, code, *text in topic_errors:
        if code == 0:
            created.append(name)
        elif for_code(code) is not TopicAlreadyExistsError:
            message = f"the broker did not create topic {name}: {for_code(code).__name__} {' '.join(map(str, text))}"
            raise TopicError(message)
    return created


async def disagreements(bootstrap_servers: str, catalogue: Catalogue) -> list[Difference]:
    """Return each way in which the broker's topics are not those of the catalogue; as text it is a sentence."""
    async with admin_client(bootstrap_servers) as client:
        wanted = list(catalogue.topics())
        partitions = await _partitions(client, wanted)
        present = [topic for topic in wanted if topic.name in partitions]
        configs = await _configs(client, present)
    found: list[Difference] = [Missing(topic.name) for topic in wanted if topic.name not in partitions]
    for topic in present:
        found += _differences(topic, *partitions[topic.name], configs[topic.name])
    return found


async def _partitions(client: AIOKafkaAdminClient, wanted: list[Topic]) -> dict[str, tuple[int, int]]:
    """Return partition count and least replication of the topics that exist."""
    described = await client.describe_topics([topic.name for topic in wanted])
    return {
        entry["topic"]: (len(entry["partitions"]), min(len(partition["replicas"]) for partition in entry["partitions"]))
        for entry in described
        if entry["error_code"] == 0 and entry["partitions"]
    }


async def _configs(client: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    responses = await client.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    )
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in responses
        for resource in response.resources
    }


def _differences(topic: Topic, partitions: int, replication: int, config: dict[str, str]) -> list[Difference]:
    found: list[Difference] = []
    if partitions != topic.partitions:
        found.append(Unlike(topic.name, PARTITIONS, str(partitions), str(topic.partitions)))
    if replication < topic.replication:
        found.append(Unlike(topic.name, REPLICAS, str(replication), str(topic.replication)))
    return found + _other_settings(topic, config)
