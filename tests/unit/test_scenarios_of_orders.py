"""What the core decides about products and orders, as tables (`tests.unit.sale_scenario` says how to read them)."""

import pytest

from tests.unit.sale_scenario import Sale

PLACING = {
    "an order uses its hold, and its units stay held": """
        define shoe capacity=5 price=500 currency=EUR        -> defined hold_seconds=120 max_hold_seconds=1800
        hold k1 shoe quantity=2                              -> held until=120 held=2
        tick 60 seconds
        order o1 shoe k1                                     -> placed version=3 amount=1000 due=900 held=2 taken=0 remaining=3
        tick 100 seconds
        expire shoe                                          -> done
        hold k2 shoe quantity=4                              -> sold_out
    """,
    "a hold that an order used is over for everything else": """
        define shoe capacity=5 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        order o2 shoe k1                                     -> hold_used
        cancel shoe k1                                       -> hold_used
        extend shoe k1 seconds=60                            -> hold_used
        change shoe k1 quantity=2                            -> hold_used
        confirm shoe k1                                      -> needs_order
        tick 200 seconds
        cancel shoe k1                                       -> hold_used held=1
    """,
    "a product's hold is never confirmed, whatever it is": """
        define shoe capacity=5 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        confirm shoe k1                                      -> needs_order held=1
        confirm shoe k1 source=gateway/bob                   -> hold_not_found
        cancel shoe k1                                       -> cancelled
        confirm shoe k1                                      -> needs_order
    """,
    "only a live hold of one's own becomes an order": """
        define shoe capacity=5 price=500 currency=EUR        -> defined
        hold k1 shoe token=t                                 -> held
        hold k2 shoe                                         -> held
        hold k3 shoe quantity=9                              -> sold_out
        order o1 shoe k1 source=gateway/bob                  -> hold_not_found
        order o2 shoe k3                                     -> hold_refused
        cancel shoe k2                                       -> cancelled
        order o3 shoe k2                                     -> hold_cancelled
        order o4 shoe k1 source=gateway/bob token=t          -> placed
        hold k4 shoe                                         -> held
        tick 120 seconds
        order o5 shoe k4                                     -> expired:k4 hold_expired
    """,
    "e19 an order that reached the log in time is placed by a worker that comes late": """
        define shoe capacity=5 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        tick 600 seconds
        order o1 shoe k1 late=500                            -> placed due=900 arrived=100
    """,
    "e50 the price is that of the hold": """
        define shoe capacity=9 price=500 currency=EUR        -> defined
        hold k1 shoe quantity=2                              -> held
        define shoe capacity=9 price=900 currency=USD        -> defined
        order o1 shoe k1                                     -> placed unit_price=500 amount=1000
        hold k2 shoe                                         -> held
        order o2 shoe k2                                     -> placed unit_price=900 amount=900
        pay e1 shoe o1 bank/p1 paid amount=1000 currency=EUR -> counted paid:o1
        pay e2 shoe o2 bank/p2 paid amount=900 currency=EUR  -> mismatched
    """,
    "e50 a hold that grows keeps its price": """
        define shoe capacity=9 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        define shoe capacity=9 price=900 currency=EUR        -> defined
        change shoe k1 quantity=3                            -> changed
        define shoe capacity=9 price=100 currency=EUR        -> defined
        change shoe k1 quantity=4                            -> changed
        define shoe capacity=9 price=100 currency=EUR open=false -> defined
        change shoe k1 quantity=5                            -> closed
        order o1 shoe k1                                     -> placed unit_price=500 amount=2000
    """,
    "the deadline is the product's, as of the order": """
        define shoe capacity=9 price=500 currency=EUR payment_seconds=60 -> defined
        hold k1 shoe                                         -> held
        hold k2 shoe                                         -> held
        order o1 shoe k1                                     -> placed due=60
        define shoe capacity=9 price=500 currency=EUR payment_seconds=30 -> defined
        order o2 shoe k2                                     -> placed due=30
        tick 60 seconds
        expire shoe                                          -> cancelled:o2 cancelled:o1 held=0 remaining=9
    """,
    "a hold that claims at its order takes its units then, or lives on": """
        define shoe capacity=2 price=500 currency=EUR claim_at=confirm -> defined
        hold k1 shoe quantity=2                              -> held held=0
        hold k2 shoe                                         -> held held=0
        order o1 shoe k1                                     -> placed held=2
        order o2 shoe k2                                     -> sold_out held=2
        refuse shoe o1                                       -> cancelled held=0
        order o3 shoe k2                                     -> placed held=1
    """,
    "what costs nothing is paid at once": """
        define shoe capacity=2 price=0 currency=EUR          -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed paid:o1 amount=0 taken=1 held=0
        refuse shoe o1                                       -> cancelled taken=0 remaining=2
        pay e1 shoe o1 bank/p1 paid amount=5 currency=EUR    -> refund_required refund:bank/p1 why=order_ended
    """,
    "what costs nothing stays sold when money that nobody asked for goes back": """
        define shoe capacity=2 price=0 currency=EUR          -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed paid:o1
        pay e1 shoe o1 bank/p1 paid amount=5 currency=EUR    -> refund_required refund:bank/p1 why=charged_twice
        pay e2 shoe o1 bank/p1 refunded return_units=true    -> recorded payment=refunded taken=1
    """,
    "a hold never costs more than an amount can say": """
        define gold capacity=9 price=4503599627370496 currency=EUR -> defined
        hold k0 gold quantity=2                              -> units_per_hold_exceeded
        hold k1 gold                                         -> held
        change gold k1 quantity=2                            -> units_per_hold_exceeded
        order o1 gold k1                                     -> placed amount=4503599627370496
    """,
    "a buyer's limit counts live holds, not orders": """
        define shoe capacity=9 price=5 currency=EUR holds_per_buyer=1 -> defined
        hold k1 shoe buyer=ann                               -> held
        hold k2 shoe buyer=ann                               -> holds_per_buyer_exceeded
        order o1 shoe k1                                     -> placed
        hold k3 shoe buyer=ann                               -> held
    """,
    "a sale starts at its second, judged on arrival": """
        define shoe capacity=2 price=5 currency=EUR opens_at=10 -> defined
        tick 9 seconds
        hold k1 shoe                                         -> not_open_yet
        tick 1 seconds
        hold k2 shoe late=1                                  -> not_open_yet arrived=9
        hold k3 shoe                                         -> held
        hold k1 shoe                                         -> again not_open_yet
    """,
    "hold and order pipelined, in one batch": """
        define shoe capacity=1 price=5 currency=EUR          -> defined
        batch
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        hold k2 shoe                                         -> sold_out
        order o2 shoe k2                                     -> hold_refused
        pay e1 shoe o1 bank/p1 paid                          -> counted paid:o1 taken=1
        refuse shoe o1                                       -> refund_required refund:bank/p1 taken=1
        end
    """,
    "an order has no resource without a product, and no order without a name": """
        plan o1 shoe k1
        order o1 shoe k1                                     -> not_found
        refuse shoe o1                                       -> not_found
        pay e1 shoe o1 bank/p1 paid amount=5                 -> not_found
    """,
}

