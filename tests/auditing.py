"""An audit of an installation from outside: what Postgres and the topics say must agree, command by command."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

import asyncpg
import msgspec
from aiokafka import ConsumerRecord

from tests.installation import Installation, eventually
from topics.events import decode_stored

Claim = tuple[str, str]


@dataclass
class Told:
    """What the event topic says."""

    by_id: dict[str, bytes] = field(default_factory=dict)
    headers_by_id: dict[str, dict[str, str]] = field(default_factory=dict)
    answers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    versions_of: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    rejected: set[Claim] = field(default_factory=set)


async def audit(site: Installation, claims: Collection[Claim], kind: str = "slot") -> Told:
    """Assert that each of the claims was decided once, and that rows, counters and events agree, all being of one kind.

    Nothing lost: each claim has its request, and each request its answering event. Nothing twice: one owner a claim, one
    hold a granted request, units add up; each request has one answer, and what was told of it is what its row keeps.
    Events that were sent again are the same word for word, and their first appearances are in version order without gaps.
    """
    async with site.database() as database:
        told: Told = await eventually(lambda: _all_told(site, database, kind), what="each request is answered")
        await _audit_requests(database, claims, told)
        await _audit_counters(database)
        await _audit_versions(database, told)
    return told


async def _all_told(site: Installation, database: asyncpg.Connection, kind: str) -> Told | None:
    """Return what the topic says once it has all stored events: they are sent after their batch is committed."""
    rows = await database.fetch("select events from requests")
    told = read_events(await site.records(site.settings.catalogue().events(kind)))
    stored = {event.id for row in rows for event in decode_stored(row["events"])}
    return told if stored <= told.by_id.keys() else None


async def _audit_requests(database: asyncpg.Connection, claims: Collection[Claim], told: Told) -> None:
    rows = await database.fetch("select request_id, source, claim_id, owns_claim, command, events from requests")
    owners = [(row["source"], row["claim_id"]) for row in rows if row["owns_claim"]]
    assert len(owners) == len(set(owners)), "a claim has two owners"
    lost = set(claims) - set(owners)
    assert not lost, f"{len(lost)} commands were lost, for example {sorted(lost)[:3]}"
    silent = {row["request_id"] for row in rows if row["command"] != "Expire"} - told.answers.keys()
    assert not silent, f"{len(silent)} requests were never answered, for example {sorted(silent)[:3]}"
    contradicted = [request_id for request_id, ids in told.answers.items() if len(ids) > 1]
    assert not contradicted, f"{len(contradicted)} requests have two answers, for example {contradicted[:3]}"
    stored = {event.id: bytes(event.data) for row in rows for event in decode_stored(row["events"])}
    assert told.by_id == stored, "what was told is not what is stored"
    unbacked = await database.fetchval(
        """
        select count(*) from requests r
        full join holds h on h.hold_id = 'hold_' || substr(r.request_id, 5)
        where (r.command = 'Hold' and r.reason is null) is distinct from (h.hold_id is not null)
          and (h.hold_id is not null or (r.command = 'Hold' and r.reason is null))
        """
    )
    assert unbacked == 0, "requests and holds do not match one to one"
    unbacked = await database.fetchval(
        """
        select count(*) from (select * from requests where command = 'PlaceOrder' and reason is null) r
        full join orders o on o.order_id = 'order_' || substr(r.request_id, 5)
        full join (select * from holds where status = 'used') h on h.hold_id = o.hold_id and h.order_id = o.order_id
        where num_nonnulls(r.request_id, o.order_id, h.hold_id) <> 3
        """
    )
    assert unbacked == 0, "requests, orders and used holds do not match one to one"


async def _audit_counters(database: asyncpg.Connection) -> None:
    wrong = await database.fetch(
        """
        select r.resource_id, r.capacity, r.held, r.taken, p.held as pool_held, coalesce(h.held, 0), coalesce(h.taken, 0)
        from resources r
        join pools p using (kind, resource_id)
        left join (
            select kind, resource_id, sum(units) filter (where where_ = 'held') as held,
                   sum(units) filter (where where_ in ('taken', 'confirmed')) as taken
            from (
                select kind, resource_id, (units ->> 'units')::bigint as units, status as where_ from holds
                union all
                select kind, resource_id, (units ->> 'units')::bigint, units_are from orders
            ) as claims
            group by kind, resource_id
        ) h using (kind, resource_id)
        where r.held <> p.held or p.held <> coalesce(h.held, 0) or r.held + r.taken > p.ceiling
           or r.taken <> p.taken or p.taken <> coalesce(h.taken, 0)
        """
    )
    assert not wrong, f"counters and rows disagree: {wrong[:3]}"


async def _audit_versions(database: asyncpg.Connection, told: Told) -> None:
    for row in await database.fetch("select resource_id, version from resources"):
        versions = told.versions_of[row["resource_id"]]
        assert versions == list(range(1, row["version"] + 1)), f"{row['resource_id']}: versions {versions[:20]}"


class _Versioned(msgspec.Struct):
    resource_id: str
    version: int


def read_events(records: Collection[ConsumerRecord]) -> Told:
    """Read the events in their order; one seen again must be the same word for word."""
    told = Told()
    for record in records:
        headers = {name: content.decode() for name, content in record.headers}
        if headers["ce_type"] == "record.rejected":
            continue
        headers.pop("ce_traceparent", None)  # a copy of the command may be of another trace
        known = told.by_id.setdefault(headers["ce_id"], record.value)
        assert known == record.value, f"event {headers['ce_id']} was sent again with other words"
        known_headers = told.headers_by_id.setdefault(headers["ce_id"], headers)
        assert known_headers == headers, f"event {headers['ce_id']} was sent again with other headers"
        if "ce_correlationid" in headers:
            told.answers[headers["ce_correlationid"]].add(headers["ce_id"])
        if headers["ce_type"] != "request.refused":
            _note_version(told, record.value)
    return told


def _note_version(told: Told, value: bytes) -> None:
    event = msgspec.json.decode(value, type=_Versioned)
    versions = told.versions_of[event.resource_id]
    if event.version not in versions:
        versions.append(event.version)
