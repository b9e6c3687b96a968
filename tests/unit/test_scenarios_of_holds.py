"""What the core decides about holds once placed, as tables (`tests.unit.scenario` says how to read them)."""

import pytest

from tests.unit.scenario import Scenario

CONFIRMING = {
    "a hold is confirmed, and again: the same": """
        define room capacity=3                           -> defined
        hold k1 room quantity=2                          -> held version=2 held=2 taken=0
        confirm room k1                                  -> confirmed version=3 held=0 taken=2 remaining=1 claimed=2
        confirm room k1                                  -> unchanged confirmed version=3 taken=2 remaining=1
        tick 3600 seconds
        confirm room k1                                  -> unchanged confirmed version=3 taken=2 until=-3300
    """,
    "e23 a confirm under one key is one confirm": """
        define room capacity=3                           -> defined
        hold k1 room                                     -> held
        confirm room k1 claim=c1                         -> confirmed version=3
        confirm room k1 claim=c1                         -> again confirmed version=3
        cancel room k1                                   -> cancelled version=4
        confirm room k1 claim=c1                         -> again confirmed version=3
        confirm room k1                                  -> hold_cancelled version=4
        cancel room k1 claim=c1                          -> idempotency_key_reused
    """,
    "hold, confirm and cancel in one batch, as if one by one": """
        define room capacity=2                           -> defined
        batch
        hold k1 room                                     -> held version=2
        confirm room k1                                  -> confirmed version=3 taken=1
        hold k2 room                                     -> held version=4 remaining=0
        cancel room k1                                   -> cancelled version=5 taken=0 held=1 remaining=1
        hold k3 room                                     -> held version=6
        confirm room k1                                  -> hold_cancelled version=6
        extend room k2 seconds=400                       -> extended version=7
        change room k3 quantity=2                        -> sold_out version=7
        end
    """,
    "a confirm pipelined behind a hold that is refused says so, to its owner only": """
        define room capacity=1                           -> defined
        batch
        hold k1 room quantity=2                          -> sold_out
        confirm room k1                                  -> hold_refused
        confirm room k1 source=gateway/bob               -> hold_not_found
        end
        confirm room k1                                  -> hold_refused
        cancel room k1                                   -> hold_refused
        extend room k1 seconds=5                         -> hold_refused
        change room k1 quantity=1                        -> hold_refused
        confirm room k1 source=gateway/bob               -> hold_not_found
        confirm room k1 source=alice                     -> hold_not_found
        purge
        confirm room k1                                  -> hold_not_found
    """,
    "a hold that made the worker fail was refused too": """
        define room capacity=1                           -> defined
        fail k1 room                                     -> internal_error
        confirm room k1                                  -> hold_refused
    """,
    "a hold is of its own resource only, even one that was refused": """
        define room capacity=1                           -> defined
        define hall capacity=1                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> sold_out
        batch
        confirm room k2                                  -> hold_refused
        confirm hall k2                                  -> hold_not_found
        confirm hall k1                                  -> hold_not_found
        cancel hall k1                                   -> hold_not_found
        end
        batch
        confirm hall k2                                  -> hold_not_found
        confirm room k2                                  -> hold_refused
        end
        confirm room k1                                  -> confirmed
    """,
    "what was never asked for, and what there is no resource for": """
        confirm room k1                                  -> not_found version=0
        define room capacity=1                           -> defined
        confirm room k1                                  -> hold_not_found version=1
        hold k1 room                                     -> held
        confirm room k1                                  -> confirmed
    """,
    "a hold refused for want of a resource stays refused when there is one": """
        hold k1 room                                     -> not_found
        confirm room k1                                  -> not_found
        define room capacity=1                           -> defined
        confirm room k1                                  -> hold_refused
    """,
    "a closed slot confirms, extends and takes back what it has granted": """
        define room capacity=4                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        hold k3 room quantity=2                          -> held
        define room capacity=4 open=false units_per_hold=1 holds_per_buyer=1 -> defined
        confirm room k1                                  -> confirmed
        extend room k2 seconds=400                       -> extended
        change room k3 quantity=1                        -> changed
        cancel room k1                                   -> cancelled
        hold k4 room                                     -> closed
    """,
}

