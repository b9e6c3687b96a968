"""A worker that somebody overtakes at the worst moment: right after it read, or looked for what it is to lock."""

from collections.abc import Awaitable, Callable, Collection

from schema.rows import ResourceKey
from schema.snapshots import Snapshot, Wanted
from schema.store import Connection, Transaction


class Overtaken(Transaction):
    """A batch that is overtaken after it read without a lock, or found no resource to lock: else who comes would wait."""

    def __init__(
        self, connection: Connection, overtake: Callable[[], Awaitable[object]], *, is_locking: bool = True
    ) -> None:
        """Let `overtake` happen then."""
        super().__init__(connection, is_locking=is_locking)
        self._overtake = overtake

    async def lock(self, keys: Collection[ResourceKey]) -> int:
        """Lock, then be overtaken."""
        locked = await super().lock(keys)
        if not locked:
            await self._overtake()
        return locked

    async def read(self, wanted: Wanted) -> Snapshot:
        """Read, then be overtaken."""
        snapshot = await super().read(wanted)
        if not self.is_locking:
            await self._overtake()
        return snapshot
