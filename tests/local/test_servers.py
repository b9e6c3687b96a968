"""The servers under test conditions: what the fixtures promise, and stop, kill and start again of each server alone."""

import socket

import asyncpg
import psycopg
import pytest
import redis
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from firmhold.local.ports import LOOPBACK
from firmhold.local.servers import Servers
from tests.servers import Urls


async def make_topic(address: str, topic: str) -> None:
    """Create a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def publish(address: str, topic: str) -> int:
    """Publish one record with acks=all; returns its offset."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    try:
        return int((await producer.send_and_wait(topic, b"x")).offset)
    finally:
        await producer.stop()


async def test_database_is_durable_and_of_the_tests_own(postgres_url: str) -> None:
    """Durability is no tuning knob, in tests neither; and each test gets a database that others do not see."""
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert (await connection.fetchval("SELECT current_database()")).startswith("test_")
    finally:
        await connection.close()


def test_redis_database_is_empty(redis_url: str) -> None:
    """A test finds no keys of another one."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


async def test_kafka_takes_records_but_makes_no_topic_by_itself(servers: Urls, topic_prefix: str) -> None:
    """A topic exists because somebody made it."""
    topic = f"{topic_prefix}made"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka)
    await admin.start()
    try:
        described = await admin.describe_topics([topic])
        assert described[0]["error_code"] == 3, "unknown topic or partition"
    finally:
        await admin.close()
    await make_topic(servers.kafka, topic)
    assert await publish(servers.kafka, topic) == 0


@pytest.mark.parametrize("by", ["stop", "kill"])
def test_postgres_comes_back_on_its_port_with_what_was_committed(own_servers: Servers, by: str) -> None:
    """What was committed is there after an ordered stop and after a kill."""
    server = own_servers.postgres
    assert server is not None
    server.start()
    url = server.url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    getattr(server, by)()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)
    server.start()
    assert server.url == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_server_that_lost_its_port_to_another_takes_the_next(
    own_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkouts that start at the same moment find the same port free; the slower one tries again."""
    server = own_servers.redis
    assert server is not None
    real_choice = server.choose_ports
    with socket.create_server((LOOPBACK, 0)) as faster:
        taken = faster.getsockname()[1]

        def choose_too_late() -> None:
            server.port = taken
            monkeypatch.setattr(server, "choose_ports", real_choice)

        monkeypatch.setattr(server, "choose_ports", choose_too_late)
        server.start()
    assert server.port != taken


def test_redis_comes_back_on_its_port(own_servers: Servers) -> None:
    """Redis stops, starts and keeps its port."""
    server = own_servers.redis
    assert server is not None
    server.start()
    url = server.url
    server.kill()
    server.start()
    assert server.url == url
    with redis.Redis.from_url(url) as client:
        assert client.ping()


@pytest.mark.chaos
async def test_kafka_comes_back_on_its_port_with_what_was_acknowledged(own_servers: Servers) -> None:
    """Records and topics outlive an ordered stop."""
    server = own_servers.kafka
    assert server is not None
    server.start()
    address = server.url
    await make_topic(address, "kept")
    assert await publish(address, "kept") == 0
    server.stop()
    server.start()
    assert server.url == address
    assert await publish(address, "kept") == 1
