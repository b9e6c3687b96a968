"""Whatever a command carries, it is decided, refused or a dead letter: nothing in it makes a worker fail."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from schema.connections import Timeouts, lazy_pool
from schema.store import Store
from topics import commands
from topics.catalogue import LOG_APPEND_TIME, Catalogue
from topics.identifiers import hold_id_of, request_id
from topics.signatures import KeyRing, Scope, Signed, SigningKey, sign
from workers.applying import Applied, Applier
from workers.core.batch import Arrived
from workers.crash_points import Hooks
from workers.emitting import Emitter
from workers.reading import Incoming, Ordered, Reader, Rejected

EXAMPLES = 300
KEY = SigningKey("tests", b"k" * 32, frozenset(Scope), "")
ROOM = commands.DefineResource(resource_id="room", capacity=commands.MAX_UNITS)
HOLD = commands.Hold(resource_id="room")
HOLD_ID = hold_id_of(request_id("slot", "room", "shop", "the hold", commands.fingerprint("slot", HOLD)))
EMITTER = Emitter(Catalogue())
TEXTS = (
    "\x00", "a\x00b", "\ud800", "\udfff", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\U0010ffff" * 128, "é" * 128,
    "x" * 129, "", " ", "'; drop table holds; --", "\\u0000", "%s$1", "\u202e", "ﷺ" * 128, "{}", '"', "\\",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 1e308, 1.0, 1.5, 5, True)
INSTANTS = (
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "1e9", "infinity",
    "2026-01-01T00:00:00.123456789Z", "10000-01-01T00:00:00Z",
)  # fmt: skip
ODD: tuple[Any, ...] = (None, [], {}, [[]], "NaN", "5", "held", "confirm")
FIELDS = {name: sorted(command.__struct_fields__) for name, command in commands.COMMANDS.items()}


@dataclass(frozen=True)
class Site:
    """A worker's reader and applier on a database of their own, and the loop they run on."""

    runner: asyncio.Runner
    applier: Applier
    reader: Reader

    def apply(self, these: list[Arrived]) -> Applied:
        """Decide a batch."""
        return self.runner.run(self.applier.apply(these))


@pytest.fixture(scope="module")
def worker(module_postgres_url: str) -> Iterator[Site]:
    """Give a worker without Kafka."""
    with asyncio.Runner() as runner:
        pool = lazy_pool(module_postgres_url, connections_max=2, timeouts=Timeouts(), role="test")
        runner.run(_open(pool))
        applier = Applier(
            Store(pool).transaction,
            request_retention=timedelta(days=14),
            expiries_max=100,
            reached=Hooks().reached,
        )
        site = Site(runner, applier, Reader(KeyRing([KEY]), 1))
        decide(site, [*define(site), *read(site, incoming("Hold", commands.encode(HOLD), claim="the hold"))])
        yield site
        runner.run(pool.close())


async def _open(pool: Any) -> None:  # noqa: ANN401 - awaiting a pool opens it
    await pool


anything = some.one_of(
    *(some.sampled_from(values) for values in (TEXTS, NUMBERS, INSTANTS, ODD)),
    some.text(max_size=140),
    some.integers(),
    some.floats(),
    some.datetimes(timezones=some.timezones()).map(datetime.isoformat),
)


def usual(type_name: str) -> dict[str, Any]:
    """Return the body of a command as it may be."""
    fields = {"resource_id": "room", "hold_id": HOLD_ID, "quantity": 1, "seconds": 5, "capacity": 10}
    return {field: value for field, value in fields.items() if field in FIELDS[type_name]}


def json_of(body: dict[str, Any], *, ascii_only: bool) -> bytes:
    """Write a body; what is not ASCII escaped or as it is, half a character too."""
    return json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@some.composite
def bodies(draw: some.DrawFn) -> tuple[str, bytes]:
    """Draw a command: type and JSON, most fields as they may be and some as they may not."""
    name = draw(some.sampled_from(sorted(FIELDS)))
    body = usual(name)
    for field in draw(some.lists(some.sampled_from(FIELDS[name]), max_size=3)):
        body[field] = draw(anything)
    return name, json_of(body, ascii_only=draw(some.booleans()))


