"""What a batch keeps for the audit of a holding: all news of it in one, and what was said first stands."""

from schema.rows import Holding, HoldingEnd, HoldingUpdate, ResourceKey
from tests.unit.builders import at
from workers.core.holdings import Holdings, is_over

KEY = ResourceKey("screening", "s")
BEGUN = Holding("h", "A1", None, at(0))
SOLD = HoldingUpdate("h", "A1", at(1), HoldingEnd.CONFIRMED)
BACK = HoldingUpdate("h", "A1", returned_at=at(2))
LATER = HoldingUpdate("h", "A1", at(3), HoldingEnd.EXPIRED, at(4))
AGAIN = HoldingUpdate("h", "A1", at(1), HoldingEnd.CONFIRMED, at(2))


def test_news_of_a_stored_holding_add_up() -> None:
    """Sold and given back in one batch is one update, whichever is told first."""
    for news in ([SOLD, BACK], [BACK, SOLD], [SOLD, BACK, LATER]):
        kept = Holdings()
        for one in news:
            kept.keep(KEY, one)
        assert (kept.begun, kept.updates) == ([], (AGAIN,))


def test_news_of_one_that_began_in_the_batch_are_part_of_it() -> None:
    """Such a holding is written once, as it is in the end; it is over when it was given back, or was never sold."""
    kept = Holdings()
    seen = []
    for one in (BEGUN, SOLD, BACK, LATER):
        kept.keep(KEY, one)
        seen.append(kept.begun[0][1])
    assert kept.updates == ()
    assert len(kept.begun) == 1
    assert seen[-1] == Holding("h", "A1", None, at(0), at(1), HoldingEnd.CONFIRMED, at(2))
    assert [is_over(holding) for holding in seen] == [False, False, True, True]
    kept.keep(KEY, Holding("h", "A2", None, at(0)))
    kept.keep(KEY, HoldingUpdate("h", "A2", at(1), HoldingEnd.EXPIRED))
    assert is_over(kept.begun[1][1])
