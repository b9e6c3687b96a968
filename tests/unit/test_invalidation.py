"""Which lists of ids a batch makes the cache forget."""

from collections.abc import Collection, Mapping

from schema.rows import ResourceKey
from topics.redis_keys import ids_name, resource_name
from topics.redis_patience import Rest
from workers.invalidation import Invalidator

OLD, NEW, SHOE = ResourceKey("slot", "old"), ResourceKey("slot", "new"), ResourceKey("product", "shoe")
REST_SECONDS = 1.0


class Tombstones:
    """What was written, in its order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.written: list[tuple[dict[str, int], list[str]]] = []
        self.told: list[bytes] = []
        self.is_away = False

    async def write(self, versions: Mapping[str, int], forgotten: Collection[str], outcomes: bytes = b"") -> None:
        """Take it, unless away."""
        if self.is_away:
            raise ConnectionError("away")
        self.told.append(outcomes)
        self.written.append((dict(versions), list(forgotten)))


async def test_the_list_of_a_kind_is_forgotten_where_one_may_be_new() -> None:
    """After a definition; and with whatever is told of a first version, as its creator may have died before it told.

    Seen to fail with the kinds of definitions alone.
    """
    tombstones = Tombstones()
    invalidator = Invalidator(tombstones, Rest(1))
    await invalidator.invalidate({OLD: 7})
    await invalidator.invalidate({OLD: 8}, {"slot"})
    await invalidator.invalidate({OLD: 8, NEW: 1, SHOE: 2})
    await invalidator.invalidate({}, {"slot"})
    names = [resource_name(key.kind, key.resource_id) for key in (OLD, NEW, SHOE)]
    assert tombstones.written == [
        ({names[0]: 7}, []),
        ({names[0]: 8}, [ids_name("slot")]),
        ({names[0]: 8, names[1]: 1, names[2]: 2}, [ids_name("slot")]),
    ]


async def test_outcomes_alone_do_not_wait_for_a_cache_that_was_away() -> None:
    """A hundred milliseconds of each refusal would be spent on nothing. Seen to fail without the rest."""
    tombstones, now = Tombstones(), {"seconds": 0.0}
    invalidator = Invalidator(tombstones, Rest(REST_SECONDS, lambda: now["seconds"]))
    assert await invalidator.invalidate({}, (), b"refused")
    tombstones.is_away = True
    assert not await invalidator.invalidate({OLD: 7}, (), b"lost")
    tombstones.is_away = False
    assert not await invalidator.invalidate({}, (), b"not tried")
    assert await invalidator.invalidate({OLD: 8}, (), b"granted")
    assert await invalidator.invalidate({}, (), b"told again")
    tombstones.is_away = True
    assert not await invalidator.invalidate({}, (), b"lost")
    tombstones.is_away = False
    now["seconds"] = REST_SECONDS
    assert await invalidator.invalidate({}, (), b"after the rest")
    assert tombstones.told == [b"refused", b"granted", b"told again", b"after the rest"]
    assert invalidator.skipped == 1
