"""The payment watch: counts, every so often, the payments that need somebody, for the metrics. It changes nothing.

What workers count themselves is lost with them; these are read from Postgres, so any worker can tell of all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from schema.faults import is_transient
from schema.open_payments import Need, OpenPayments
from workers.counting import now

_log = structlog.get_logger(__name__)
_STALE_LOOKS = 4


class PaymentWatch:
    """Looks again and again; what it knows is told only while it is fresh."""

    def __init__(self, count: Callable[[], Awaitable[Mapping[Need, OpenPayments]]], pause_seconds: float) -> None:
        """Count with `schema.open_payments`, with this pause between two looks."""
        self._count = count
        self._pause_seconds = pause_seconds
        self._counted: Mapping[Need, OpenPayments] = {}
        self._counted_at = now()

    @property
    def is_on(self) -> bool:
        """Tell whether it looks at all."""
        return self._pause_seconds > 0

    async def run(self) -> None:
        """Look until cancelled; a server that does not answer only makes it late."""
        while self.is_on:
            try:
                await self.look_once()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                _log.warning("payments that need somebody could not be counted", fault=repr(fault))
            await asyncio.sleep(self._pause_seconds)

    async def look_once(self) -> None:
        """Count them now."""
        self._counted = await self._count()
        self._counted_at = now()

    def payments(self) -> dict[tuple[str, ...], float]:
        """Return how many payments there are of each need; nothing if the last look was too long ago."""
        return {(need.value,): float(its.payments) for need, its in self._fresh().items()}

    def oldest_seconds(self) -> dict[tuple[str, ...], float]:
        """Return for how long the oldest of each need has needed it; 0 where there is none."""
        return {(need.value,): its.oldest_seconds for need, its in self._fresh().items()}

    def _fresh(self) -> Mapping[Need, OpenPayments]:
        return self._counted if now() - self._counted_at < _STALE_LOOKS * self._pause_seconds else {}
