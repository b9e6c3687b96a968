"""Define a resource: create it, or replace its settings and the capacities of its pools."""

import msgspec
from msgspec.structs import replace

from schema.rows import Pool, Resource
from topics import commands, events
from topics.resources import Counters, Settings
from workers.core.kinds import Kind
from workers.core.state import Draft, Fact
from workers.core.telling import No


def define(draft: Draft, command: commands.DefineResource) -> No | None:
    """Define the resource of the draft; what is left out returns to the default of its kind."""
    mismatch = _mismatch(draft, command)
    if mismatch is not None:
        return No("version_mismatch", mismatch)
    settings = _settings(draft.kind, command)
    created = draft.resource is None
    if draft.resource is None:
        draft.resource = Resource(0, settings, Counters(), draft.arrived_at)
    else:
        draft.resource = replace(draft.resource, settings=settings)
    _resize_pools(draft, draft.kind.capacities(command))
    version = draft.next_version()
    data = events.ResourceDefined(
        resource_id=command.resource_id,
        version=version,
        created=created,
        settings=settings,
        counters=draft.counters(),
        arrived_at=draft.arrived_at,
        decided_at=draft.decided_at,
        client_reference=draft.client_reference,
    )
    draft.facts.append(Fact(events.RESOURCE_DEFINED, version, answers=True, data=data))
    return None


def _mismatch(draft: Draft, command: commands.DefineResource) -> str | None:
    """Say why the definition is not for what is there now, None if it is."""
    if draft.resource is None:
        asked = command.if_exists or command.if_version
        return f"there is no {command.resource_id} yet, and it was to be replaced" if asked else None
    version = draft.version()
    if command.if_version is None or command.if_version == version:
        return None
    wanted = f"to be at version {command.if_version}" if command.if_version else "not to exist yet"
    return f"it was {wanted}, it is at version {version}"


def _settings(kind: Kind, command: commands.DefineResource) -> Settings:
    """Fill in the defaults of the kind. Of lifetime and longest, one that is set bends the default of the other."""
    longest_seconds = command.max_hold_seconds
    hold_seconds = command.hold_seconds or min(kind.hold_seconds, longest_seconds or kind.hold_seconds)
    return Settings(
        hold_seconds=hold_seconds,
        max_hold_seconds=longest_seconds or max(hold_seconds, kind.max_hold_seconds),
        claim_at=command.claim_at,
        open=command.open,
        opens_at=command.opens_at,
        closes_at=command.closes_at,
        units_per_hold=command.units_per_hold,
        holds_per_buyer=command.holds_per_buyer,
        title=command.title,
        sale=kind.sale(command) or msgspec.UNSET,
        plan=kind.plan(command) or msgspec.UNSET,
    )


def _resize_pools(draft: Draft, capacities: dict[str, int]) -> None:
    """Set the capacities; a pool that is left out keeps only what is out of it."""
    for name in [*capacities, *(name for name in draft.state.pools if name not in capacities)]:
        capacity = capacities.get(name, 0)
        before = draft.pool(name)
        pool = before or Pool(0, 0, 0, 0)
        resized = replace(pool, capacity=capacity, ceiling=max(capacity, pool.held + pool.taken))
        if resized != before:
            draft.put_pool(name, resized)
