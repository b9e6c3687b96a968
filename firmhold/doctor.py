"""Examine what an installation needs before anyone depends on it: servers, topics, timestamp type, clocks, schema."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from firmhold.settings import SettingError, Settings
from firmhold.topic_differences import folded
from gateway.callers import Callers
from gateway.webhook_secrets import read_secrets
from schema.migrate import names
from topics.admin import disagreements

SKEW_SECONDS_MAX = 1.0
_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, RedisError, OSError, TimeoutError, ValueError)
_ADVICE = {
    "Kafka": "FIRMHOLD_KAFKA must be host:port of a broker that runs",
    "Postgres": "FIRMHOLD_POSTGRES must be postgresql://user:password@host:port/database",
    "Redis": "FIRMHOLD_REDIS must be redis://host:port/database",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one subject; the text of a bad one says what to do."""

    subject: str
    is_good: bool
    text: str


async def examine(settings: Settings, timeout_seconds: float) -> list[Finding]:
    """Examine all; each subject within the timeout, so that one silent server hides no other finding."""
    subjects: tuple[tuple[str, Callable[[Settings], Awaitable[list[Finding]]]], ...] = (
        ("Kafka", _kafka),
        ("Postgres", _postgres),
        ("Redis", _redis),
        ("Secret", _secret),
        ("Callers", _callers),
        ("Webhooks", _webhooks),
    )
    found = await asyncio.gather(*(_within(timeout_seconds, name, look(settings)) for name, look in subjects))
    return [finding for findings in found for finding in findings]


async def _within(seconds: float, subject: str, looking: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await looking
    except _FAULTS as fault:
        text = f"does not answer ({type(fault).__name__}); {_ADVICE[subject]}"
        return [Finding(subject, is_good=False, text=text)]


async def _kafka(settings: Settings) -> list[Finding]:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, client_id="firmhold-doctor")
    try:
        await client.start()
        brokers = len((await client.describe_cluster())["brokers"])
    finally:
        await client.close()
    found = [Finding("Kafka", is_good=True, text=f"{brokers} broker(s) at {settings.kafka}")]
    differences = await disagreements(settings.kafka, settings.catalogue())
    if differences:
        return [*found, *(Finding("Topics", is_good=False, text=text) for text in folded(differences))]
    topics = len(list(settings.catalogue().topics()))
    text = f"{topics} topics as in the catalogue, command topics stamped by the broker (LogAppendTime)"
    return [*found, Finding("Topics", is_good=True, text=text)]


async def _postgres(settings: Settings) -> list[Finding]:
    connection = await asyncpg.connect(settings.postgres.get_secret_value())
    try:
        before = time.time()
        there = await connection.fetchval("select extract(epoch from clock_timestamp())::float8")
        skew = there - (before + time.time()) / 2
        durable = await connection.fetch(
            "select name from pg_settings where name in ('fsync', 'synchronous_commit') and setting = 'off'"
        )
        pending = await _pending_migrations(connection)
        version = await connection.fetchval("show server_version")
    finally:
        await connection.close()
    return [
        Finding("Postgres", is_good=True, text=f"version {version}"),
        _clock(skew),
        Finding("Durability", is_good=not durable, text=_durability([row["name"] for row in durable])),
        Finding(
            "Schema",
            is_good=not pending,
            text=f"run `firmhold migrate`: {', '.join(pending)}" if pending else "up to date",
        ),
    ]


def _clock(skew_seconds: float) -> Finding:
    text = (
        f"Postgres's clock differs from this machine's by {skew_seconds:+.3f} s (Kafka's, which stamps the commands, "
        "shows only in what is written: it is not compared)"
    )
    if abs(skew_seconds) <= SKEW_SECONDS_MAX:
        return Finding("Clock", is_good=True, text=text)
    return Finding(
        "Clock", is_good=False, text=f"{text}; no decision depends on it, but people compare the times: fix NTP"
    )


def _durability(off: list[str]) -> str:
    return (
        f"{' and '.join(off)} is off: what was answered could be lost; turn it on"
        if off
        else "fsync and synchronous_commit are on"
    )


async def _pending_migrations(connection: asyncpg.Connection) -> list[str]:
    """Return the names of migrations that the database has not had."""
    if await connection.fetchval("select to_regclass('_yoyo_migration')") is None:
        applied: set[str] = set()
    else:
        applied = {row["migration_id"] for row in await connection.fetch("select migration_id from _yoyo_migration")}
    return [name for name in names() if name not in applied]


async def _redis(settings: Settings) -> list[Finding]:
    client = Redis.from_url(settings.redis.get_secret_value())
    key = f"{settings.redis_prefix}doctor:{uuid.uuid4()}"
    try:
        await client.set(key, "1", ex=10)
        await client.delete(key)
        version = (await client.info("server"))["redis_version"]
    finally:
        await client.aclose()
    return [Finding("Redis", is_good=True, text=f"version {version}, takes writes")]


async def _secret(settings: Settings) -> list[Finding]:
    try:
        settings.key_ring()
    except SettingError as fault:
        return [Finding("Secret", is_good=False, text=str(fault))]
    return [Finding("Secret", is_good=True, text="set; signing keys can be read")]


async def _callers(settings: Settings) -> list[Finding]:
    try:
        Callers(settings.api_keys.get_secret_value(), settings.admin_key.get_secret_value())
    except SettingError as fault:
        return [Finding("Callers", is_good=False, text=str(fault))]
    text = "API keys can be read" if settings.api_keys.get_secret_value() else "no API keys: everybody is anonymous"
    return [Finding("Callers", is_good=True, text=text)]


async def _webhooks(settings: Settings) -> list[Finding]:
    try:
        secrets = read_secrets(settings.webhook_secret.get_secret_value(), settings.stripe_secret.get_secret_value())
    except SettingError as fault:
        return [Finding("Webhooks", is_good=False, text=str(fault))]
    text = f"{len(secrets.standard)} secrets of Standard Webhooks, {len(secrets.stripe)} of Stripe"
    return [Finding("Webhooks", is_good=True, text=text)]
