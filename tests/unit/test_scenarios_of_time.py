"""What the core decides about deadlines and lifetimes, as tables (`tests.unit.scenario` says how to read them)."""

import pytest

from tests.unit.scenario import Scenario

SCENARIOS = {
    "changed lifetimes bind later holds only": """
        define room capacity=9                           -> defined
        hold k1 room                                     -> held until=300
        define room capacity=9 hold_seconds=10           -> defined
        hold k2 room                                     -> held until=10
        tick 10 seconds
        hold k3 room                                     -> expired k2 held
        tick 10 seconds
        define room capacity=9 hold_seconds=600          -> expired k3 defined held=1
        tick 279 seconds
        hold k4 room                                     -> held held=2
        tick 1 seconds
        hold k5 room                                     -> expired k1 held
    """,
    "a lifetime never goes beyond the longest, and stretches the default of that": """
        define room capacity=9 hold_seconds=60 max_hold_seconds=20 -> defined
        hold k1 room                                     -> held until=20 latest=20
        define room capacity=9 hold_seconds=3600         -> defined
        hold k2 room                                     -> held until=3600 latest=3600
        define room capacity=9 max_hold_seconds=100      -> defined
        hold k3 room                                     -> held until=100 latest=100
    """,
    "a lifetime and the longest, where one of them is not said, bend the other's default": """
        define room capacity=9 max_hold_seconds=100      -> defined hold_seconds=100 max_hold_seconds=100
        define room capacity=9 hold_seconds=3600         -> defined hold_seconds=3600 max_hold_seconds=3600
        define room capacity=9 hold_seconds=100          -> defined hold_seconds=100 max_hold_seconds=1800
        define room capacity=9 max_hold_seconds=400      -> defined hold_seconds=300 max_hold_seconds=400
    """,
    "e12 the units of an expired, unswept hold are free for the next command": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 3600 seconds
        hold k2 room                                     -> expired k1 held version=4 held=1 remaining=0
    """,
    "e14 at the very instant of its expiry a hold has expired": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held until=300
        tick 299.999999 seconds
        hold k2 room                                     -> sold_out
        tick 0.000001 seconds
        hold k3 room                                     -> expired k1 held
    """,
    "e16 expiries come in the order of expires_at, each with its version": """
        define room capacity=9 hold_seconds=30           -> defined
        hold k1 room                                     -> held
        define room capacity=9 hold_seconds=10           -> defined
        hold k2 room                                     -> held
        define room capacity=9 hold_seconds=20           -> defined
        hold k3 room                                     -> held version=6
        tick 100 seconds
        hold k4 room quantity=10                         -> expired k2 k3 k1 sold_out version=9 remaining=9
    """,
    "e15 e9 a hold expires once": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        tick 300 seconds
        hold k2 room                                     -> expired k1 held held=1
        hold k3 room                                     -> held held=2
        hold k4 room                                     -> sold_out held=2
    """,
    "expiries are told even by a command that is refused": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 300 seconds
        hold k2 room wanted_until=300                    -> expired k1 command_expired version=3 remaining=1
        hold k3 room quantity=2                          -> sold_out version=3
    """,
    "e19 r2 a backlog: a hold lives its full life from its decision": """
        define room capacity=1                           -> defined
        tick 600 seconds
        hold k1 room late=599                            -> held arrived=1 until=300
        tick 299 seconds
        hold k2 room                                     -> sold_out
        tick 1 seconds
        hold k3 room                                     -> expired k1 held
    """,
    "e19 in a backlog a deadline is judged on arrival": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 900 seconds
        hold k2 room late=601                            -> sold_out arrived=299
        hold k3 room late=600                            -> expired k1 held arrived=300 until=300
    """,
    "r1 the broker's clock steps back: the order of the log decides": """
        define room capacity=2                           -> defined arrived=0
        hold k1 room                                     -> held
        tick 300 seconds
        hold k2 room                                     -> expired k1 held arrived=300
        hold k3 room late=2                              -> held arrived=300
        hold k4 room late=299                            -> sold_out arrived=300
    """,
    "r1 the broker's clock jumps ahead: nothing arrives after its decision": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 10 seconds
        hold k2 room late=-3600                          -> sold_out arrived=10
        hold k3 room                                     -> sold_out arrived=10
        tick 290 seconds
        hold k4 room                                     -> expired k1 held arrived=300
    """,
    "even a refusal moves the last arrival on": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 300 seconds
        hold k2 room wanted_until=0                      -> expired k1 command_expired arrived=300
        hold k3 room late=200                            -> held arrived=300
    """,
    "e20 a command that nobody waits for any more is not executed": """
        define room capacity=2                           -> defined
        tick 10 seconds
        hold k1 room wanted_until=10                     -> command_expired remaining=2
        hold k2 room wanted_until=10.000001              -> held
        hold k3 room late=9 wanted_until=5               -> command_expired
        tick 10 seconds
        hold k2 room wanted_until=10.000001              -> again held
        hold k1 room wanted_until=99                     -> again command_expired
    """,
    "e18 an extension is bounded, never shortens, and one that changes nothing succeeds": """
        define room capacity=1 hold_seconds=100 max_hold_seconds=250 -> defined
        hold k1 room                                     -> held until=100 latest=250
        tick 50 seconds
        extend room k1 seconds=100                       -> extended version=3 until=100 latest=200 held=1
        extend room k1 seconds=100                       -> unchanged held version=3 until=100
        extend room k1 seconds=1                         -> unchanged held version=3 until=100
        tick 99 seconds
        extend room k1 seconds=9999                      -> extended version=4 until=101 latest=101
        extend room k1 seconds=9999                      -> unchanged held version=4 until=101
        tick 100 seconds
        extend room k1 seconds=9999                      -> unchanged held version=4 until=1
        tick 1 seconds
        hold k2 room                                     -> expired k1 held
    """,
    "e18 a refused extension changes nothing, and what is over does not come back": """
        define room capacity=3                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        hold k3 room                                     -> held version=4
        confirm room k1                                  -> confirmed version=5
        cancel room k2                                   -> cancelled version=6
        extend room k1 seconds=600                       -> hold_confirmed version=6 held=1 taken=1
        extend room k2 seconds=600                       -> hold_cancelled version=6
        tick 300 seconds
        extend room k3 seconds=600                       -> expired k3 hold_expired version=7 held=0
        extend room k3 seconds=600                       -> hold_expired version=7 held=0 taken=1
        cancel room k3                                   -> unchanged expired
    """,
    "e18 the bound is that of the grant, whatever is defined later": """
        define room capacity=2 hold_seconds=10 max_hold_seconds=60 -> defined
        hold k1 room                                     -> held latest=60
        define room capacity=2 hold_seconds=10 max_hold_seconds=20 -> defined
        hold k2 room                                     -> held latest=20
        extend room k1 seconds=999                       -> extended until=60
        extend room k2 seconds=999                       -> extended until=20
        define room capacity=2 hold_seconds=999          -> defined
        extend room k2 seconds=999                       -> unchanged held until=20
    """,
    "an extended hold expires at its new time, and not at the old one": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held until=300
        hold k2 room                                     -> held until=300
        batch
        extend room k1 seconds=400                       -> extended until=400
        extend room k1 seconds=500                       -> extended until=500
        end
        tick 300 seconds
        batch
        expire room                                      -> expired k2 done
        extend room k1 seconds=300                       -> extended until=300
        hold k3 room                                     -> held until=300 version=8
        end
        tick 299 seconds
        hold k4 room                                     -> sold_out
        tick 1 seconds
        hold k5 room                                     -> expired k1 k3 held
        expire room                                      -> done
    """,
    "e16 an extended hold expires in its new place": """
        define room capacity=9                           -> defined
        hold k1 room                                     -> held
        tick 1 seconds
        hold k2 room                                     -> held
        tick 1 seconds
        hold k3 room                                     -> held
        extend room k1 seconds=300                       -> extended until=300
        extend room k2 seconds=600                       -> extended until=600
        tick 9999 seconds
        hold k4 room quantity=10                         -> expired k1 k3 k2 sold_out
    """,
    "e11 a confirm after the time is over, before any sweeper: refused, and nothing partly written": """
        define room capacity=2                           -> defined
        hold k1 room quantity=2                          -> held version=2
        tick 300 seconds
        confirm room k1                                  -> expired k1 hold_expired version=3 held=0 taken=0 remaining=2
        confirm room k1                                  -> hold_expired version=3
        hold k2 room quantity=2                          -> held
        confirm room k1                                  -> hold_expired held=2 taken=0
    """,
    "e14 a confirm at the very instant is too late, one before it is not": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        tick 299.999999 seconds
        confirm room k1                                  -> confirmed
        tick 0.000001 seconds
        confirm room k2                                  -> expired k2 hold_expired
    """,
    "e13 confirm before expire: it is sold, and the expiry finds nothing": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 300 seconds
        batch
        confirm room k1 late=1                           -> confirmed taken=1
        expire room                                      -> done
        end
        expire room                                      -> done
        hold k2 room                                     -> sold_out held=0 taken=1
    """,
    "e13 expire before confirm: it is free, and the confirm is refused": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 300 seconds
        batch
        expire room                                      -> expired k1 done
        confirm room k1                                  -> hold_expired held=0 taken=0
        confirm room k1 late=1                           -> hold_expired arrived=300
        end
        hold k2 room                                     -> held
    """,
    "e15 r9 an Expire that comes early or twice changes nothing, and does not silence the next": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held version=2
        expire room                                      -> done
        tick 299 seconds
        expire room                                      -> done
        expire room late=-3600                           -> done
        hold k2 room                                     -> sold_out version=2 held=1
        tick 1 seconds
        expire room claim=x                              -> expired k1 done
        expire room claim=x                              -> again expired k1 done
        expire room                                      -> done
        hold k3 room                                     -> held version=4
    """,
    "e9 a hold that is changed and then over, in one batch, gives back once": """
        define room capacity=9                           -> defined
        hold k1 room quantity=3                          -> held
        hold k2 room quantity=3                          -> held
        tick 300 seconds
        batch
        change room k1 quantity=1 late=1                 -> changed held=4
        change room k2 quantity=2 late=1                 -> changed held=3
        expire room                                      -> expired k1 k2 done
        hold k3 room quantity=9                          -> held version=8 held=9 remaining=0
        end
    """,
    "e18 an extension that is over itself, in one batch": """
        define room capacity=1 max_hold_seconds=400      -> defined
        hold k1 room                                     -> held
        tick 900 seconds
        batch
        extend room k1 seconds=60 late=601               -> extended until=-500
        hold k2 room late=501                            -> sold_out arrived=399
        hold k3 room late=500                            -> expired k1 held arrived=400
        end
    """,
    "an Expire of what nobody defined does nothing": """
        expire room                                      -> done
        define room capacity=1                           -> defined version=1
    """,
    "e19 a backlog of confirms: on time by arrival is honoured, late is refused": """
        define room capacity=3                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> held
        tick 900 seconds
        batch
        confirm room k1 late=601                         -> confirmed arrived=299
        hold k3 room late=601                            -> held until=300 arrived=299
        confirm room k2 late=600                         -> expired k2 hold_expired arrived=300
        confirm room k3 late=1                           -> confirmed arrived=899
        end
    """,
    "e19 an extension that arrived in time lives from its decision": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 900 seconds
        extend room k1 seconds=60 late=601               -> extended until=60 latest=900
        tick 60 seconds
        confirm room k1                                  -> expired k1 hold_expired
    """,
    "e19 an extension that was decided after the longest life gives what is left of that": """
        define room capacity=1 max_hold_seconds=400      -> defined
        hold k1 room                                     -> held
        tick 900 seconds
        extend room k1 seconds=60 late=601               -> extended until=-500 latest=-500
        confirm room k1 late=501                         -> confirmed arrived=399
    """,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says."""
    Scenario().play(SCENARIOS[name])
