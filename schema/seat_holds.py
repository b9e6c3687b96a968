"""The audit of seats: two parts of what a batch writes. Nothing is decided here."""

from collections.abc import Sequence

from schema import queries
from schema.one_statement import Part
from schema.rows import Holding, HoldingUpdate, ResourceKey


def seat_holds_part(holdings: Sequence[tuple[ResourceKey, Holding]]) -> Part:
    """Store holdings that began; behind `seat_ends_part`, as a seat may have been given back by another hold."""
    columns = (
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
    return Part("seat_holds", queries.WRITE_SEAT_HOLDS, columns, rows_wanted=len(holdings))


def seat_ends_part(updates: Sequence[HoldingUpdate]) -> Part:
    """Store what is new of stored holdings: of fewer than these if one of them ended meanwhile."""
    columns = (
        [news.hold_id for news in updates],
        [news.pool for news in updates],
        [news.ended_at for news in updates],
        [None if news.end is None else news.end.value for news in updates],
        [news.returned_at for news in updates],
    )
    return Part("seat_ends", queries.END_SEAT_HOLDS, columns, rows_wanted=len(updates))
