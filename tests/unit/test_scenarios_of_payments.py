"""Every cell of the design's table of payments, as a scenario (`tests.unit.sale_scenario` says how to read them)."""

import pytest

from tests.unit.sale_scenario import Sale

ORDERED = """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe quantity=2                              -> held
        order o1 shoe k1                                     -> placed held=2
"""
NONE_YET = """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe quantity=2                              -> held
        plan o1 shoe k1
"""
PAID = f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=EUR -> counted paid:o1 held=0 taken=2
"""
EXPIRED = f"""{ORDERED}
        tick 900 seconds
        expire shoe                                          -> cancelled:o1 ended_by=deadline remaining=2
"""
FAILED = f"""{ORDERED}
        pay e0 shoe o1 bank/p0 failed                        -> recorded cancelled:o1 ended_by=failure remaining=2
"""
CALLED_OFF = f"""{ORDERED}
        refuse shoe o1                                       -> cancelled ended_by=request remaining=2
"""
REFUNDED = f"""{PAID}
        pay e2 shoe o1 bank/p1 refunded return_units=true    -> recorded refunded:o1 taken=0 remaining=2
"""

BEFORE_THE_ORDER = {
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
        pay e3 shoe o1 bank/p2 refunded                      -> recorded payment=refunded
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
        pay e2 shoe o1 bank/p1 paid amount=1000              -> parked payment=refunded
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
    "none yet, another currency: mismatched when the order comes, and before that if there is no amount": f"""{NONE_YET}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> parked
        pay e2 shoe o1 bank/p2 paid amount=0                 -> mismatched
        pay e3 shoe o1 bank/p3 failed currency=USD           -> parked
        order o1 shoe k1                                     -> placed mismatched:bank/p1 held=2
        tick 900 seconds
        expire shoe                                          -> cancelled:o1
    """,
}

PENDING = {
    "e42 pending, paid in full": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=EUR -> counted paid:o1 taken=2 held=0 overpaid_by=0
        tick 900 seconds
        expire shoe                                          -> done
    """,
    "e42 pending, paid in parts that add up": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted version=4 held=2
        pay e2 shoe o1 card/p1 paid amount=599               -> counted version=5 held=2
        pay e3 shoe o1 card/p2 paid amount=1                 -> counted paid:o1 version=7 taken=2 counted=1000
    """,
    "e42 pending, paid too much": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=999               -> counted
        pay e2 shoe o1 bank/p2 paid amount=999               -> counted paid:o1 overpaid_by=998 counted=1998
    """,
    "e33 a failed try, then paid": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 processing                    -> recorded version=4
        pay e2 shoe o1 bank/p1 attempt_failed                -> recorded version=4 held=2
        pay e3 shoe o1 bank/p1 paid                          -> counted paid:o1
    """,
    "pending, fails for good": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 failed                        -> recorded cancelled:o1 ended_by=failure held=0 remaining=2
        pay e2 shoe o1 bank/p1 failed                        -> recorded version=5
    """,
    "pending, fails for good beside money that counts: that is to be given back": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e2 shoe o1 bank/p2 failed                        -> recorded refund_required:o1 refund:bank/p1 refund=400 remaining=2
        pay e3 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 refund_due=0
    """,
    "pending, a payment that is there does not fail any more": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e2 shoe o1 bank/p1 failed                        -> ignored held=2
    """,
    "pending, refunded: it no longer counts": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=600               -> counted
        pay e2 shoe o1 bank/p1 refunded                      -> recorded
        pay e3 shoe o1 bank/p2 paid amount=600               -> counted held=2
        pay e4 shoe o1 bank/p2 refunded amount=100           -> recorded
        pay e5 shoe o1 bank/p3 paid amount=499               -> counted held=2
        pay e6 shoe o1 bank/p4 paid amount=1                 -> counted paid:o1 counted=1000
    """,
    "pending, its time over with money that counts: that is to be given back": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e2 shoe o1 card/p1 paid amount=400               -> counted
        tick 900 seconds
        expire shoe -> refund_required:o1 refund:bank/p1 refund:card/p1 refund_due=800 remaining=2 why=order_ended
        pay e3 shoe o1 bank/p1 refunded                      -> recorded version=9
        pay e4 shoe o1 card/p1 refunded amount=399           -> recorded version=10
        pay e5 shoe o1 card/p1 refunded amount=400           -> recorded refunded:o1 version=12
    """,
    "pending, called off with money that counts": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        refuse shoe o1                                       -> refund_required refund:bank/p1 remaining=2
    """,
    "e42 pending, another currency or no amount": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> mismatched version=4 held=2
        pay e2 shoe o1 bank/p2 paid amount=0 currency=EUR    -> mismatched held=2
        pay e3 shoe o1 bank/p3 paid amount=-5                -> mismatched held=2
        pay e4 shoe o1 bank/p4 failed currency=USD           -> recorded held=2
        pay e5 shoe o1 bank/p5 refunded currency=USD         -> recorded held=2
        pay e6 shoe o1 bank/p1 failed                        -> recorded cancelled:o1
    """,
    "a payment that was mismatched may be put right": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> mismatched
        pay e2 shoe o1 bank/p1 paid amount=1000 currency=EUR -> counted paid:o1
    """,
}

AFTER_PAYING = {
    "e36 paid, the same payment again: nothing": f"""{PAID}
        pay e2 shoe o1 bank/p1 paid amount=1000              -> ignored version=5 taken=2
        pay e1 shoe o1 bank/p1 paid amount=1000 claim=other  -> unchanged version=5
        purge
        tick 259200 seconds
        pay e1 shoe o1 bank/p1 paid amount=1000              -> unchanged version=5 taken=2
        pay e1 shoe o1 bank/p9 paid amount=1000 claim=third  -> idempotency_key_reused
        pay e1 shoe o1 card/p9 paid amount=1000 claim=fourth -> refund_required refund:card/p9
    """,
    "r13 paid, another payment: it is to be given back, the order stays paid": f"""{PAID}
        pay e2 shoe o1 card/p1 paid amount=1000 -> refund_required refund:card/p1 version=7 taken=2 why=charged_twice refund=1000
        pay e3 shoe o1 card/p1 paid amount=1000              -> ignored version=7
        pay e4 shoe o1 card/p1 refunded return_units=true    -> recorded taken=2
        pay e5 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 taken=2
    """,
    "e34 paid, a late failure of it or of another: recorded": f"""{PAID}
        pay e2 shoe o1 bank/p1 failed                        -> ignored taken=2
        pay e3 shoe o1 bank/p1 attempt_failed                -> ignored
        pay e4 shoe o1 card/p1 failed                        -> recorded taken=2
    """,
    "paid, refunded in full: units return if the refund says so": f"""{PAID}
        pay e2 shoe o1 bank/p1 refunded return_units=true    -> recorded refunded:o1 version=7 taken=0 remaining=2
        pay e3 shoe o1 bank/p1 refunded return_units=true    -> ignored version=7 remaining=2
    """,
    "paid, refunded in full: units stay away if it does not, until a later one does": f"""{PAID}
        pay e2 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 taken=2
        pay e3 shoe o1 bank/p1 refunded return_units=true    -> recorded refunded:o1 taken=0 remaining=2
        pay e4 shoe o1 bank/p1 refunded return_units=true    -> ignored remaining=2
    """,
    "paid, refunded in part: the order stays paid, until the rest is": f"""{PAID}
        pay e2 shoe o1 bank/p1 refunded amount=400           -> recorded taken=2
        pay e3 shoe o1 bank/p1 refunded amount=300           -> ignored taken=2
        pay e4 shoe o1 bank/p1 refunded amount=5000          -> recorded refunded:o1
    """,
    "paid by two, refunded one by one": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e2 shoe o1 card/p1 paid amount=600               -> counted paid:o1
        pay e3 shoe o1 bank/p1 refunded return_units=true    -> recorded taken=2
        pay e4 shoe o1 card/p1 refunded                      -> recorded refunded:o1 taken=0
    """,
    "paid, another currency: mismatched, recorded": f"""{PAID}
        pay e2 shoe o1 bank/p2 paid amount=9 currency=USD    -> mismatched taken=2
        pay e3 shoe o1 bank/p1 refunded amount=9 currency=USD -> recorded taken=2
        pay e4 shoe o1 bank/p1 refunded amount=0             -> recorded taken=2
    """,
    "a payment is of one order only, on whichever product": """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        define boot capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        hold k2 shoe                                         -> held
        hold k3 boot                                         -> held
        order o1 shoe k1                                     -> placed
        order o2 shoe k2                                     -> placed
        order o3 boot k3                                     -> placed
        batch
        pay e1 shoe o1 bank/p1 paid                          -> counted paid:o1
        pay e2 shoe o2 bank/p1 paid                          -> payment_of_another_order
        pay e3 boot o3 bank/p1 paid                          -> payment_of_another_order
        pay e1 boot o3 bank/p1 paid claim=x                  -> payment_of_another_order
        pay e1 boot o3 bank/p2 paid claim=y                  -> idempotency_key_reused
        end
        pay e4 boot o3 bank/p1 paid                          -> payment_of_another_order
    """,
}

