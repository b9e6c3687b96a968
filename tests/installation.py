"""An installation of Firmhold of a test's own: its database, topics and Redis keys, real gateways and workers as processes.

Everything that the tests do to it goes through the same doors that others use: HTTP, Kafka, SQL.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from yarl import URL

from firmhold.settings import Settings
from tests.openapi import check_answer
from tests.servers import Urls
from topics import commands, signatures
from topics.admin import admin_client, create_topics
from topics.cloudevents import Envelope
from topics.cloudevents import encode as encode_headers
from topics.log_records import Acknowledgement, Record
from topics.partitions import partition_of
from topics.producer import ResilientProducer
from topics.strangers_records import read_strangers_records

ADMIN_KEY = "admin-key-of-tests"
ALICE_KEY = "key-of-alice"
BOB_KEY = "key-of-bob"
PARTITIONS = 4
READY_SECONDS = 30.0
WORKER_UNDER_TEST = ("-m", "tests.worker_under_test")
GATEWAY_UNDER_TEST = ("-m", "tests.gateway_under_test")


class Process:
    """A gateway or a worker, started with the installation's environment; its output is kept for failures."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start it."""
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def is_running(self) -> bool:
        """Tell whether it still lives."""
        return self.popen.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.is_running:
            self.popen.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.send_signal(signal.SIGKILL)
        self.popen.wait()

    async def wait(self, seconds: float) -> int:
        """Return its exit code; fails if it does not end in time."""
        return await asyncio.wait_for(asyncio.to_thread(self.popen.wait), seconds)

    async def stop(self, seconds: float = 15.0) -> int:
        """Ask it to end and return its exit code."""
        self.send_signal(signal.SIGTERM)
        return await self.wait(seconds)

    def output(self) -> str:
        """Return what it said so far."""
        return self.log.read_text(errors="replace")


@dataclass
class Installation:
    """Where everything of one installation is."""

    urls: Urls
    postgres: str
    prefix: str
    logs: Path
    more: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    gateway_url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that its processes get."""
        return {
            "FIRMHOLD_KAFKA": self.urls.kafka,
            "FIRMHOLD_POSTGRES": self.postgres,
            "FIRMHOLD_REDIS": self.urls.redis,
            "FIRMHOLD_REDIS_PREFIX": self.prefix,
            "FIRMHOLD_TOPIC_PREFIX": self.prefix,
            "FIRMHOLD_PARTITIONS": str(PARTITIONS),
            "FIRMHOLD_REPLICATION": "1",
            "FIRMHOLD_SECRET": "secret of tests",
            "FIRMHOLD_ADMIN_KEY": ADMIN_KEY,
            "FIRMHOLD_API_KEYS": f"alice:{ALICE_KEY}:hold+trusted,bob:{BOB_KEY}:hold",
            "FIRMHOLD_SESSION_TIMEOUT_SECONDS": "3",
            "FIRMHOLD_LOG_FORMAT": "json",
            **self.more,
        }

    @property
    def settings(self) -> Settings:
        """Return the settings that its processes see."""
        known = {name.removeprefix("FIRMHOLD_").lower(): text for name, text in self.environment.items()}
        return Settings.model_validate(known)

    async def create_topics(self) -> None:
        """Create its topics."""
        await create_topics(self.urls.kafka, self.settings.catalogue())

    async def start_worker(self, *arguments: str, wait: bool = True, **more: str) -> Process:
        """Start a worker, by default waiting until it is ready; `arguments` go to tests.worker_under_test."""
        port = free_port()
        program = (*WORKER_UNDER_TEST, *arguments) if arguments else ("-m", "firmhold.cli", "worker")
        process = self._start(program, "worker", {"FIRMHOLD_WORKER_PORT": str(port), **more})
        if wait:
            await until_ready(f"http://127.0.0.1:{port}/readyz", process)
        return process

    async def start_gateway(self, *arguments: str, until: str = "readyz", **more: str) -> str:
        """Start a gateway, wait until it is ready and return its URL; the first one is `gateway_url`.

        `arguments` go to tests.gateway_under_test; `until` names the probe to wait for.
        """
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environment = {"FIRMHOLD_PORT": str(port), "FIRMHOLD_URL": url, **more}
        program = (*GATEWAY_UNDER_TEST, *arguments) if arguments else ("-m", "firmhold.cli", "gateway")
        process = self._start(program, "gateway", environment)
        await until_ready(f"{url}/{until}", process)
        self.gateway_url = self.gateway_url or url
        return url

    def _start(self, arguments: Sequence[str], role: str, more: Mapping[str, str]) -> Process:
        log = self.logs / f"{role}-{len(self.processes)}.log"
        process = Process(arguments, {**self.environment, **more}, log)
        self.processes.append(process)
        return process

    def kill_all(self) -> None:
        """End whatever still runs."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()

    @asynccontextmanager
    async def client(self, key: str = ALICE_KEY, url: str = "") -> AsyncIterator["Client"]:
        """Give an HTTP client that calls with a key."""
        headers = {"Authorization": f"Bearer {key}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(url or self.gateway_url, headers=headers, connector=connector) as session:
            yield Client(session)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection to its database."""
        connection = await asyncpg.connect(self.postgres)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def producer(self) -> AsyncIterator["Upstream"]:
        """Give an upstream service that produces to Kafka itself."""
        producer = ResilientProducer(self.urls.kafka, client_id="tests")
        try:
            yield Upstream(producer, self.settings)
        finally:
            await producer.stop()

    async def end_offsets(self, topic: str) -> list[int]:
        """Return where each partition of a topic ends now."""
        async with self._consumer() as consumer:
            ends = await consumer.end_offsets([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        return [ends[place] for place in sorted(ends)]

    async def records(self, topic: str) -> list[ConsumerRecord]:
        """Return all that a topic holds now, partition by partition."""
        partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        found: list[ConsumerRecord] = []
        async with self._consumer() as consumer:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition, beginning in (await consumer.beginning_offsets(partitions)).items():
                consumer.seek(partition, beginning)
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        read_strangers_records()
        consumer = AIOKafkaConsumer(bootstrap_servers=self.urls.kafka, enable_auto_commit=False, fetch_max_wait_ms=50)
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def lag(self, topic: str) -> int:
        """Return how many records of a topic the workers have not committed."""
        partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        async with admin_client(self.urls.kafka) as admin:  # first: what comes and is committed meanwhile hides nothing
            group = f"{self.prefix}{self.settings.consumer_group}"
            told = await admin.list_consumer_group_offsets(group, partitions=partitions)
        committed = {place: max(0, one.offset) for place, one in told.items()}
        consumer = AIOKafkaConsumer(bootstrap_servers=self.urls.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        # A coordinator that was just started tells nothing of any partition until it has read its own topic.
        return sum(ends[partition] - committed.get(partition, 0) for partition in partitions)

    async def is_worked_off(self, kind: str = "slot") -> bool:
        """Tell whether every command of a kind is acknowledged: then its events were sent. An answer may come before."""
        return await self.lag(self.settings.catalogue().commands(kind)) == 0


class Client:
    """An HTTP client of the API."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Use a session with the base URL and the key."""
        self.session = session

    async def call(self, method: str, path: str | URL, **options: Any) -> "Reply":  # noqa: ANN401 - aiohttp's options
        """Send a request and read all of the answer, which must be one that openapi.json describes."""
        async with self.session.request(method, path, **options) as response:
            body = await response.read()
            is_json = response.content_type.endswith("json")
            told = await response.json(content_type=None) if is_json and body else {}
            check_answer(method, response.url.raw_path, response.status, response.content_type, told)
            return Reply(response.status, told, response)

    async def hold(self, slot: str, key: str = "", wait: int = 30, **body: Any) -> "Reply":  # noqa: ANN401
        """Hold units of a slot."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Prefer": f"wait={wait}"}
        return await self.call("POST", f"/slots/{slot}/hold", json=body, headers=headers)

    async def define(self, slot: str, capacity: int, **settings: Any) -> "Reply":  # noqa: ANN401
        """Define a slot, as the admin."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Prefer": "wait=30"}
        return await self.call("PUT", f"/slots/{slot}", json={"capacity": capacity, **settings}, headers=headers)


