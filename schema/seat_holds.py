"""The audit of seats, within the transaction of a batch: `schema.store` calls it. Nothing is decided here."""

from collections.abc import Sequence

from asyncpg.pool import PoolConnectionProxy

from schema import queries
from schema.rows import Holding, HoldingUpdate, ResourceKey


async def write_seat_holds(connection: PoolConnectionProxy, holdings: Sequence[tuple[ResourceKey, Holding]]) -> None:
    """Store holdings that began; call it after `end_seat_holds`, as a seat may have been given back by another hold."""
    await connection.execute(
        queries.WRITE_SEAT_HOLDS,
        [key.kind for key, _ in holdings],
        [key.resource_id for key, _ in holdings],
        [holding.pool for _, holding in holdings],
        [holding.hold_id for _, holding in holdings],
        [holding.buyer for _, holding in holdings],
        [holding.held_at for _, holding in holdings],
        [holding.ended_at for _, holding in holdings],
        [None if holding.end is None else holding.end.value for _, holding in holdings],
        [holding.returned_at for _, holding in holdings],
    )


async def end_seat_holds(connection: PoolConnectionProxy, updates: Sequence[HoldingUpdate]) -> int:
    """Store what is new of stored holdings; return of how many."""
    rows = await connection.fetch(
        queries.END_SEAT_HOLDS,
        [news.hold_id for news in updates],
        [news.pool for news in updates],
        [news.ended_at for news in updates],
        [None if news.end is None else news.end.value for news in updates],
        [news.returned_at for news in updates],
    )
    return len(rows)