CANCELLING = {
    "e9 e82 a hold is cancelled, and again: given back once": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held remaining=0
        cancel room k1                                   -> cancelled version=4 held=1 remaining=1
        cancel room k1                                   -> unchanged cancelled version=4 held=1 remaining=1
        tick 300 seconds
        cancel room k1                                   -> expired k2 unchanged cancelled version=5 remaining=2
    """,
    "e9 twice in one batch, with a copy": """
        define room capacity=2                           -> defined
        hold k1 room quantity=2                          -> held
        batch
        cancel room k1 claim=c1                          -> cancelled version=3 remaining=2
        cancel room k1 claim=c1                          -> again cancelled version=3
        cancel room k1 claim=c2                          -> unchanged cancelled version=3 remaining=2
        end
        cancel room k1 claim=c2                          -> again unchanged cancelled version=3
    """,
    "e82 a confirmed hold is cancelled too, and gives back what was taken, once": """
        define room capacity=2                           -> defined
        hold k1 room quantity=2                          -> held
        confirm room k1                                  -> confirmed taken=2 remaining=0
        tick 9999 seconds
        cancel room k1                                   -> cancelled taken=0 remaining=2
        cancel room k1                                   -> unchanged cancelled taken=0 remaining=2
        hold k2 room quantity=2                          -> held
    """,
    "e82 an expired hold stays expired, and gives back nothing more": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        confirm room k2                                  -> confirmed
        tick 300 seconds
        cancel room k1                                   -> expired k1 unchanged expired version=5 held=0 remaining=1
        cancel room k1                                   -> unchanged expired version=5 remaining=1
    """,
    "e9 a hold that expired and one that was cancelled give back once each": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        tick 300 seconds
        batch
        cancel room k2 late=1                            -> cancelled remaining=1 arrived=299
        expire room                                      -> expired k1 done
        cancel room k1                                   -> unchanged expired remaining=2
        cancel room k2                                   -> unchanged cancelled remaining=2
        expire room                                      -> done
        end
    """,
    "a cancelled hold counts no more against its buyer": """
        define room capacity=9 holds_per_buyer=1         -> defined
        hold k1 room buyer=ann                           -> held
        batch
        hold k2 room buyer=ann                           -> holds_per_buyer_exceeded
        cancel room k1                                   -> cancelled
        hold k3 room buyer=ann                           -> held
        hold k4 room buyer=ann                           -> holds_per_buyer_exceeded
        confirm room k3                                  -> confirmed
        hold k5 room buyer=ann                           -> held
        end
        hold k6 room buyer=ann                           -> holds_per_buyer_exceeded
    """,
}

CHANGING = {
    "more, less, the same: in place": """
        define room capacity=5                           -> defined
        hold k1 room quantity=2                          -> held version=2 until=300
        tick 10 seconds
        change room k1 quantity=4                        -> changed version=3 quantity=4 claimed=4 held=4 until=290
        change room k1 quantity=4                        -> unchanged held version=3 held=4 until=290
        change room k1 quantity=1                        -> changed version=4 quantity=1 held=1 remaining=4 latest=1790
        confirm room k1                                  -> confirmed taken=1 quantity=1
    """,
    "a buyer is not in his own way, and one unit too many changes nothing": """
        define room capacity=3                           -> defined
        hold k1 room quantity=2                          -> held remaining=1
        change room k1 quantity=4                        -> sold_out version=2 held=2 remaining=1
        change room k1 quantity=3                        -> changed held=3 remaining=0
        change room k1 quantity=3                        -> unchanged held remaining=0
        change room k1 quantity=4                        -> sold_out held=3
    """,
    "giving back part always succeeds: closed, beyond the limit, oversubscribed": """
        define room capacity=6                           -> defined
        hold k1 room quantity=5                          -> held
        define room capacity=2 open=false units_per_hold=1 -> defined oversubscribed_by=3
        change room k1 quantity=4                        -> changed held=4 remaining=0 oversubscribed_by=2
        change room k1 quantity=4                        -> unchanged held oversubscribed_by=2
        change room k1 quantity=1                        -> changed held=1 remaining=1 oversubscribed_by=0
        change room k1 quantity=2                        -> closed held=1
    """,
    "taking more asks what taking asks, of the whole": """
        define room capacity=9 units_per_hold=3 opens_at=5 closes_at=50 -> defined
        tick 5 seconds
        hold k1 room quantity=2                          -> held
        change room k1 quantity=4                        -> units_per_hold_exceeded held=2
        change room k1 quantity=3                        -> changed held=3
        define room capacity=9 opens_at=40               -> defined
        change room k1 quantity=4                        -> not_open_yet held=3
        change room k1 quantity=2                        -> changed held=2
        define room capacity=2                           -> defined remaining=0
        change room k1 quantity=3                        -> sold_out held=2
        define room capacity=9 closes_at=50              -> defined
        tick 45 seconds
        change room k1 quantity=3                        -> closed arrived=50
        change room k1 quantity=3 late=1                 -> closed arrived=50
        change room k1 quantity=1                        -> changed held=1
    """,
    "the live holds of a buyer are no question when one of them grows": """
        define room capacity=9 holds_per_buyer=1         -> defined
        hold k1 room buyer=ann                           -> held
        change room k1 quantity=2                        -> changed
    """,
    "only what lives is changed": """
        define room capacity=9                           -> defined
        hold k1 room quantity=2                          -> held
        hold k2 room quantity=2                          -> held
        hold k3 room quantity=2                          -> held
        confirm room k1                                  -> confirmed
        cancel room k2                                   -> cancelled
        change room k1 quantity=1                        -> hold_confirmed taken=2
        change room k2 quantity=1                        -> hold_cancelled
        tick 300 seconds
        change room k3 quantity=1                        -> expired k3 hold_expired held=0 taken=2 remaining=7
        change room k3 quantity=2                        -> hold_expired
    """,
    "e2 all or nothing: a change is judged against what is free now, in one batch too": """
        define room capacity=4                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        batch
        change room k1 quantity=3                        -> changed remaining=0
        change room k2 quantity=2                        -> sold_out held=4
        change room k1 quantity=2                        -> changed remaining=1
        change room k2 quantity=2                        -> changed remaining=0
        end
    """,
    "e2 two holds of one unit in one batch, one left": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held remaining=1
        batch
        hold k2 room                                     -> held remaining=0
        hold k3 room                                     -> sold_out remaining=0
        end
        hold k4 room quantity=2                          -> sold_out
    """,
}