CALLING_OFF = {
    "an unpaid order gives its units back, once": """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe quantity=2                              -> held
        order o1 shoe k1                                     -> placed remaining=0
        refuse shoe o1                                       -> cancelled version=4 remaining=2 ended_by=request
        refuse shoe o1                                       -> unchanged version=4 remaining=2
    """,
    "a paid one is to be refunded; its units come back when the refund says so": """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        pay e1 shoe o1 bank/p1 paid amount=500               -> counted paid:o1
        refuse shoe o1                                       -> refund_required refund:bank/p1 taken=1 refund_due=500 refund=500
        refuse shoe o1                                       -> unchanged taken=1
        pay e2 shoe o1 bank/p1 refunded return_units=true    -> recorded refunded:o1 taken=0 refund_due=0
        refuse shoe o1                                       -> unchanged status=refunded
    """,
    "e78 a stranger's order is unknown, unless he shows its token": """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe token=t                                 -> held
        order o1 shoe k1                                     -> placed
        refuse shoe o1 source=gateway/bob                    -> order_not_found
        refuse shoe o1 source=gateway/bob token=u            -> order_not_found
        refuse shoe order_product~shoe~z                     -> order_not_found
        refuse shoe o1 source=gateway/bob token=t            -> cancelled
    """,
    "an order is of its own product only": """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        define boot capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        order o2 boot k1                                     -> hold_not_found
        refuse boot o1                                       -> order_not_found
        refuse shoe o1                                       -> cancelled
    """,
    "one whose time was over is called off for good": """
        define shoe capacity=2 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        tick 900 seconds
        refuse shoe o1                                       -> cancelled:o1 cancelled ended_by=request remaining=2
        pay e1 shoe o1 bank/p1 paid amount=500               -> refund_required refund:bank/p1 why=order_ended remaining=2
    """,
    "one that owes a late payment is called off for good too": """
        define shoe capacity=1 price=500 currency=EUR        -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        tick 900 seconds
        pay e1 shoe o1 bank/p1 paid amount=100               -> cancelled:o1 refund_required refund_required:o1 refund:bank/p1
        refuse shoe o1                                       -> refund_required ended_by=request refund_due=100
        pay e2 shoe o1 bank/p2 paid amount=500               -> refund_required refund:bank/p2 remaining=1
    """,
}