@dataclass(frozen=True)
class Reply:
    """An answer: status, JSON body, and the response for its headers."""

    status: int
    body: Any
    response: aiohttp.ClientResponse

    @property
    def reason(self) -> str:
        """Return the last segment of the problem's type."""
        return str(self.body["type"]).rpartition("/")[2]


class Upstream:
    """A service that writes commands to Kafka itself, signed or not."""

    def __init__(self, producer: ResilientProducer, settings: Settings) -> None:
        """Write to the topics of these settings."""
        self.producer = producer
        self.settings = settings
        self.catalogue = settings.catalogue()

    def record(
        self,
        command: commands.Command,
        *,
        source: str = "upstream/tests",
        command_id: str = "",
        signing_key: signatures.SigningKey | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        kind: str = "slot",
    ) -> Record:
        """Return the record of a command for a resource of a kind."""
        envelope = Envelope(
            type=type(command).__name__,
            source=source,
            id=command_id or str(uuid.uuid4()),
            data=commands.encode(command),
        )
        key = command.resource_id.encode() if key is None else key
        headers = encode_headers(envelope, "commands")
        if signing_key is not None:
            signed = signatures.Signed(kind, key, envelope.type, envelope.source, envelope.id, envelope.data)
            headers.append(signatures.sign(signing_key, signed))
        return Record(self.catalogue.commands(kind), key, envelope.data, headers, partition)

    async def send(self, *records: Record) -> Sequence[Acknowledgement]:
        """Put records on their topic, as they are."""
        return await self.producer.send_all(records)

    def home(self, resource_id: str) -> int:
        """Return the partition of a resource."""
        return partition_of(resource_id.encode(), PARTITIONS)

    @property
    def gateway_key(self) -> signatures.SigningKey:
        """Return the key that gateways sign with."""
        return signatures.gateway_key(self.settings.installation_secret())


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_ready(url: str, process: Process) -> None:
    """Return when the probe says ready; fails with the process's output if it does not come."""
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline and process.is_running:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
    message = f"{url} did not become ready:\n{process.output()[-4000:]}"
    raise AssertionError(message)


async def eventually(condition: Callable[[], Any], *, seconds: float = 20.0, what: str = "") -> Any:  # noqa: ANN401
    """Return the first true value of an (async) condition; fails if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            message = f"in {seconds} s it did not happen: {what or condition}"
            raise AssertionError(message)
        await asyncio.sleep(0.05)


@asynccontextmanager
async def installation(urls: Urls, postgres: str, logs: Path, **more: str) -> AsyncIterator[Installation]:
    """Give an installation with topics and nothing running yet; ends all its processes."""
    one = Installation(urls, postgres, f"t{uuid.uuid4().hex[:12]}.", logs, more)
    await one.create_topics()
    try:
        yield one
    finally:
        one.kill_all()
