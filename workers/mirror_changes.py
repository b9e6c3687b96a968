"""What a batch says of the mirror: derived from its events, for kinds whose pools clients know by their names. Pure."""

from datetime import timedelta

from schema.rows import ResourceKey
from topics import events
from topics.mirror import HeldPool, encode_held
from topics.redis_keys import pool_name
from topics.resources import HoldStatus
from workers.applying import Applied
from workers.core.kinds import Kind
from workers.core.kinds.registry import KINDS
from workers.mirroring import Change, Kept

MIRRORED_KINDS = tuple(name for name, kind in KINDS.items() if kind.names_pools)
_HELD = "held"
_MILLISECOND = timedelta(milliseconds=1)


def changes_of(applied: Applied) -> list[Change]:
    """Return the change of each mirrored resource that the batch touched.

    What was decided earlier is told with its old events; what came of it since is not in them, so they say nothing here
    but the version that the resource has now.
    """
    news = {key: _News(key, KINDS[key.kind]) for key in applied.versions if key.kind in MIRRORED_KINDS}
    if not news:
        return []
    for outcome in applied.outcomes:
        of_resource = news.get(outcome.arrived.key)
        if of_resource is not None and not outcome.repeated:
            for event in outcome.events or ():
                of_resource.take(event)
    return [of_resource.change(applied.versions[key]) for key, of_resource in news.items()]


class _News:
    """What the events of a batch say of one resource, as they come."""

    def __init__(self, key: ResourceKey, kind: Kind) -> None:
        self._key = key
        self._kind = kind
        self._versions: set[int] = set()
        self._pools: dict[str, tuple[int, Kept | None]] = {}

    def take(self, event: events.Stored) -> None:
        """Take in an event; what it says of a pool replaces what an earlier one said."""
        if event.type in events.CHANGE_NOTHING:
            return
        self._versions.add(event.version)
        word, _, happened = event.type.partition(".")
        if events.EVENTS[event.type] is events.PoolMoved and happened != _HELD:
            moved = events.decode_data(event.type, bytes(event.data))
            if isinstance(moved, events.PoolMoved):
                self._pools[pool_name(word, moved.pool)] = event.version, None
        elif events.EVENTS[event.type] is events.HoldChanged:
            # It follows the events of its pools, and says until when it has them.
            changed = events.decode_data(event.type, bytes(event.data))
            if isinstance(changed, events.HoldChanged) and changed.hold.status is HoldStatus.HELD:
                self._hold(event.version, changed)

    def _hold(self, version: int, changed: events.HoldChanged) -> None:
        # Both instants are Postgres's: what is left does not depend on anybody's clock.
        lives_ms = (changed.hold.expires_at - changed.decided_at) // _MILLISECOND
        value = encode_held(HeldPool(version, changed.hold.id, changed.hold.expires_at))
        kept = Kept(value, lives_ms) if lives_ms > 0 else None
        for pool in changed.hold.units:
            word = self._kind.told_alone(pool)
            if word is not None:
                self._pools[pool_name(word, pool)] = version, kept

    def change(self, last: int) -> Change:
        """Return what is known without a gap up to `last`: before steps that another worker took it may have missed some."""
        first = last + 1
        while first - 1 in self._versions:
            first -= 1
        pools = {name: kept for name, (version, kept) in self._pools.items() if version >= first}
        held = {name: kept for name, kept in pools.items() if kept is not None}
        return Change(self._key, first, last, held, [name for name in pools if name not in held])