AFTER_THE_END = {
    "e38 its time over, paid and units free: recovered": f"""{EXPIRED}
        pay e1 shoe o1 bank/p1 paid amount=1000              -> counted recovered:o1 version=6 taken=2 remaining=0 status=paid
        pay e2 shoe o1 bank/p1 paid amount=1000              -> ignored taken=2
    """,
    "e38 failed, paid and units free: recovered": f"""{FAILED}
        pay e1 shoe o1 bank/p1 paid amount=1200              -> counted recovered:o1 taken=2 overpaid_by=200 ended_by=nothing
    """,
    "e38 in one step with the deadline, that nobody had noticed": f"""{ORDERED}
        tick 900 seconds
        pay e1 shoe o1 bank/p1 paid amount=1000              -> cancelled:o1 counted recovered:o1 taken=2
    """,
    "e39 e40 its time over, paid and units sold: to be given back, once": f"""{EXPIRED}
        hold k2 shoe                                         -> held remaining=1
        pay e1 shoe o1 bank/p1 paid amount=1000 -> refund_required refund_required:o1 refund:bank/p1 held=1 taken=0 why=sold_out
        pay e2 shoe o1 bank/p1 paid amount=1000              -> ignored
        pay e1 shoe o1 bank/p1 paid amount=1000              -> again refund_required refund_required:o1 refund:bank/p1
        pay e3 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1
        pay e4 shoe o1 bank/p1 refunded return_units=true    -> recorded taken=0 remaining=1
        pay e5 shoe o1 card/p1 refunded                      -> recorded refunded:o1
    """,
    "its time over, paid too little: to be given back": f"""{EXPIRED}
        pay e1 shoe o1 bank/p1 paid amount=999               -> refund_required refund_required:o1 refund:bank/p1 why=order_ended
        pay e2 shoe o1 bank/p2 paid amount=1000              -> counted recovered:o1 counted=1000 refund_due=999 taken=2
        pay e3 shoe o1 bank/p1 refunded return_units=true    -> recorded taken=2
        pay e4 shoe o1 bank/p2 refunded return_units=true    -> recorded refunded:o1 remaining=2
    """,
    "its time over, fails: recorded": f"""{EXPIRED}
        pay e1 shoe o1 bank/p1 failed                        -> recorded version=5
        pay e2 shoe o1 bank/p2 refunded                      -> recorded version=6
    """,
    "called off, paid: to be given back, never recovered": f"""{CALLED_OFF}
        pay e1 shoe o1 bank/p1 paid amount=1000 -> refund_required refund:bank/p1 version=6 remaining=2 why=order_ended
        pay e2 shoe o1 bank/p1 failed                        -> ignored
        pay e3 shoe o1 bank/p2 failed                        -> recorded
        pay e4 shoe o1 bank/p1 refunded return_units=true    -> recorded remaining=2
        refuse shoe o1                                       -> unchanged status=cancelled
    """,
    "e35 refunded, another paid: to be given back; a copy is nothing": f"""{REFUNDED}
        pay e3 shoe o1 bank/p1 paid amount=1000              -> ignored remaining=2
        pay e4 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1 remaining=2
        pay e5 shoe o1 card/p1 refunded return_units=true    -> recorded remaining=2
        pay e6 shoe o1 card/p2 failed                        -> recorded
        refuse shoe o1                                       -> unchanged status=refunded
    """,
    "e35 called off when paid, then a copy, then another": f"""{PAID}
        refuse shoe o1                                       -> refund_required refund:bank/p1
        pay e2 shoe o1 bank/p1 paid amount=1000              -> ignored taken=2
        pay e3 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1 taken=2
        pay e4 shoe o1 bank/p1 refunded return_units=true    -> recorded taken=2
        pay e5 shoe o1 card/p1 refunded                      -> recorded refunded:o1 taken=0 refund_due=0
    """,
    "ended, another currency: mismatched": f"""{EXPIRED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> mismatched remaining=2
        refuse shoe o1                                       -> cancelled
        pay e2 shoe o1 bank/p2 paid amount=0                 -> mismatched remaining=2
    """,
    "refunded before it is heard of": f"""{PAID}
        pay e2 shoe o1 card/p1 refunded                      -> recorded taken=2
        pay e3 shoe o1 card/p1 paid amount=1000              -> ignored taken=2
        pay e4 shoe o1 card/p2 refunded amount=1000          -> recorded
        pay e5 shoe o1 card/p2 paid amount=1000              -> recorded payment=refunded
        pay e6 shoe o1 card/p3 refunded amount=300           -> recorded
        pay e7 shoe o1 card/p3 paid amount=1000              -> refund_required refund:card/p3 refund=700
    """,
}

PARTS = (BEFORE_THE_ORDER, PENDING, AFTER_PAYING, AFTER_THE_END)
SCENARIOS = {name: text for part in PARTS for name, text in part.items()}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says, and units and money add up after each."""
    Sale().play(SCENARIOS[name])


def test_no_scenario_hides_another() -> None:
    """Two of one name would be one."""
    assert len(SCENARIOS) == sum(len(part) for part in PARTS)
