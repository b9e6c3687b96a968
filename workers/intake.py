"""Faust as we use it: group membership, assignment, offsets. An agent hands events on and does nothing else.

Why so little: every convenience of Faust's streams acknowledges what nobody has seen when something raises (see
docs/decisions/0003). Events are taken un-acknowledged, offsets are acknowledged by the pipeline in their order.
"""

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import faust
from faust.types import EventT

from topics.catalogue import KINDS, Catalogue
from topics.packed_fetches import pack_fetches
from topics.strangers_records import read_strangers_records
from workers.delivering import DirectStream, deliver_directly
from workers.inbox import Delivery
from workers.reading import Incoming

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 200_000_000_000_000  # in the year 8307
_STREAM_EVENTS_MAX = 1024
_COMMIT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class FaustDelivery:
    """An event of Faust's as the pipeline sees it."""

    app: faust.App
    event: EventT[Any]
    incoming: Incoming

    def is_ours(self) -> bool:
        """Tell whether the event is of the current generation and its partition still assigned to us."""
        message = self.event.message
        return message.generation_id == self.app.consumer_generation_id and message.tp in self.app.consumer.assignment()

    def acknowledge(self) -> None:
        """Let Faust commit the offset at its next interval."""
        self.event.ack()


@dataclass(frozen=True, slots=True)
class Group:
    """Who we are to Kafka."""

    bootstrap_servers: str
    name: str
    session_timeout_seconds: float


def make_app(group: Group) -> faust.App:
    """Return an app with every setting that could lose or delay a command set as measured (docs/decisions/0003)."""
    read_strangers_records()
    pack_fetches()
    app = faust.App(
        group.name,
        broker=[f"kafka://{server}" for server in group.bootstrap_servers.split(",")],
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / "firmhold-faust",
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        stream_wait_empty=False,
        web_enabled=False,
        broker_commit_interval=_COMMIT_SECONDS,
        broker_commit_every=10_000,
        broker_session_timeout=group.session_timeout_seconds,
        broker_heartbeat_interval=group.session_timeout_seconds / 4,
        stream_buffer_maxsize=_STREAM_EVENTS_MAX,
        consumer_auto_offset_reset="earliest",
        Stream=DirectStream,
    )
    deliver_directly(app)
    return app


def take_in(app: faust.App, catalogue: Catalogue, put: Callable[[Delivery], Awaitable[None]]) -> None:
    """Let an agent per command topic hand each event to `put`, un-acknowledged."""
    for kind in KINDS:
        topic = app.topic(
            catalogue.commands(kind),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        app.agent(topic, name=f"intake-{kind}")(_intake(app, kind, put))


def _intake(app: faust.App, kind: str, put: Callable[[Delivery], Awaitable[None]]) -> Any:  # noqa: ANN401 - Faust's
    async def intake(stream: Any) -> None:  # noqa: ANN401 - Faust's interface has its own streams only
        async for event in stream.unacknowledged():
            await put(FaustDelivery(app, event, _incoming(event, kind)))

    return intake


def _instant(timestamp_seconds: float) -> datetime:
    """Return the time of a record. A producer's own may be absurd: it must not raise here, and is not believed later."""
    milliseconds = min(max(round(timestamp_seconds * 1000), 0), _LATEST_MS)
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _incoming(event: EventT[Any], kind: str) -> Incoming:
    message = event.message
    headers: Any = message.headers or []
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Incoming(
        topic=message.topic,
        kind=kind,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers=[(name, b"" if content is None else content) for name, content in pairs],
        appended_at=_instant(message.timestamp),
        timestamp_type=message.timestamp_type,
    )
