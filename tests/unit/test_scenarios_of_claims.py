"""What the core decides about keys that come again, as tables (`tests.unit.scenario` says how to read them)."""

import pytest

from tests.unit.scenario import Scenario

SCENARIOS = {
    "e23 e31 the same again, in the next batch": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held version=2 remaining=1
        hold k1 room                                     -> again held version=2 remaining=1
        hold k2 room                                     -> held version=3 remaining=0
    """,
    "e23 r3 the same again, in one batch": """
        define room capacity=2                           -> defined
        batch
        hold k1 room                                     -> held version=2 remaining=1
        hold k1 room                                     -> again held version=2 remaining=1
        hold k2 room                                     -> held version=3 remaining=0
        hold k1 room                                     -> again held version=2 remaining=1
        end
        hold k1 room                                     -> again held version=2 remaining=1
    """,
    "e24 a stored refusal stays, though stock came back": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> sold_out
        tick 300 seconds
        hold k3 room late=0 quantity=2                   -> expired k1 sold_out remaining=1
        hold k2 room                                     -> again sold_out remaining=0
        hold k4 room                                     -> held
    """,
    "e25 the same key for something else: refused, nothing executed": """
        define room capacity=9                           -> defined
        hold k1 room                                     -> held
        hold k1 room quantity=2                          -> idempotency_key_reused version=2 remaining=8
        hold k1 room quantity=2                          -> again idempotency_key_reused
        hold k1 room                                     -> again held
        hold k1 room quantity=3                          -> idempotency_key_reused
    """,
    "e25 the same key for something else, in one batch": """
        define room capacity=9                           -> defined
        batch
        hold k1 room                                     -> held version=2
        hold k1 room quantity=2                          -> idempotency_key_reused version=2
        hold k1 room quantity=2                          -> again idempotency_key_reused version=2
        hold k1 room                                     -> again held version=2
        end
    """,
    "e25 a key used for a definition is used for a hold too": """
        define room capacity=9 claim=k1                  -> defined
        hold k1 room                                     -> idempotency_key_reused remaining=9
        define room capacity=9 claim=k1                  -> again defined
    """,
    "e25 a key that was refused is used all the same": """
        define room capacity=1                           -> defined
        hold k1 room quantity=2                          -> sold_out
        hold k1 room                                     -> idempotency_key_reused
        hold k2 room                                     -> held
    """,
    "e23 who the buyer is, and the token, are no part of what was asked for": """
        define room capacity=9                           -> defined
        hold k1 room buyer=ann                           -> held
        hold k1 room buyer=bob                           -> again held
        hold k1 room                                     -> again held
        hold k1 room client_reference=order-7            -> idempotency_key_reused
    """,
    "e27 two callers with one key are two": """
        define room capacity=9                           -> defined
        hold k1 room                                     -> held version=2
        hold k1 room source=gateway/bob                  -> held version=3
        hold k1 room source=gateway/bob quantity=2       -> idempotency_key_reused
    """,
    "r5 one key on two resources, in one batch: each gets its own answer": """
        define room capacity=9                           -> defined
        define hall capacity=9                           -> defined
        batch
        hold k1 room                                     -> held version=2
        hold k1 hall                                     -> idempotency_key_reused version=1 remaining=9
        end
        hold k1 hall                                     -> again idempotency_key_reused
        hold k1 room                                     -> again held
    """,
    "r5 one key on two resources, in two batches": """
        define room capacity=9                           -> defined
        hold k1 hall                                     -> not_found
        hold k1 room                                     -> idempotency_key_reused remaining=9
        hold k1 hall                                     -> again not_found
    """,
    "two resources in one batch know nothing of each other": """
        batch
        define room capacity=1                           -> defined version=1
        define hall capacity=2                           -> defined version=1
        hold k1 room                                     -> held version=2 remaining=0
        hold k2 hall                                     -> held version=2 remaining=1
        hold k3 room                                     -> sold_out version=2
        end
    """,
    "a resource and its holds within one batch, as if one by one": """
        batch
        hold k1 room                                     -> not_found
        define room capacity=2                           -> defined version=1
        hold k2 room                                     -> held version=2
        hold k3 room quantity=2                          -> sold_out version=2
        define room capacity=3                           -> defined version=3 remaining=2
        hold k4 room quantity=2                          -> held version=4 remaining=0
        end
    """,
    "r12 a record older than outcomes are kept is not decided, though its outcome may still be there": """
        define room capacity=9                           -> defined
        tick 1209600 seconds
        hold k1 room late=1209599                        -> held
        hold k2 room late=1209600                        -> too_old
        hold k3 room late=9999999                        -> too_old
        hold k4 room                                     -> held
    """,
    "r12 a too old record between others of its batch": """
        define room capacity=2                           -> defined
        tick 1209600 seconds
        batch
        hold k1 room                                     -> held version=2
        hold k2 room late=1209600                        -> too_old
        hold k3 room                                     -> held version=3
        end
        hold k2 room                                     -> sold_out
    """,
    "r12 the same hold after its outcome was purged is answered from the hold that exists": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held version=2
        purge
        tick 100 seconds
        hold k1 room                                     -> unchanged held version=2 until=200 held=1
        hold k1 room                                     -> again unchanged held
        define room capacity=1 open=false                -> defined
        purge
        hold k1 room wanted_until=0                      -> unchanged held version=3 held=1
        confirm room k1                                  -> confirmed version=4
        purge
        hold k1 room                                     -> unchanged confirmed version=4 taken=1
        cancel room k1                                   -> cancelled version=5
        purge
        hold k1 room                                     -> unchanged cancelled version=5 held=0 remaining=1
    """,
    "r12 even of a hold whose time is over by then": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        purge
        tick 300 seconds
        hold k1 room                                     -> expired k1 unchanged expired version=3 remaining=1
        purge
        hold k1 room                                     -> unchanged expired version=3 remaining=1
        hold k2 room                                     -> held
    """,
    "r12 though its key was used for something else since": """
        define room capacity=9                           -> defined
        hold k1 room                                     -> held
        purge
        hold k1 room quantity=2                          -> held held=3
        hold k1 room                                     -> unchanged held quantity=1 held=3
        hold k1 room quantity=3                          -> idempotency_key_reused
    """,
    "r12 a hold that was refused, and purged, is asked for anew": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        hold k2 room                                     -> sold_out
        cancel room k1                                   -> cancelled
        purge
        hold k2 room                                     -> held
    """,
    "r12 twice in one batch": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        purge
        batch
        hold k1 room                                     -> unchanged held version=2
        hold k1 room                                     -> again unchanged held version=2
        confirm room k1                                  -> confirmed
        end
    """,
    "a definition only at the version it was made for": """
        define room capacity=1 if_version=1              -> version_mismatch version=0
        define room capacity=1 if_version=0              -> defined version=1
        define room capacity=2 if_version=0              -> version_mismatch version=1 capacity=1
        define room capacity=2 if_version=1              -> defined version=2 capacity=2
    """,
    "an expiry moves the version on before it is compared": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held version=2
        tick 300 seconds
        define room capacity=2 if_version=2              -> expired k1 version_mismatch version=3
    """,
    "r10 a command that made the worker fail is refused, and the next one decided": """
        define room capacity=2                           -> defined
        hold k1 room                                     -> held
        fail k2 room                                     -> internal_error version=2 held=1 remaining=1
        hold k2 room                                     -> again internal_error
        fail k2 room                                     -> again internal_error
        fail k1 room                                     -> again held
        hold k2 room quantity=2                          -> idempotency_key_reused
        hold k3 room                                     -> held
        fail k9 hall                                     -> internal_error version=0
    """,
    "a failed command leaves what is due to the next": """
        define room capacity=1                           -> defined
        hold k1 room                                     -> held
        tick 300 seconds
        fail k2 room                                     -> internal_error version=2 held=1
        hold k3 room late=100                            -> expired k1 held arrived=300
    """,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says."""
    Scenario().play(SCENARIOS[name])