def incoming(type_name: str, value: bytes, *, claim: str, source: str = "shop", expiry: str | None = None) -> Incoming:
    """Return the signed record of a command."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", type_name.encode()),
        ("ce_source", source.encode("utf-8", "surrogatepass")),
        ("ce_id", claim.encode("utf-8", "surrogatepass")),
        ("content-type", b"application/json"),
    ]
    if expiry is not None:
        headers.append(("ce_expirytime", expiry.encode("utf-8", "surrogatepass")))
    with contextlib.suppress(UnicodeEncodeError):  # nobody can sign what is no text: that comes unsigned
        headers.append(sign(KEY, Signed("slot", b"room", type_name, source, claim, value)))
    now = datetime.now(UTC)
    return Incoming("slots.commands", "slot", 0, 0, b"room", value, headers, now, LOG_APPEND_TIME)


def read(worker: Site, *records: Incoming) -> list[Arrived]:
    """Read records as a worker does and return the commands; nothing but a dead letter may become of the others."""
    items = [item for record in records for item in worker.reader.read(record)]
    assert all(isinstance(item, Ordered | Rejected) for item in items)
    rejected = [item for item in items if isinstance(item, Rejected)]
    letters = [letter for letter in EMITTER.records(rejected, Applied((), {})) if letter.topic.endswith(".dlq")]
    assert len(letters) == sum(item.reason is not None for item in rejected)
    return [item.arrived for item in items if isinstance(item, Ordered)]


def decide(worker: Site, ordered: list[Arrived]) -> None:
    """Decide commands in one batch; none of them may make the worker fail."""
    applied = worker.apply(ordered)
    assert [culprit.traceback for culprit in applied.culprits] == []
    assert len(applied.outcomes) == len(ordered)


def define(worker: Site) -> list[Arrived]:
    """Return a command that gives the room units without end, whatever was made of it before."""
    return read(worker, incoming("DefineResource", commands.encode(ROOM), claim=str(uuid.uuid4())))


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_with_each_strange_value(worker: Site, name: str) -> None:
    """One field at a time. Some are commands all the same: those are decided.

    Seen to fail (a culprit with `invalid byte sequence for encoding "UTF8": 0x00`) with a NUL allowed in texts.
    """
    records = [
        incoming(
            name, json_of(usual(name) | {field: value}, ascii_only=ascii_only), claim=f"{field} {number} {ascii_only}"
        )
        for field in FIELDS[name]
        for number, value in enumerate((*TEXTS, *NUMBERS, *INSTANTS, *ODD, float("nan"), float("inf"), "x" * 60_000))
        for ascii_only in (True, False)
    ]
    decide(worker, [*define(worker), *read(worker, *records)])


@pytest.mark.parametrize("attribute", ["source", "claim", "expiry"])
def test_each_attribute_with_each_strange_value(worker: Site, attribute: str) -> None:
    """Who asks, for what claim, and until when."""
    records = [
        incoming("Hold", json_of(usual("Hold"), ascii_only=True), **{"claim": f"{attribute} {number}", attribute: text})
        for number, text in enumerate((*TEXTS, *INSTANTS))
    ]
    ordered = read(worker, *records)
    assert ordered, "some of them are commands"
    decide(worker, [*define(worker), *ordered])


attributes = some.one_of(some.uuids().map(str), some.uuids().map(str), some.text(max_size=255))


@given(
    records=some.lists(
        some.tuples(bodies(), attributes, attributes, some.one_of(some.none(), some.sampled_from(INSTANTS))),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_value_makes_a_worker_fail(worker: Site, records: list[Any]) -> None:
    """Text with NUL or half a character, numbers beyond all bounds, years that no date has: no culprit, nothing raised."""
    ordered = read(
        worker,
        *(
            incoming(type_name, value, source=source, claim=claim, expiry=expiry)
            for (type_name, value), source, claim, expiry in records
        ),
    )
    decide(worker, [*define(worker), *ordered])
