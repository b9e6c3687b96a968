"""How batches are told to the mirror while Redis does not answer: nobody waits for it again and again, nothing is forgotten."""

import asyncio
from collections.abc import Collection, Sequence

from schema.rows import ResourceKey
from tests.twins.memory_mirror import MemoryMirror
from topics.redis_patience import Rest
from workers.mirroring import Change, Mirror

REST_SECONDS = 1.0
HOUSES = [ResourceKey("screening", f"hall-{number}") for number in range(30)]


class Away(MemoryMirror):
    """A mirror that does not answer in time, and counts how often it is asked."""

    asked = 0

    async def tell(self, changes: Sequence[Change]) -> Collection[ResourceKey]:
        """Fail once others had their turn, as long as it is away."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise TimeoutError
        return await super().tell(changes)


async def test_a_silent_redis_is_asked_once_a_rest() -> None:
    """Of many batches the first waits for its bound, the others do not; what was not told is doubted, and counted.

    After the rest it is asked again, and once it has answered it is asked by all. Seen to fail (30 times asked) without a rest.
    """
    now = {"seconds": 0.0}
    store = Away(lambda: 0, is_away=True)
    mirror = Mirror(store, Rest(REST_SECONDS, lambda: now["seconds"]))
    await asyncio.gather(*(mirror.tell([Change(key, 2, 2)]) for key in HOUSES))
    assert (store.asked, mirror.skipped) == (1, len(HOUSES))
    assert mirror.take_asked() == (set(HOUSES), set())
    now["seconds"] = REST_SECONDS
    await asyncio.gather(*(mirror.tell([Change(key, 3, 3)]) for key in HOUSES))
    assert store.asked == 2
    assert mirror.take_asked() == (set(HOUSES), set())
    store.is_away = False
    await mirror.tell([Change(HOUSES[0], 4, 4)])
    assert store.asked == 2
    now["seconds"] = 2 * REST_SECONDS
    await asyncio.gather(*(mirror.tell([Change(key, 5, 5)]) for key in HOUSES))
    assert store.asked == 2 + len(HOUSES)
    assert mirror.take_asked() == ({HOUSES[0]}, set(HOUSES))
