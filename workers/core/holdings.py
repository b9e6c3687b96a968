"""Collect what the audit keeps of a batch: holdings that began in it, perhaps ended in it too, and news of stored ones."""

from msgspec.structs import replace

from schema.rows import Holding, HoldingEnd, HoldingUpdate, ResourceKey


class Holdings:
    """The holdings of a batch, in the order in which they began.

    At any time a hold has a pool at most once, so hold and pool say which of its holdings an update is of: the last one.
    """

    def __init__(self) -> None:
        self.begun: list[tuple[ResourceKey, Holding]] = []
        self._updates: dict[tuple[str, str], HoldingUpdate] = {}
        self._place: dict[tuple[str, str], int] = {}

    @property
    def updates(self) -> tuple[HoldingUpdate, ...]:
        """What is new of holdings that were stored before the batch."""
        return tuple(self._updates.values())

    def keep(self, key: ResourceKey, news: Holding | HoldingUpdate) -> None:
        """Add what one command did."""
        name = news.hold_id, news.pool
        match news:
            case Holding():
                self._place[name] = len(self.begun)
                self.begun.append((key, news))
            case HoldingUpdate() if name in self._place:
                place = self._place[name]
                self.begun[place] = key, updated(self.begun[place][1], news)
            case HoldingUpdate():
                self._updates[name] = _merged(self._updates.get(name), news)


def updated(holding: Holding, news: HoldingUpdate) -> Holding:
    """Return a holding as it is after an update; what ended stays ended as it did."""
    ended = holding.ended_at is not None
    return replace(
        holding,
        ended_at=holding.ended_at if ended else news.ended_at,
        end=holding.end if ended else news.end,
        returned_at=holding.returned_at or news.returned_at,
    )


def is_over(holding: Holding) -> bool:
    """Tell whether nothing more can happen to it: it was given back, or never made firm."""
    return holding.returned_at is not None or holding.end not in {None, HoldingEnd.CONFIRMED}


def _merged(before: HoldingUpdate | None, news: HoldingUpdate) -> HoldingUpdate:
    if before is None:
        return news
    return replace(
        before,
        ended_at=before.ended_at or news.ended_at,
        end=before.end or news.end,
        returned_at=before.returned_at or news.returned_at,
    )
