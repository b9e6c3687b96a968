"""What comes of payments that overtake their order, the first row of the design's table, as scenarios of a sale."""

import pytest

from tests.unit.sale_scenario import Sale

NONE_YET = """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe quantity=2                              -> held
        plan o1 shoe k1
"""

SCENARIOS = {
    "e41 none yet, paid: parked, and counted when the order comes": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=EUR -> parked version=3 held=2
        order o1 shoe k1                                     -> placed counted:bank/p1 paid:o1 version=6 taken=2 counted=1000
        tick 1000 seconds
        expire shoe                                          -> done
    """,
    "e41 none yet, paid without an amount: the whole amount due": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid                          -> parked
        order o1 shoe k1                                     -> placed counted:bank/p1 paid:o1 counted=1000
    """,
    "none yet, paid, and the order never comes: an alarm, and the money is to be given back, once": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid amount=1000              -> parked
        pay e2 shoe o1 bank/p2 paid                          -> parked
        pay e3 shoe o1 bank/p3 failed                        -> parked
        tick 899 seconds
        expire shoe                                          -> expired:k1
        tick 1 seconds
        expire shoe -> orphaned:bank/p1 refund:bank/p1 orphaned:bank/p2 refund:bank/p2 refund=all why=order_never_came
        expire shoe                                          -> done
        pay e4 shoe o1 bank/p1 paid amount=1000              -> ignored
        pay e5 shoe o1 bank/p1 refunded                      -> parked payment=refunded
    """,
    "none yet, paid: what is said later of it does not make it wait longer": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid amount=1000              -> parked
        tick 800 seconds
        pay e2 shoe o1 bank/p1 refunded amount=100           -> expired:k1 parked payment=paid
        tick 100 seconds
        expire shoe                                          -> orphaned:bank/p1 refund:bank/p1 refund=900
    """,
    "an order that comes after all finds the money on its way back": f"""{NONE_YET}
        extend shoe k1 seconds=1500                          -> extended
        pay e1 shoe o1 bank/p1 paid amount=1000              -> parked
        tick 900 seconds
        order o1 shoe k1                                     -> orphaned:bank/p1 refund:bank/p1 placed counted=0 refund_due=1000
        pay e2 shoe o1 bank/p2 paid amount=1000              -> counted paid:o1 taken=2
        pay e3 shoe o1 bank/p1 refunded                      -> recorded
    """,
    "none yet, fails: parked, and ends the order when it comes": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 failed                        -> parked
        order o1 shoe k1                                     -> placed cancelled:o1 ended_by=failure remaining=2
        pay e2 shoe o1 bank/p2 paid amount=1000              -> counted recovered:o1 taken=2
    """,
    "none yet, fails in a first try only: the order waits": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 attempt_failed                -> parked
        pay e2 shoe o1 bank/p1 processing                    -> parked
        order o1 shoe k1                                     -> placed held=2
        pay e3 shoe o1 bank/p1 paid                          -> counted paid:o1
    """,
    "none yet, failed and paid, in either order: paid": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 failed                        -> parked
        pay e2 shoe o1 bank/p2 paid                          -> parked
        pay e3 shoe o1 bank/p1 failed                        -> parked
        order o1 shoe k1                                     -> placed counted:bank/p2 paid:o1
    """,
    "none yet, refunded: parked, and nothing counts when the order comes": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid amount=1000              -> parked
        pay e2 shoe o1 bank/p1 refunded                      -> parked payment=refunded
        order o1 shoe k1                                     -> placed counted=0 held=2
        pay e3 shoe o1 bank/p2 refunded                      -> recorded payment=refunded refunded=0
        pay e4 shoe o1 bank/p2 paid amount=1000              -> ignored
        tick 900 seconds
        expire shoe                                          -> cancelled:o1 refund_due=0
    """,
    "none yet, in parts of which some came back": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid                          -> parked
        pay e2 shoe o1 bank/p1 refunded amount=400           -> parked payment=paid
        order o1 shoe k1                                     -> placed counted:bank/p1 held=2
        pay e3 shoe o1 bank/p2 paid amount=400               -> counted paid:o1 counted=1000
    """,
    "none yet, refunded before it was paid": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 refunded amount=1000          -> parked payment=processing
        pay e2 shoe o1 bank/p1 paid amount=1000              -> parked payment=refunded refunded=1000
        order o1 shoe k1                                     -> placed held=2
        pay e3 shoe o1 bank/p2 refunded amount=1000          -> recorded payment=processing
        pay e4 shoe o1 bank/p2 paid                          -> recorded payment=refunded
    """,
    "none yet, two payments: one counts, the other is charged twice": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid                          -> parked
        tick 1 seconds
        pay e2 shoe o1 card/p1 paid                          -> parked
        order o1 shoe k1 -> placed counted:bank/p1 paid:o1 refund_required:card/p1 refund:card/p1 why=charged_twice
    """,
    "none yet, paid without an amount, and the order never comes: what is refunded then is all of it": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid currency=EUR             -> parked
        tick 900 seconds
        expire shoe                                          -> expired:k1 orphaned:bank/p1 refund:bank/p1 refund=all
        pay e2 shoe o1 bank/p1 refunded amount=1000          -> parked payment=refunded refunded=1000
    """,
    "none yet, paid without an amount, refunded in part: the order says how much is left": f"""{NONE_YET}
        extend shoe k1 seconds=1500                          -> extended
        pay e1 shoe o1 bank/p1 paid                          -> parked
        pay e2 shoe o1 bank/p2 paid                          -> parked
        pay e3 shoe o1 bank/p2 refunded amount=1000          -> parked payment=paid
        pay e4 shoe o1 bank/p3 paid currency=USD             -> parked
        tick 900 seconds
        expire shoe -> orphaned:bank/p1 refund:bank/p1 orphaned:bank/p2 refund:bank/p2 orphaned:bank/p3 refund:bank/p3
        order o1 shoe k1                                     -> placed recorded:bank/p1 recorded:bank/p2 held=2
        pay e5 shoe o1 bank/p1 refunded amount=400           -> recorded payment=refund_required
        pay e6 shoe o1 bank/p1 refunded amount=1000          -> recorded payment=refunded
        pay e7 shoe o1 bank/p2 refunded                      -> ignored payment=refunded
        pay e8 shoe o1 bank/p3 refunded amount=1100 currency=USD -> recorded payment=refunded
    """,
    "none yet, paid, and the order costs nothing: it is paid once, and overpaid": """
        define shoe capacity=2 price=0 currency=EUR          -> defined
        hold k1 shoe                                         -> held
        plan o1 shoe k1
        pay e1 shoe o1 bank/p1 paid amount=5                 -> parked
        order o1 shoe k1                                     -> placed counted:bank/p1 paid:o1 overpaid_by=5 taken=1
    """,
    "what is due is told in the currency of the order": f"""{NONE_YET}
        extend shoe k1 seconds=1500                          -> extended
        pay e1 shoe o1 bank/p1 paid amount=7000 currency=USD -> parked
        pay e2 shoe o1 bank/p2 paid amount=300               -> parked
        tick 900 seconds
        order o1 shoe k1 -> orphaned:bank/p1 refund:bank/p1 orphaned:bank/p2 refund:bank/p2 placed refund_due=300
    """,
    "another currency, refunded in part before it is heard of, when the order has not come": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 refunded amount=300 currency=USD -> parked payment=processing
        pay e2 shoe o1 bank/p2 refunded amount=1000 currency=USD -> parked payment=processing
        pay e3 shoe o1 bank/p1 paid amount=1000              -> parked payment=paid
        order o1 shoe k1                                     -> placed mismatched:bank/p1 held=2
        pay e4 shoe o1 bank/p2 paid amount=1000 currency=USD -> recorded payment=refunded refunded=1000
        pay e5 shoe o1 bank/p1 refunded amount=1000          -> recorded payment=refunded refunded=1000
    """,
    "another currency, paid, when the order has not come: mismatched when it does; at once if it is nothing": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> parked
        pay e2 shoe o1 bank/p2 paid amount=0                 -> mismatched
        pay e3 shoe o1 bank/p3 failed currency=USD           -> parked
        order o1 shoe k1                                     -> placed mismatched:bank/p1 held=2
        pay e4 shoe o1 bank/p3 failed currency=USD           -> recorded held=2
        pay e5 shoe o1 bank/p1 refunded amount=1000          -> recorded payment=refunded
        tick 900 seconds
        expire shoe                                          -> cancelled:o1
    """,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says, and units and money add up after each."""
    Sale().play(SCENARIOS[name])
