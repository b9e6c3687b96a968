"""Which partitions are ours, as Faust tells it."""

from collections.abc import Sized

import faust


class Assignment:
    """Whether partitions (maybe none) are assigned to us, and how many."""

    def __init__(self, app: faust.App) -> None:
        """Follow what this app is told."""
        self.is_made = False
        self.partitions = 0
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_partitions_revoked.connect(self._on_revoked)

    async def _on_assigned(self, *sender_and_partitions: object, **__: object) -> None:
        assigned = sender_and_partitions[1]
        self.is_made = True
        self.partitions = len(assigned) if isinstance(assigned, Sized) else 0

    async def _on_revoked(self, *_: object, **__: object) -> None:
        self.is_made = False
        self.partitions = 0
