"""Every cell of the design's table of payments, as a scenario (`tests.unit.sale_scenario` says how to read them).

A scenario of a cell is named by it: where the order is, and what the provider says (`ROWS`, `COLUMNS`).
"""

import re

import pytest

from tests.unit.sale_scenario import Sale
from tests.unit.test_scenarios_of_early_payments import SCENARIOS as BEFORE_THE_ORDER

ORDERED = """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe quantity=2                              -> held
        order o1 shoe k1                                     -> placed held=2
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
        pay e4 shoe o1 card/p2 refunded amount=1             -> recorded payment=refunded version=8
    """,
    "e42 pending, paid too much": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=999               -> counted
        pay e2 shoe o1 bank/p2 paid amount=999               -> counted paid:o1 overpaid_by=998 counted=1998
    """,
    "e42 pending, paid without an amount: what the order still lacks": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e2 shoe o1 card/p1 paid                          -> counted paid:o1 counted=1000 overpaid_by=0
        pay e3 shoe o1 card/p2 paid                          -> refund_required refund:card/p2 refund=1000
        refuse shoe o1 -> refund_required refund:bank/p1 refund:card/p1 refund_due=2000 refund=600
    """,
    "e33 a failed try, then paid": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 processing                    -> recorded version=4
        pay e2 shoe o1 bank/p1 attempt_failed                -> recorded version=4 held=2
        pay e3 shoe o1 bank/p1 paid                          -> counted paid:o1
    """,
    "e36 an event id that comes with other words is no copy, however late, whoever sends it": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 processing                    -> recorded version=4
        pay e1 shoe o1 bank/p1 paid amount=1000              -> idempotency_key_reused version=4 held=2
        pay e1 shoe o1 bank/p1 paid amount=1000 claim=other  -> idempotency_key_reused version=4
        purge
        pay e1 shoe o1 bank/p1 paid amount=1000              -> idempotency_key_reused version=4
        pay e1 shoe o1 bank/p1 processing claim=third        -> unchanged version=4
        pay e2 shoe o1 bank/p1 paid amount=1000              -> counted paid:o1
        pay e2 shoe o1 bank/p1 paid amount=999 claim=c4      -> idempotency_key_reused
        pay e2 shoe o1 bank/p1 paid amount=1000 currency=EUR claim=c5 -> idempotency_key_reused
        pay e3 shoe o1 bank/p1 refunded amount=5             -> recorded
        pay e3 shoe o1 bank/p1 refunded amount=5 return_units=true claim=c6 -> idempotency_key_reused
        pay e3 shoe o1 bank/p1 refunded amount=5 claim=c7    -> unchanged
    """,
    "e36 an event id that comes with other words in one batch": f"""{ORDERED}
        batch
        pay e1 shoe o1 bank/p1 processing                    -> recorded
        pay e1 shoe o1 bank/p1 paid amount=1000              -> idempotency_key_reused held=2
        pay e1 shoe o1 bank/p1 paid amount=1000 claim=other  -> idempotency_key_reused
        pay e1 shoe o1 bank/p1 processing claim=third        -> unchanged
        end
    """,
    "e36 an event that comes again for another product is no copy": f"""{ORDERED}
        define boot capacity=2 price=500 currency=EUR        -> defined
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e1 boot o1 bank/p1 paid amount=400 claim=other   -> idempotency_key_reused
        pay e1 shoe o1 bank/p1 paid amount=400 claim=third   -> unchanged held=2
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
    "e42 another currency, paid, or nothing at all: mismatched, the order still waits": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> mismatched version=4 held=2
        pay e2 shoe o1 bank/p2 paid amount=0 currency=EUR    -> mismatched held=2
        pay e3 shoe o1 bank/p3 paid amount=-5                -> mismatched held=2
        pay e4 shoe o1 bank/p4 failed currency=USD           -> recorded held=2
        pay e5 shoe o1 bank/p5 refunded currency=USD         -> recorded payment=refunded held=2
    """,
    "another currency, fails: recorded, be it the mismatched payment or another": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> mismatched
        pay e2 shoe o1 bank/p1 failed                        -> recorded version=4 held=2
        pay e3 shoe o1 bank/p1 failed currency=USD           -> recorded version=4 held=2
        pay e4 shoe o1 bank/p2 failed currency=USD           -> recorded version=5 held=2
        pay e5 shoe o1 bank/p3 paid amount=1000              -> counted paid:o1
    """,
    "another currency, refunded: the mismatched payment is done with, the order does not change": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=900 currency=USD  -> mismatched
        pay e2 shoe o1 bank/p1 refunded amount=400 currency=USD -> recorded payment=mismatched refunded=400
        pay e3 shoe o1 bank/p1 refunded amount=900 currency=EUR -> recorded payment=mismatched refunded=400
        pay e4 shoe o1 bank/p1 refunded amount=900 currency=USD return_units=true -> recorded payment=refunded refunded=900
        pay e5 shoe o1 bank/p2 paid amount=900 currency=USD  -> mismatched
        pay e6 shoe o1 bank/p2 refunded amount=900           -> recorded payment=refunded
        pay e7 shoe o1 bank/p3 paid amount=0                 -> mismatched
        pay e8 shoe o1 bank/p3 refunded amount=300           -> recorded payment=mismatched
        pay e9 shoe o1 bank/p3 refunded                      -> recorded payment=refunded refunded=300 held=2
        pay e10 shoe o1 bank/p4 paid amount=1000             -> counted paid:o1 taken=2
    """,
    "another currency, refunded before it is heard of: nothing is left that needs an operator": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 refunded amount=1000 currency=USD -> recorded payment=processing refunded=1000
        pay e2 shoe o1 bank/p1 paid amount=1000 currency=USD -> recorded payment=refunded refunded=1000
        pay e3 shoe o1 bank/p2 refunded amount=300 currency=USD -> recorded payment=processing
        pay e4 shoe o1 bank/p2 refunded amount=400 currency=EUR -> recorded payment=processing refunded=300
        pay e5 shoe o1 bank/p2 paid amount=1000              -> mismatched payment=mismatched refunded=300
        pay e6 shoe o1 bank/p2 refunded amount=1000          -> recorded payment=refunded refunded=1000
        pay e7 shoe o1 bank/p3 refunded currency=USD         -> recorded payment=refunded
        pay e8 shoe o1 bank/p3 paid amount=1000 currency=USD -> ignored payment=refunded held=2
        pay e9 shoe o1 bank/p4 refunded amount=1000          -> recorded payment=processing
        pay e10 shoe o1 bank/p4 paid amount=1000 currency=USD -> recorded payment=refunded refunded=1000 held=2
    """,
    "another currency, refunded, and then paid in the order's: that was refunded of other money": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 refunded amount=1000 currency=USD return_units=true -> recorded payment=processing
        pay e2 shoe o1 bank/p1 paid amount=1000 currency=EUR -> counted paid:o1 taken=2
        pay e3 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 taken=2
    """,
    "a payment that was mismatched may be put right": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=USD -> mismatched
        pay e2 shoe o1 bank/p1 paid amount=1000 currency=EUR -> counted paid:o1
    """,
}

AFTER_PAYING = {
    "e36 paid, paid again by the same payment: nothing": f"""{PAID}
        pay e2 shoe o1 bank/p1 paid amount=1000              -> ignored version=5 taken=2
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=EUR claim=other -> unchanged version=5
        purge
        tick 259200 seconds
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=EUR -> unchanged version=5 taken=2
        pay e1 shoe o1 bank/p9 paid amount=1000 claim=third  -> idempotency_key_reused
        pay e1 shoe o1 card/p9 paid amount=1000 claim=fourth -> refund_required refund:card/p9
    """,
    "r13 paid, paid by another: that is to be given back, the order stays paid": f"""{PAID}
        pay e2 shoe o1 card/p1 paid amount=1000 -> refund_required refund:card/p1 version=7 taken=2 why=charged_twice refund=1000
        pay e3 shoe o1 card/p1 paid amount=1000              -> ignored version=7
        pay e4 shoe o1 card/p1 refunded return_units=true    -> recorded taken=2
        pay e5 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 taken=2
    """,
    "e34 paid, fails late, it or another: recorded": f"""{PAID}
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
    "paid, refunded: only money that took the units says what becomes of them": f"""{ORDERED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> counted
        pay e2 shoe o1 bank/p1 refunded return_units=true    -> recorded held=2
        pay e3 shoe o1 bank/p2 paid amount=1000              -> counted paid:o1
        pay e4 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1
        pay e5 shoe o1 bank/p2 refunded                      -> recorded refunded:o1 taken=2
        pay e6 shoe o1 card/p1 refunded return_units=true    -> recorded taken=2
        pay e7 shoe o1 bank/p1 refunded return_units=true    -> ignored taken=2
        pay e8 shoe o1 bank/p2 refunded return_units=true    -> recorded refunded:o1 taken=0 remaining=2
    """,
    "paid, refunded in part: the first part may say that the units return": f"""{PAID}
        pay e2 shoe o1 bank/p1 refunded amount=400 return_units=true -> recorded taken=2
        pay e3 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 taken=0
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
    "another currency, paid, when the order is paid: mismatched, recorded": f"""{PAID}
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
    "its time over, paid in parts: each is given back, as nobody waits for the rest": f"""{EXPIRED}
        pay e1 shoe o1 bank/p1 paid amount=400               -> refund_required refund_required:o1 refund:bank/p1 refund=400
        pay e2 shoe o1 bank/p2 paid amount=600               -> refund_required refund:bank/p2 refund=600 remaining=2
        pay e3 shoe o1 bank/p3 paid                          -> counted recovered:o1 counted=1000 refund_due=1000
    """,
    "its time over, fails: recorded": f"""{EXPIRED}
        pay e1 shoe o1 bank/p1 failed                        -> recorded version=5 remaining=2
    """,
    "its time over, refunded: recorded, and the order is refunded when all is": f"""{EXPIRED}
        pay e1 shoe o1 bank/p2 refunded                      -> recorded version=5
        pay e2 shoe o1 bank/p1 paid amount=400               -> refund_required refund_required:o1 refund:bank/p1
        pay e3 shoe o1 card/p1 paid amount=300               -> refund_required refund:card/p1
        pay e4 shoe o1 bank/p1 refunded                      -> recorded
        pay e5 shoe o1 card/p1 refunded return_units=true    -> recorded refunded:o1 remaining=2
    """,
    "failed, fails again: recorded": f"""{FAILED}
        pay e1 shoe o1 bank/p0 failed                        -> recorded version=5
        pay e2 shoe o1 bank/p1 failed                        -> recorded version=6 remaining=2
    """,
    "failed, refunded: recorded, and the order is refunded when all is": f"""{FAILED}
        pay e1 shoe o1 bank/p1 paid amount=999               -> refund_required refund_required:o1 refund:bank/p1
        pay e2 shoe o1 bank/p1 refunded amount=998           -> recorded
        pay e3 shoe o1 bank/p1 refunded amount=999           -> recorded refunded:o1 refund_due=0 remaining=2
    """,
    "called off, paid: to be given back, never recovered": f"""{CALLED_OFF}
        pay e1 shoe o1 bank/p1 paid amount=1000 -> refund_required refund:bank/p1 version=6 remaining=2 why=order_ended
        pay e2 shoe o1 bank/p1 failed                        -> ignored
        refuse shoe o1                                       -> unchanged status=cancelled
    """,
    "called off, fails: recorded": f"""{CALLED_OFF}
        pay e1 shoe o1 bank/p1 failed                        -> recorded version=5 remaining=2
        refuse shoe o1                                       -> unchanged status=cancelled
    """,
    "called off, refunded: recorded": f"""{CALLED_OFF}
        pay e1 shoe o1 bank/p1 paid amount=1000              -> refund_required refund:bank/p1
        pay e2 shoe o1 bank/p1 refunded return_units=true    -> recorded remaining=2
        refuse shoe o1                                       -> unchanged status=cancelled refund_due=0
    """,
    "called off, refunded, when it was paid: units return if the money that took them says so": f"""{PAID}
        pay e2 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1
        refuse shoe o1                                       -> refund_required refund:bank/p1 taken=2
        pay e3 shoe o1 card/p1 refunded return_units=true    -> recorded taken=2
        pay e4 shoe o1 bank/p1 refunded                      -> recorded refunded:o1 taken=2
        pay e5 shoe o1 bank/p1 refunded return_units=true    -> recorded refunded:o1 taken=0
    """,
    "e35 refunded, paid by another: to be given back; a copy is nothing": f"""{REFUNDED}
        pay e3 shoe o1 bank/p1 paid amount=1000              -> ignored remaining=2
        pay e4 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1 remaining=2
        refuse shoe o1                                       -> unchanged status=refunded
    """,
    "refunded, fails: recorded": f"""{REFUNDED}
        pay e3 shoe o1 bank/p1 failed                        -> ignored version=7
        pay e4 shoe o1 card/p2 failed                        -> recorded version=8 remaining=2
    """,
    "refunded, refunded: recorded, and no unit returns twice": f"""{REFUNDED}
        pay e3 shoe o1 bank/p1 refunded return_units=true    -> ignored version=7 remaining=2
        pay e4 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1
        pay e5 shoe o1 card/p1 refunded return_units=true    -> recorded remaining=2
    """,
    "e35 called off when paid, then a copy, then another": f"""{PAID}
        refuse shoe o1                                       -> refund_required refund:bank/p1
        pay e2 shoe o1 bank/p1 paid amount=1000              -> ignored taken=2
        pay e3 shoe o1 card/p1 paid amount=1000              -> refund_required refund:card/p1 taken=2
        pay e4 shoe o1 bank/p1 refunded return_units=true    -> recorded taken=2
        pay e5 shoe o1 card/p1 refunded                      -> recorded refunded:o1 taken=0 refund_due=0
    """,
    "another currency, paid, when the order has ended: mismatched": f"""{EXPIRED}
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

PARTS = (PENDING, AFTER_PAYING, AFTER_THE_END)
SCENARIOS = {name: text for part in PARTS for name, text in part.items()}


ROWS = ("none yet", "pending", "paid", "its time over", "failed", "called off", "refunded", "another currency")
COLUMNS = ("paid", "fails", "refunded")


def test_each_cell_of_the_table_has_its_scenario() -> None:
    """The row of what was cancelled by deadline or failure is two here, as is that of what is called off or refunded.

    Seen to fail without "failed, refunded".
    """
    cells = {f"{row}, {column}" for row in ROWS for column in COLUMNS}
    names = [re.sub(r"^([er]\d+ )*", "", name) for name in (*BEFORE_THE_ORDER, *SCENARIOS)]
    played = {cell for cell in cells for name in names if re.match(rf"{cell}\b", name)}
    assert played == cells


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says, and units and money add up after each."""
    Sale().play(SCENARIOS[name])


def test_no_scenario_hides_another() -> None:
    """Two of one name would be one."""
    assert len(SCENARIOS) == sum(len(part) for part in PARTS)
