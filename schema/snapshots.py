"""Read all that a batch is decided on, but orders and payments, in one statement: one round trip, and of one instant."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from asyncpg.pool import PoolConnectionProxy

from schema import queries
from schema.rows import Hold, Pool, Resource, ResourceKey
from topics.resources import Counters, HoldStatus, Settings

_settings: Final = msgspec.json.Decoder(Settings)
_units: Final = msgspec.json.Decoder(dict[str, int])

Buyer = tuple[ResourceKey, str]
"""Who holds on a resource."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is deduplicated, with the id of the request that it would make."""

    source: str
    claim_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a batch needs to see of its resources, `keys`.

    `pools` by name, None: all of the resource; `claimed_of` are the resources of which it needs also the pools that their
    holds claim. Of the holds that are over the oldest, `due_max` of each resource. `refused` are ids of requests that may
    have asked for a hold in vain. With `needs_deadlines` the first deadline of each resource.
    """

    keys: Collection[ResourceKey]
    claims: Sequence[Claim] = ()
    pools: Mapping[ResourceKey, Collection[str] | None] = field(default_factory=dict)
    claimed_of: Collection[ResourceKey] = ()
    hold_ids: Collection[str] = ()
    due_max: int = 0
    refused: Collection[str] = ()
    buyers: Collection[Buyer] = ()
    needs_deadlines: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """A request that has its outcome already."""

    request_id: str
    source: str
    claim_id: str
    owns_claim: bool
    events: str
    step_of: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedHold:
    """A request for a hold that was refused: on which resource, whose it was, and why."""

    key: ResourceKey
    request_id: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was there, by Postgres's clock at `now`. Only what exists is named.

    `decided` are the requests of these claims, those that own them, and the steps that were taken for them, in their order.
    """

    now: datetime
    resources: Mapping[ResourceKey, Resource]
    decided: Sequence[Decided]
    pools: Sequence[tuple[ResourceKey, str, Pool]]
    with_due_sales: Collection[ResourceKey]
    due_holds: Sequence[tuple[ResourceKey, Hold]]
    named_holds: Sequence[tuple[ResourceKey, Hold]]
    refused: Sequence[RefusedHold]
    live_holds: Mapping[Buyer, int]
    due_at: Mapping[ResourceKey, datetime]

    @property
    def until(self) -> datetime:
        """The latest arrival that the batch may have: what ends until then is over.

        After a failover Postgres's clock may be behind an arrival that is stored already, and arrivals never go back.
        """
        return max([self.now, *(resource.last_arrived_at for resource in self.resources.values())])


async def read_snapshot(connection: PoolConnectionProxy, wanted: Wanted) -> Snapshot:
    """Read it."""
    keys = list(wanted.keys)
    named = [(key, name) for key, names in wanted.pools.items() for name in names or ()]
    (row,) = await connection.fetch(
        queries.READ_BATCH,
        *columns_of(keys),
        [wanted.pools.get(key, ()) is None for key in keys],
        [key in wanted.claimed_of for key in keys],
        wanted.due_max,
        [claim.request_id for claim in wanted.claims],
        [claim.source for claim in wanted.claims],
        [claim.claim_id for claim in wanted.claims],
        *columns_of([key for key, _ in named]),
        [name for _, name in named],
        list(wanted.hold_ids),
        list(wanted.refused),
        *columns_of([key for key, _ in wanted.buyers]),
        [buyer for _, buyer in wanted.buyers],
        wanted.needs_deadlines,
    )
    now, resources, decided, pools, with_due_sales, due_holds, named_holds, refused, live_holds, due_at = row
    return Snapshot(
        now=now,
        resources=dict(map(_resource, resources or ())),
        decided=[Decided(*one) for one in decided or ()],
        pools=[pool_of(one) for one in pools or ()],
        with_due_sales={ResourceKey(*one) for one in with_due_sales or ()},
        due_holds=[_hold(one) for one in due_holds or ()],
        named_holds=[_hold(one) for one in named_holds or ()],
        refused=[RefusedHold(ResourceKey(kind, resource_id), *one) for kind, resource_id, *one in refused or ()],
        live_holds={(ResourceKey(*key), buyer): count for *key, buyer, count in live_holds or ()},
        due_at={ResourceKey(*key): first for *key, first in due_at or ()},
    )


def columns_of(keys: Collection[ResourceKey]) -> tuple[list[str], list[str]]:
    """Return keys as the columns that `unnest` takes."""
    return [key.kind for key in keys], [key.resource_id for key in keys]


def pool_of(row: Sequence[Any]) -> tuple[ResourceKey, str, Pool]:
    """Read a pool from its columns."""
    kind, resource_id, name, *units = row
    return ResourceKey(kind, resource_id), name, Pool(*units)


def _resource(row: Sequence[Any]) -> tuple[ResourceKey, Resource]:
    kind, resource_id, version, settings, *counters, last_arrived_at, written_by = row
    resource = Resource(version, _settings.decode(settings), Counters(*counters), last_arrived_at, written_by)
    return ResourceKey(kind, resource_id), resource


def _hold(row: Sequence[Any]) -> tuple[ResourceKey, Hold]:
    """Read a hold; its columns are in the order of the fields."""
    kind, resource_id, hold_id, account, token_hash, buyer, client_reference, status, quantity, units, *rest = row
    hold = Hold(
        hold_id,
        account,
        token_hash,
        buyer,
        client_reference,
        HoldStatus(status),
        quantity,
        _units.decode(units),
        *rest,
    )
    return ResourceKey(kind, resource_id), hold