OWNING = {
    "e78 r7 who is neither owner nor shows the token is told nothing, whatever the hold is": """
        define room capacity=9                           -> defined
        hold k1 room token=t                             -> held
        confirm room k1 source=gateway/bob               -> hold_not_found version=2
        cancel room k1 source=gateway/bob                -> hold_not_found version=2
        extend room k1 seconds=900 source=gateway/bob    -> hold_not_found version=2
        change room k1 quantity=1 source=gateway/bob     -> hold_not_found version=2
        confirm room k1 source=gateway/bob token=u       -> hold_not_found version=2
        confirm room k1 source=alice                     -> hold_not_found version=2
        confirm room k1                                  -> confirmed version=3
        confirm room k1 source=gateway/bob               -> hold_not_found version=3
        cancel room k1 source=gateway/bob                -> hold_not_found version=3
        cancel room k1                                   -> cancelled
        cancel room k1 source=gateway/bob                -> hold_not_found
    """,
    "e78 with the token anyone may": """
        define room capacity=9                           -> defined
        hold k1 room token=t                             -> held
        extend room k1 seconds=900 source=gateway/bob token=t -> extended
        change room k1 quantity=2 source=gateway/bob token=t  -> changed
        confirm room k1 source=shop token=t              -> confirmed
        cancel room k1 source=gateway/bob token=t        -> cancelled
        cancel room k1 source=gateway/bob token=t        -> unchanged cancelled
    """,
    "a hold without a token is its owner's alone, and he needs none": """
        define room capacity=9                           -> defined
        hold k1 room                                     -> held
        confirm room k1 source=gateway/bob token=t       -> hold_not_found
        confirm room k1 token=t                          -> confirmed
    """,
    "the token is no part of what is asked: a stored refusal stays for its key": """
        define room capacity=9                           -> defined
        hold k1 room token=t                             -> held
        cancel room k1 claim=c1 source=gateway/bob token=u -> hold_not_found
        cancel room k1 claim=c1 source=gateway/bob token=t -> again hold_not_found
        cancel room k1 claim=c2 source=gateway/bob token=t -> cancelled
    """,
}

SCENARIOS = {**CONFIRMING, **CANCELLING, **CHANGING, **OWNING}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says."""
    Scenario().play(SCENARIOS[name])


def test_no_scenario_hides_another() -> None:
    """Two of one name would be one."""
    assert len(SCENARIOS) == sum(len(part) for part in (CONFIRMING, CANCELLING, CHANGING, OWNING))
