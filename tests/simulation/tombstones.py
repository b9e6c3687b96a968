"""The tombstones as the invalidator writes them: a twin of the one script that it runs on Redis."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError

from tests.twins.line import Line


@dataclass
class Tombstones:
    """All tombstones by their Redis key; the larger version wins."""

    versions: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def excuses(self, key: str, version: int) -> bool:
        """Tell whether this version may be told: its tombstone stands, or Redis did not take it."""
        return version <= max(self.versions.get(key, -1), self.skipped.get(key, -1))

    def raise_to(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """Raise each to its version."""
        for key, version in zip(keys, versions, strict=True):
            self.versions[key] = max(version, self.versions.get(key, -1))


@dataclass
class RedisOfWorker:
    """A worker's client: what the invalidator asks of redis-py's."""

    tombstones: Tombstones
    line: Line

    def register_script(self, _text: str) -> Callable[..., Awaitable[Any]]:
        """Return the script as a call."""

        async def run(*, keys: Sequence[str], args: Sequence[int]) -> None:
            async def work() -> None:
                self.tombstones.raise_to(keys, args[1:])

            try:
                await self.line.ask(work)
            except RedisError:
                skipped = self.tombstones.skipped
                skipped |= {
                    key: max(version, skipped.get(key, -1)) for key, version in zip(keys, args[1:], strict=True)
                }
                raise

        return run