TIME = {
    "holds and orders end in the order of their deadlines": """
        define shoe capacity=9 price=5 currency=EUR payment_seconds=100 -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        tick 10 seconds
        hold k2 shoe                                         -> held
        hold k3 shoe                                         -> held
        order o3 shoe k3                                     -> placed
        tick 40 seconds
        hold k4 shoe                                         -> held
        plan o9 shoe k4
        pay e1 shoe o9 bank/p9 paid                          -> parked
        tick 900 seconds
        expire shoe -> cancelled:o1 cancelled:o3 expired:k2 expired:k4 orphaned:bank/p9 refund:bank/p9 remaining=9
    """,
    "e14 at the very deadline it is over": """
        define shoe capacity=9 price=5 currency=EUR          -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        tick 899.9 seconds
        expire shoe                                          -> done
        tick 0.1 seconds
        expire shoe                                          -> cancelled:o1 ended_by=deadline
        expire shoe                                          -> done
    """,
    "e43 a payment that arrived in time is honoured by a worker that comes late": """
        define shoe capacity=1 price=5 currency=EUR          -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed
        tick 2000 seconds
        pay e1 shoe o1 bank/p1 paid amount=5 late=1500       -> counted paid:o1 taken=1
    """,
    "r12 an order answers for its request when that is forgotten": """
        define shoe capacity=9 price=5 currency=EUR          -> defined
        hold k1 shoe                                         -> held
        order o1 shoe k1                                     -> placed version=3
        order o1 shoe k1                                     -> again placed version=3
        purge
        order o1 shoe k1                                     -> unchanged version=3 held=1
        pay e1 shoe o1 bank/p1 paid amount=5                 -> counted paid:o1 version=5
        pay e1 shoe o1 bank/p1 paid amount=5                 -> again counted paid:o1
        purge
        pay e1 shoe o1 bank/p1 paid amount=5                 -> unchanged version=5
        order o1 shoe k1                                     -> unchanged status=paid
    """,
}

SCENARIOS = {**PLACING, **CALLING_OFF, **TIME}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """Each line of each table comes out as it says."""
    Sale().play(SCENARIOS[name])


def test_no_scenario_hides_another() -> None:
    """Two of one name would be one."""
    assert len(SCENARIOS) == sum(len(part) for part in (PLACING, CALLING_OFF, TIME))
