"""What a worker asks of the broker before it takes a single command."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tests.installation import Installation
from tests.servers import Urls
from topics.admin import PARTITIONS, Unlike, create_topics, disagreements, settle_topics
from topics.catalogue import Catalogue, Topic


@dataclass(frozen=True)
class Altered(Catalogue):
    """The catalogue of somebody who made the topics by hand: the first command topic has one setting of its own."""

    name: str = ""
    setting: str = ""
    value: str | int = ""

    def topics(self) -> Iterator[Topic]:
        """Yield each topic, one of them altered or, with no value, left out."""
        for topic in super().topics():
            if topic.name != self.name:
                yield topic
            elif self.value:
                yield replace(topic, **{self.setting: self.value})  # type: ignore[arg-type] # as the test says


def place(parent: Path, name: str) -> Path:
    """Return a new directory."""
    directory = parent / name
    directory.mkdir()
    return directory


async def refusal(urls: Urls, postgres: str, logs: Path, setting: str, value: str | int) -> str:
    """Start a worker where one topic is not as the catalogue says; return what it says when it ends."""
    one = Installation(urls, postgres, f"{logs.parent.name}.{logs.name}.", logs)
    catalogue = one.settings.catalogue()
    known = {field.name: getattr(catalogue, field.name) for field in fields(Catalogue)}
    await create_topics(urls.kafka, Altered(**known, name=catalogue.commands("slot"), setting=setting, value=value))
    try:
        worker = await one.start_worker(wait=False)
        assert await worker.wait(30) != 0
    finally:
        one.kill_all()
    said = worker.output()
    assert catalogue.commands("slot") in said
    assert catalogue.events("slot") not in said
    assert "worker starts" not in said
    return said


async def test_topics_that_are_not_the_catalogues(servers: Urls, postgres_url: str, tmp_path: Path) -> None:
    """Deadlines are judged by the log's time, partitions by a fixed count: with other topics a worker ends, saying so.

    Fails if the worker compares only names, or goes on after it found a difference.
    """
    wrong: dict[str, str | int] = {
        "timestamp_type": "CreateTime",
        "partitions": 3,
        "compression_type": "producer",
        "max_message_bytes": 1_000_000,
        "missing": "",
    }
    said = await asyncio.gather(
        *(refusal(servers, postgres_url, place(tmp_path, name), name, value) for name, value in wrong.items())
    )
    by_name = dict(zip(wrong, said, strict=True))
    assert "message.timestamp.type=CreateTime, the catalogue says LogAppendTime" in by_name["timestamp_type"]
    assert "has 3 partitions, the catalogue says 4" in by_name["partitions"]
    assert "compression.type=producer, the catalogue says uncompressed" in by_name["compression_type"]
    assert "max.message.bytes=1000000" in by_name["max_message_bytes"]
    assert "does not exist" in by_name["missing"]


async def test_topics_create_gives_existing_topics_their_settings(servers: Urls, topic_prefix: str) -> None:
    """After an upgrade that changes a topic's settings, one command mends it, once; partitions stay as they are.

    Seen to fail (the difference stays) with `alter_configs` left out.
    """
    wanted = Catalogue(prefix=topic_prefix, partitions=2, replication=1)
    topic = wanted.commands("slot")
    old = Altered(
        prefix=topic_prefix, partitions=2, replication=1, name=topic, setting="timestamp_type", value="CreateTime"
    )
    await create_topics(servers.kafka, old)
    assert len(await disagreements(servers.kafka, wanted)) == 1
    assert await settle_topics(servers.kafka, wanted) == [topic]
    assert await disagreements(servers.kafka, wanted) == []
    assert await settle_topics(servers.kafka, wanted) == []
    found = await disagreements(servers.kafka, replace(wanted, partitions=3))
    assert {(each.what, each.found, each.wanted) for each in found if isinstance(each, Unlike)} == {
        (PARTITIONS, "2", "3")
    }
    assert await settle_topics(servers.kafka, replace(wanted, partitions=3)) == []
