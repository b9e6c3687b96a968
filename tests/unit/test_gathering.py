"""Many askers, few readings: late ones are told so, and readings that come too soon after one another are one."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from gateway.gathering import Gathering


class Source:
    """Answers each key with the number of its reading, when it is open."""

    def __init__(self) -> None:
        self.readings: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, keys: Sequence[str], tell: Callable[[str, int], None]) -> None:
        """Tell all keys at once."""
        self.readings.append(list(keys))
        await self.open.wait()
        for key in keys:
            tell(key, len(self.readings))


async def test_a_reading_that_is_late_fails_for_all_who_wait_and_serves_who_comes_later() -> None:
    """Nobody hangs on a source that does not answer, and it is not asked twice for a key at once.

    Seen to fail (it hangs) without the timer of a future.
    """
    source = Source()
    gathering: Gathering[str, int] = Gathering(source.read, readings_max=4, keys_max=10, seconds=0.05)
    source.open.clear()
    late = await asyncio.wait_for(asyncio.gather(*(gathering.ask(["a"]) for _ in range(3)), return_exceptions=True), 5)
    assert [type(one) for one in late] == [TimeoutError] * 3
    later = asyncio.create_task(gathering.ask(["a"]))
    await asyncio.sleep(0)
    source.open.set()
    assert await later == {"a": 2}
    assert source.readings == [["a"], ["a"]]


@pytest.mark.parametrize(("apart_seconds", "readings"), [(0.0, 3), (0.05, 2)])
async def test_readings_begin_apart(apart_seconds: float, readings: int) -> None:
    """The first begins at once; what is asked for soon after it waits for others. Seen to fail (three) without the pause."""
    source = Source()
    gathering: Gathering[str, int] = Gathering(
        source.read, readings_max=4, keys_max=10, seconds=5.0, apart_seconds=apart_seconds
    )
    assert await gathering.ask(["a"]) == {"a": 1}
    asking = [asyncio.create_task(gathering.ask(["b"]))]
    for _ in range(5):
        await asyncio.sleep(0)
    asking.append(asyncio.create_task(gathering.ask(["c"])))
    await asyncio.gather(*asking)
    assert len(source.readings) == readings


async def test_nothing_is_read_for_those_who_are_late() -> None:
    """Seen to fail (the keys are read when the source comes back) if late keys stay among those that are asked for."""
    source = Source()
    gathering: Gathering[str, int] = Gathering(source.read, readings_max=1, keys_max=10, seconds=0.05)
    source.open.clear()
    asking = [asyncio.create_task(gathering.ask([key])) for key in ("a", "b", "c")]
    await asyncio.sleep(0)
    asking += [asyncio.create_task(gathering.ask([key])) for key in ("d", "e")]
    await asyncio.wait(asking)
    source.open.set()
    assert await gathering.ask(["f"]) == {"f": 2}
    assert source.readings == [["a", "b", "c"], ["f"]]
    await asyncio.gather(*asking, return_exceptions=True)
