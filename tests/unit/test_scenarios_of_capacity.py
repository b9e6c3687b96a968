"""What the core decides about units, limits and settings, as tables (`tests.unit.scenario` says how to read them)."""

import pytest

from tests.unit.scenario import Scenario

SCENARIOS = {
    "a slot is defined, held and defined again": """
        define room capacity=3                           -> defined version=1 capacity=3 held=0 remaining=3
        hold k1 room                                     -> held version=2 held=1 remaining=2 until=300 latest=1800
        hold k2 room quantity=2                          -> held version=3 held=3 remaining=0 claimed=2
        define room capacity=5                           -> defined version=4 capacity=5 held=3 remaining=2
    """,
    "e10 what nobody defined is not found, and stays so for its key": """
        hold k1 room                                     -> not_found version=0
        define room capacity=1                           -> defined version=1
        hold k1 room                                     -> again not_found version=0
        hold k2 room                                     -> held version=2
    """,
    "a hold of more than is free takes nothing": """
        define room capacity=3                           -> defined
        hold k1 room quantity=4                          -> sold_out version=1 held=0 remaining=3
        hold k2 room quantity=2                          -> held remaining=1
        hold k3 room quantity=2                          -> sold_out version=2 remaining=1
        hold k4 room                                     -> held remaining=0
        hold k5 room                                     -> sold_out remaining=0
    """,
    "a slot may have no units at all": """
        define room capacity=0                           -> defined remaining=0
        hold k1 room                                     -> sold_out
    """,
    "an explicit capacity is raised and takes more holds": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held remaining=0
        define room capacity=2                           -> defined remaining=1 oversubscribed_by=0
        hold k2 room                                     -> held remaining=0
        hold k3 room                                     -> sold_out
    """,
    "e6 capacity lowered below what is out: what comes back works that off first": """
        define room capacity=6                           -> defined
        hold k1 room quantity=2                          -> held
        tick 10 seconds
        hold k2 room quantity=2                          -> held
        tick 10 seconds
        hold k3 room quantity=2                          -> held remaining=0
        define room capacity=1                           -> defined held=6 remaining=0 oversubscribed_by=5
        hold k4 room                                     -> sold_out oversubscribed_by=5
        tick 280 seconds
        hold k5 room                                     -> expired k1 sold_out held=4 remaining=0 oversubscribed_by=3
        tick 10 seconds
        hold k6 room                                     -> expired k2 sold_out held=2 remaining=0 oversubscribed_by=1
        tick 10 seconds
        hold k7 room                                     -> expired k3 held held=1 remaining=0 oversubscribed_by=0
    """,
    "e6 a capacity lowered and raised again is as it was": """
        define room capacity=4                           -> defined
        hold k1 room quantity=3                          -> held
        define room capacity=1                           -> defined oversubscribed_by=2
        define room capacity=4                           -> defined oversubscribed_by=0 remaining=1
        hold k2 room                                     -> held remaining=0
    """,
    "a definition may ask for what is there: a version, any at all, or nothing": """
        define room capacity=1 if_exists=true            -> version_mismatch version=0
        define room capacity=1 if_version=1              -> version_mismatch version=0
        define room capacity=1 if_version=0 if_exists=true -> version_mismatch version=0
        define room capacity=1 if_version=0              -> defined version=1
        define room capacity=2 if_version=0              -> version_mismatch version=1
        define room capacity=2 if_exists=true            -> defined version=2
        define room capacity=3 if_version=1              -> version_mismatch version=2
        define room capacity=3 if_version=2 if_exists=true -> defined version=3
    """,
    "a closed slot takes no holds, and keeps those it has": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        define room capacity=2 open=false                -> defined held=1 remaining=1
        hold k2 room                                     -> closed
        define room capacity=2                           -> defined
        hold k3 room                                     -> held
    """,
    "opening and closing are judged on arrival, to the instant": """
        define room capacity=9 opens_at=10 closes_at=20  -> defined
        tick 9 seconds
        hold k1 room                                     -> not_open_yet
        tick 1 seconds
        hold k2 room                                     -> held
        tick 9 seconds
        hold k3 room                                     -> held
        tick 1 seconds
        hold k4 room                                     -> closed
        tick 600 seconds
        hold k5 room                                     -> expired k2 k3 closed
    """,
    "a hold that was in the log before closing is granted however late it is decided": """
        define room capacity=9 closes_at=20              -> defined
        tick 100 seconds
        hold k1 room late=81                             -> held arrived=19 until=300
        hold k2 room late=80                             -> closed arrived=20
    """,
    "a hold that was in the log before opening is refused however late it is decided": """
        define room capacity=9 opens_at=20               -> defined
        tick 100 seconds
        hold k1 room late=81                             -> not_open_yet arrived=19
        hold k2 room late=80                             -> held arrived=20
    """,
    "units per hold": """
        define room capacity=9 units_per_hold=2          -> defined
        hold k1 room quantity=3                          -> units_per_hold_exceeded remaining=9
        hold k2 room quantity=2                          -> held remaining=7
    """,
    "holds per buyer count what lives, and only of a buyer who is named": """
        define room capacity=9 holds_per_buyer=2         -> defined
        hold k1 room buyer=ann                           -> held
        hold k2 room buyer=ann                           -> held
        hold k3 room buyer=ann                           -> holds_per_buyer_exceeded
        hold k4 room buyer=bob                           -> held
        hold k5 room                                     -> held
        hold k6 room                                     -> held
        tick 300 seconds
        hold k7 room buyer=ann                           -> expired k1 k2 k4 k5 k6 held
        hold k8 room buyer=ann                           -> held
        hold k9 room buyer=ann                           -> holds_per_buyer_exceeded
    """,
    "holds per buyer within one batch": """
        define room capacity=9 holds_per_buyer=2         -> defined
        hold k1 room buyer=ann                           -> held
        batch
        hold k2 room buyer=ann                           -> held
        hold k3 room buyer=ann                           -> holds_per_buyer_exceeded
        hold k4 room buyer=bob                           -> held
        end
    """,
    "holds per buyer that end within the batch": """
        define room capacity=9 holds_per_buyer=1         -> defined
        hold k1 room buyer=ann                           -> held
        hold k2 room buyer=bob                           -> held
        tick 300 seconds
        batch
        hold k3 room buyer=ann late=1                    -> holds_per_buyer_exceeded
        hold k4 room                                     -> expired k1 k2 held
        hold k5 room buyer=ann                           -> held
        hold k6 room buyer=bob                           -> held
        hold k7 room buyer=ann                           -> holds_per_buyer_exceeded
        end
    """,
    "with claim_at=confirm a hold placed while it was open may be confirmed after it closed": """
        define room capacity=1 claim_at=confirm          -> defined
        hold k1 room                                     -> held held=0 remaining=1
        define room capacity=1 claim_at=confirm open=false -> defined
        hold k2 room                                     -> closed
        confirm room k1                                  -> confirmed taken=1 remaining=0
    """,
    "with claim_at=confirm a hold takes nothing": """
        define room capacity=1 claim_at=confirm          -> defined
        hold k1 room                                     -> held claimed=0 held=0 remaining=1
        hold k2 room quantity=5                          -> held claimed=0 held=0 remaining=1
        tick 300 seconds
        hold k3 room                                     -> expired k1 k2 held held=0 remaining=1
    """,
    "with claim_at=confirm the confirm takes the units, or is refused and the hold lives on": """
        define room capacity=3 claim_at=confirm          -> defined
        hold k1 room quantity=2                          -> held held=0 claimed=0
        hold k2 room quantity=2                          -> held held=0
        confirm room k1                                  -> confirmed version=4 held=0 taken=2 remaining=1 claimed=2
        confirm room k2                                  -> sold_out version=4 held=0 taken=2 remaining=1
        confirm room k1                                  -> unchanged confirmed taken=2
        change room k2 quantity=1                        -> changed held=0 claimed=0 quantity=1
        confirm room k2                                  -> confirmed taken=3 remaining=0
        cancel room k1                                   -> cancelled taken=1 remaining=2
    """,
    "with claim_at=confirm a hold that was sold out may try again": """
        define room capacity=1 claim_at=confirm          -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        confirm room k1                                  -> confirmed
        confirm room k2                                  -> sold_out
        cancel room k1                                   -> cancelled remaining=1
        confirm room k2                                  -> confirmed remaining=0
    """,
    "with claim_at=confirm two confirms in one batch for one unit": """
        define room capacity=1 claim_at=confirm          -> defined
        batch
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        confirm room k1                                  -> confirmed
        confirm room k2                                  -> sold_out
        cancel room k2                                   -> cancelled held=0 taken=1
        end
    """,
    "with claim_at=confirm a change asks for opening and limits, and for no capacity": """
        define room capacity=1 claim_at=confirm units_per_hold=3 -> defined
        hold k1 room                                     -> held
        change room k1 quantity=3                        -> changed quantity=3 claimed=0 held=0
        change room k1 quantity=3                        -> unchanged held
        change room k1 quantity=4                        -> units_per_hold_exceeded
        confirm room k1                                  -> sold_out
        define room capacity=1 claim_at=confirm open=false -> defined
        change room k1 quantity=4                        -> closed
        change room k1 quantity=1                        -> changed claimed=0
        confirm room k1                                  -> confirmed taken=1
    """,
    "r11 a hold that took its unit keeps it, one that did not takes it when confirmed": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held held=1
        define room capacity=2 claim_at=confirm          -> defined
        hold k2 room                                     -> held held=1 claimed=0
        hold k3 room                                     -> held held=1 claimed=0
        define room capacity=2                           -> defined held=1 remaining=1
        confirm room k2                                  -> confirmed held=1 taken=1 remaining=0
        confirm room k3                                  -> sold_out held=1 taken=1
        confirm room k1                                  -> confirmed held=0 taken=2 remaining=0
        cancel room k3                                   -> cancelled held=0 taken=2 remaining=0
        cancel room k2                                   -> cancelled held=0 taken=1 remaining=1
        cancel room k1                                   -> cancelled held=0 taken=0 remaining=2
    """,
    "r11 what was taken at once is never taken again by its confirm": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held remaining=0
        define room capacity=1 claim_at=confirm          -> defined held=1 remaining=0
        hold k2 room                                     -> held claimed=0
        confirm room k2                                  -> sold_out
        change room k1 quantity=2                        -> sold_out held=1
        confirm room k1                                  -> confirmed held=0 taken=1
        confirm room k2                                  -> sold_out held=0 taken=1
    """,
    "r11 changes follow how the hold was granted": """
        define room capacity=4                           -> defined
        hold k1 room quantity=3                          -> held held=3
        define room capacity=4 claim_at=confirm          -> defined
        hold k2 room quantity=3                          -> held held=3 claimed=0
        change room k1 quantity=4                        -> changed held=4 claimed=4
        change room k1 quantity=1                        -> changed held=1 claimed=1
        define room capacity=4                           -> defined
        change room k2 quantity=9                        -> changed held=1 claimed=0 quantity=9
        confirm room k2                                  -> sold_out held=1 taken=0
        change room k2 quantity=3                        -> changed held=1 claimed=0
        confirm room k2                                  -> confirmed held=1 taken=3
    """,
    "r11 claim_at switched under live holds: each gives back what it took": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held held=1
        define room capacity=2 claim_at=confirm          -> defined held=1 remaining=1
        hold k2 room                                     -> held claimed=0 held=1 remaining=1
        define room capacity=2                           -> defined held=1 remaining=1
        hold k3 room                                     -> held held=2 remaining=0
        hold k4 room                                     -> sold_out
        tick 300 seconds
        hold k5 room                                     -> expired k1 k2 k3 held held=1 remaining=1
    """,
    "r11 the other way round": """
        define room capacity=1 claim_at=confirm          -> defined
        hold k1 room                                     -> held claimed=0 held=0
        define room capacity=1                           -> defined held=0 remaining=1
        hold k2 room                                     -> held claimed=1 remaining=0
        hold k3 room                                     -> sold_out
        tick 300 seconds
        define room capacity=1                           -> expired k1 k2 defined held=0 remaining=1
    """,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says."""
    Scenario().play(SCENARIOS[name])


def test_e6_capacity_lowered_from_64_to_16_with_44_sold() -> None:
    """The next 28 releases do not make it available, the 29th does; all that exists goes on in the meantime."""
    scenario = Scenario()
    scenario.play("define room capacity=64 -> defined")
    for number in range(40):
        scenario.play(f"hold s{number} room -> held\nconfirm room s{number} -> confirmed")
    scenario.play("""
        hold h1 room quantity=2                          -> held
        hold h2 room                                     -> held
        hold h3 room                                     -> held held=4 taken=40 remaining=20
        define room capacity=16                          -> defined remaining=0 oversubscribed_by=28 held=4 taken=40
        hold k1 room                                     -> sold_out
        confirm room h1                                  -> confirmed taken=42 held=2 oversubscribed_by=28
        extend room h2 seconds=400                       -> extended oversubscribed_by=28
        change room h2 quantity=2                        -> sold_out oversubscribed_by=28
        cancel room h2                                   -> cancelled remaining=0 oversubscribed_by=27
        tick 300 seconds
        expire room                                      -> expired h3 done
    """)
    for number in range(26):
        scenario.play(f"""
            cancel room s{number} -> cancelled remaining=0 oversubscribed_by={25 - number} taken={41 - number}
            hold n{number} room -> sold_out
        """)
    scenario.play("""
        confirm room s39                                 -> unchanged confirmed taken=16
        cancel room s0                                   -> unchanged cancelled taken=16 remaining=0
        cancel room s26                                  -> cancelled taken=15 remaining=1 oversubscribed_by=0
        hold k2 room                                     -> held remaining=0
        hold k3 room                                     -> sold_out
    """)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("define room capacity=1 -> held", "line 1: expected `held`, it was `defined`"),
        ("define room capacity=1 -> defined version=2", "line 1: .*it was `defined version=1`"),
        ("\n\nhold k1 room -> held", "line 3: expected `held`, it was `not_found`"),
    ],
)
def test_a_scenario_that_comes_out_otherwise_fails(text: str, message: str) -> None:
    """The tables prove something: a wrong result is reported with its line."""
    with pytest.raises(AssertionError, match=message):
        Scenario().play(text)
