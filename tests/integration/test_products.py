"""Products and orders over HTTP, in both path styles, with exactly the answers that are documented."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.installation import BOB_KEY, Client, Installation
from tests.integration.expectations import fresh, problem
from tests.shop import (
    WAITING,
    cancel_order,
    define_product,
    hold_units,
    on_sale,
    ordered,
    place_order,
    stock_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEMBERS = {"id", "name", "price", "currency", "stock", "stock_available", "stock_reserved", "version"}
ORDER = {"id", "hold_id", "status", "amount", "currency", "payment_due_at", "created_at", "updated_at"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(running: Installation) -> AsyncIterator[Client]:
    """Give a client of another account."""
    async with running.client(BOB_KEY) as client:
        yield client


async def test_a_product_is_defined_read_and_replaced(alice: Client) -> None:
    """201 when new, 200 when changed, with all its settings; reads have what is documented and no more."""
    product = fresh("shoe")
    new = await define_product(alice, product, 10, 12900, name="Runner", payment_seconds=60, units_per_hold=4)
    assert (new.status, new.response.headers.get("Location")) == (201, f"/api/products/{product}")
    shown = {"id": product, "name": "Runner", "price": 12900, "currency": "EUR", "stock": 10}
    read = await alice.call("GET", f"/api/products/{product}")
    assert read.body == {**shown, "stock_available": 10, "stock_reserved": 0, "version": 1}
    assert read.response.headers["ETag"] == '"1"'
    assert new.body.items() >= {**read.body, "payment_seconds": 60, "hold_seconds": 120, "units_per_hold": 4}.items()
    await hold_units(alice, product, 3)
    changed = await define_product(alice, product, 8, 9900)
    assert (changed.status, changed.body["payment_seconds"], changed.body["units_per_hold"]) == (200, 900, None)
    assert (await alice.call("GET", f"/api/products/{product}")).body == {
        **shown,
        "name": None,
        "price": 9900,
        "stock": 5,
        "stock_available": 8,
        "stock_reserved": 3,
        "version": 3,
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"price": 1, "currency": "EUR"}, "/stock"),
        ({"stock": 1, "currency": "EUR"}, "/price"),
        ({"stock": 1, "price": 1}, "/currency"),
        ({"stock": 1, "price": -1, "currency": "EUR"}, "/price"),
        ({"stock": 1, "price": 2**53, "currency": "EUR"}, "/price"),
        ({"stock": 1, "price": 1.5, "currency": "EUR"}, "/price"),
        ({"stock": True, "price": 1, "currency": "EUR"}, "/stock"),
        ({"stock": 1, "price": 1, "currency": "eur"}, "/currency"),
        ({"stock": 1, "price": 1, "currency": "EUR\n"}, "/currency"),
        ({"stock": 1, "price": 1, "currency": "EUR", "capacity": 1}, "/capacity"),
        ({"stock": 1, "price": 1, "currency": "EUR", "payment_seconds": 0}, "/payment_seconds"),
    ],
    ids=str,
)
async def test_e5_a_definition_that_cannot_be_meant(alice: Client, body: dict[str, Any], pointer: str) -> None:
    """422 with the field, and nothing is defined."""
    product = fresh("shoe")
    headers = {"Authorization": "Bearer admin-key-of-tests"}
    reply = await alice.call("PUT", f"/api/products/{product}", json=body, headers=headers)
    assert [fault["pointer"] for fault in problem(reply, 422, "invalid_request")["errors"]] == [pointer]
    problem(await alice.call("GET", f"/api/products/{product}"), 404, "not_found")


async def test_a_hold_in_both_styles(alice: Client) -> None:
    """Exactly the documented members, one key the same hold in either; `/holds/{id}` shows more."""
    product = await on_sale(alice)
    key = {"Idempotency-Key": str(uuid.uuid4()), **WAITING}
    one = await alice.call("POST", "/api/holds", json={"product_id": product, "qty": 2}, headers=key)
    assert one.status == 201
    hold_id = one.body["hold_id"]
    assert one.response.headers["Location"] == f"/holds/{hold_id}"
    assert one.body.keys() == {"hold_id", "product_id", "qty", "expires_at", "hold_token"}
    assert (one.body["product_id"], one.body["qty"]) == (product, 2)
    other = await alice.call("POST", f"/api/holds/{product}/2", headers=key)
    assert (other.status, other.response.headers["Idempotent-Replayed"]) == (201, "true")
    shown = {"id": hold_id, "qty": 2, "expires_at": one.body["expires_at"]}
    assert other.body == {"message": "hold created", "success": True, "hold": shown}
    whole = (await alice.call("GET", f"/holds/{hold_id}")).body
    assert whole.items() >= {**shown, "product_id": product, "price": 500, "currency": "EUR", "status": "held"}.items()
    assert whole["links"]["product"] == f"/api/products/{product}"
    assert whole["hold_token"] == one.body["hold_token"]
    lasts = datetime.fromisoformat(whole["expires_at"]) - datetime.fromisoformat(whole["granted_at"])
    assert lasts == timedelta(minutes=2)
    polled = (await alice.call("GET", whole["links"]["request"])).body
    assert (polled["status"], polled["result"]["id"]) == ("succeeded", hold_id)
    assert await stock_of(alice, product) == (8, 10, 2)


async def test_an_order_in_both_styles(alice: Client) -> None:
    """Exactly the documented members; the order is read with its payments, the hold is used."""
    product = await on_sale(alice, price=300)
    hold_id = (await hold_units(alice, product, 2)).body["hold_id"]
    one = await place_order(alice, hold_id)
    assert (one.status, one.body.keys()) == (201, ORDER)
    assert one.response.headers["Location"] == f"/api/orders/{one.body['id']}"
    shown = {"hold_id": hold_id, "status": "pending_payment", "amount": 600, "currency": "EUR"}
    assert one.body.items() >= shown.items()
    due = datetime.fromisoformat(one.body["payment_due_at"]) - datetime.fromisoformat(one.body["created_at"])
    assert due == timedelta(minutes=15)
    read = (await alice.call("GET", f"/api/orders/{one.body['id']}")).body
    assert read.items() >= {**one.body, "product_id": product, "qty": 2, "payments": []}.items()
    other_hold = (await alice.call("POST", f"/api/holds/{product}/3", headers=WAITING)).body["hold"]["id"]
    other = await alice.call("POST", f"/api/orders/{other_hold}/{product}", headers=WAITING)
    assert (other.status, other.body["message"], other.body["success"]) == (201, "order created", True)
    assert other.body.keys() == {"message", "success", "order"}
    assert other.body["order"].keys() == {"id", "hold_id", "status", "created_at", "updated_at"}
    used = (await alice.call("GET", f"/holds/{hold_id}")).body
    assert (used["status"], used["links"]["order"]) == ("used", f"/api/orders/{one.body['id']}")
    assert await stock_of(alice, product) == (5, 10, 5)


async def test_the_product_of_the_path_must_be_the_holds(alice: Client) -> None:
    """422, and the hold is not used."""
    product, another = await on_sale(alice), await on_sale(alice)
    hold_id = (await hold_units(alice, product)).body["hold_id"]
    for wrong in (another, "a" * 65, "..%2F"):
        reply = await alice.call("POST", f"/api/orders/{hold_id}/{wrong}", headers=WAITING)
        problem(reply, 422, "invalid_request")
    assert (await alice.call("GET", f"/holds/{hold_id}")).body["status"] == "held"


async def test_a_used_hold_leads_to_its_order(alice: Client) -> None:
    """409 `hold_used` whatever is asked of it, with the order; the same when polled."""
    product = await on_sale(alice)
    order = await ordered(alice, product)
    hold_id = order["hold_id"]
    refused = [
        await place_order(alice, hold_id),
        await alice.call("POST", f"/api/orders/{hold_id}/{product}", headers=WAITING),
        await alice.call("DELETE", f"/holds/{hold_id}", headers=WAITING),
        await alice.call("POST", f"/holds/{hold_id}/extend", json={"seconds": 9}, headers=WAITING),
        await alice.call("PATCH", f"/holds/{hold_id}", json={"quantity": 2}, headers=WAITING),
    ]
    for reply in refused:
        body = problem(reply, 409, "hold_used")
        assert (body["order_id"], body["links"]) == (order["id"], {"order": f"/api/orders/{order['id']}"})
        assert (await alice.call("GET", f"/requests/{body['request_id']}")).body["error"] == body
    assert await stock_of(alice, product) == (9, 10, 1)


async def test_a_hold_of_a_product_needs_an_order(alice: Client) -> None:
    """Confirm: 409. Everything else goes as with any hold: extend, change, give back."""
    product = await on_sale(alice)
    hold_id = (await hold_units(alice, product, 2)).body["hold_id"]
    problem(await alice.call("POST", f"/holds/{hold_id}/confirm", headers=WAITING), 409, "needs_order")
    extended = await alice.call("POST", f"/holds/{hold_id}/extend", json={"seconds": 600}, headers=WAITING)
    changed = await alice.call("PATCH", f"/holds/{hold_id}", json={"quantity": 4}, headers=WAITING)
    assert (extended.status, changed.status, changed.body["qty"]) == (200, 200, 4)
    assert await stock_of(alice, product) == (6, 10, 4)
    cancelled = await alice.call("DELETE", f"/holds/{hold_id}", headers=WAITING)
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    problem(await place_order(alice, hold_id), 409, "hold_cancelled")
    assert await stock_of(alice, product) == (10, 10, 0)


async def test_an_order_is_called_off(alice: Client) -> None:
    """Its units return, once; the second time nothing changes."""
    product = await on_sale(alice)
    order = await ordered(alice, product, 3)
    first, second = [await cancel_order(alice, order["id"]) for _ in range(2)]
    for reply in (first, second):
        assert (reply.status, reply.body["status"], reply.body["ended_by"]) == (200, "cancelled", "request")
    assert await stock_of(alice, product) == (10, 10, 0)
    problem(await place_order(alice, order["hold_id"]), 409, "hold_used")


async def test_e78_an_order_is_its_accounts(alice: Client, bob: Client) -> None:
    """To anyone else it is unknown, and so is the hold that he would order without its token."""
    product = await on_sale(alice)
    order = await ordered(alice, product)
    hold = (await hold_units(alice, product)).body
    absent = order["id"][:-1] + ("b" if order["id"][-1] == "a" else "a")
    for order_id in (order["id"], absent, "nothing", hold["hold_id"], "order_slot~x~" + "a" * 32):
        problem(await bob.call("GET", f"/api/orders/{order_id}"), 404, "order_not_found")
        problem(await cancel_order(bob, order_id), 404, "order_not_found")
    problem(await place_order(bob, hold["hold_id"]), 404, "hold_not_found")
    problem(await place_order(bob, "nothing"), 404, "hold_not_found")
    shown = {"Hold-Token": hold["hold_token"], **WAITING}
    taken_over = await bob.call("POST", "/api/orders", json={"hold_id": hold["hold_id"]}, headers=shown)
    assert taken_over.status == 201
    assert (await bob.call("GET", f"/api/orders/{taken_over.body['id']}")).status == 200
    problem(await alice.call("GET", f"/api/orders/{taken_over.body['id']}"), 404, "order_not_found")


async def test_only_holds_of_products_are_ordered(alice: Client) -> None:
    """A slot's is confirmed: 422, nothing is published."""
    slot = fresh()
    await alice.define(slot, 1)
    hold_id = (await alice.hold(slot)).body["id"]
    body = problem(await place_order(alice, hold_id), 422, "invalid_request")
    assert body["errors"][0]["pointer"] == "/hold_id"
    problem(await alice.call("POST", f"/api/orders/{hold_id}/{slot}", headers=WAITING), 422, "invalid_request")


@pytest.mark.parametrize("qty", [0, -1, 1.5, True, "5", None, 2**31, 10**30])
async def test_e5_a_quantity_of_the_body_that_is_none(alice: Client, qty: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """422 with a pointer, nothing changes."""
    product = await on_sale(alice)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    reply = await alice.call("POST", "/api/holds", json={"product_id": product, "qty": qty}, headers=headers)
    assert [fault["pointer"] for fault in problem(reply, 422, "invalid_request")["errors"]] == ["/qty"]
    assert await stock_of(alice, product) == (10, 10, 0)


@pytest.mark.parametrize("qty", ["0", "-1", "1.5", "five", "%2B1", "1%C2%B2", "2147483648", "9" * 40, "%201"])
async def test_e5_a_quantity_of_the_path_that_is_none(alice: Client, qty: str) -> None:
    """The same 422."""
    product = await on_sale(alice)
    problem(await alice.call("POST", f"/api/holds/{product}/{qty}"), 422, "invalid_request")
    assert await stock_of(alice, product) == (10, 10, 0)


async def test_an_integer_names_the_product_of_its_digits(alice: Client) -> None:
    """In a body; what cannot be an id is told with its place."""
    number = uuid.uuid4().int % 10**15
    await define_product(alice, str(number), 5)
    reply = await alice.call("POST", "/api/holds", json={"product_id": number, "qty": 1}, headers=WAITING)
    assert (reply.status, reply.body["product_id"]) == (201, str(number))
    for wrong in (True, 1.5, "", "a b", "..", None, ["x"]):
        refused = await alice.call("POST", "/api/holds", json={"product_id": wrong, "qty": 1})
        assert problem(refused, 422, "invalid_request")["errors"][0]["pointer"] == "/product_id"


async def test_e10_an_unknown_product(alice: Client) -> None:
    """404 in each style, and on reading, whatever its id looks like."""
    absent = fresh("absent")
    problem(await hold_units(alice, absent), 404, "not_found")
    problem(await alice.call("POST", f"/api/holds/{absent}/1", headers=WAITING), 404, "not_found")
    problem(await alice.call("POST", "/api/holds/a%20b/1"), 404, "not_found")
    for one in (absent, "a%20b", "x" * 65):
        problem(await alice.call("GET", f"/api/products/{one}"), 404, "not_found")


async def test_a_sale_begins_at_its_second(alice: Client) -> None:
    """`opens_at` is judged on arrival: refused `not_open_yet` before, whatever the key repeats later; then granted."""
    opens_at = datetime.now(UTC) + timedelta(seconds=4)
    product = await on_sale(alice, opens_at=opens_at.isoformat())
    key = str(uuid.uuid4())
    body = problem(await hold_units(alice, product, key=key), 409, "not_open_yet")
    assert body["retry"] == "new_key"
    tries = 0
    while (early := await hold_units(alice, product)).status != 201:
        problem(early, 409, "not_open_yet")
        tries += 1
        assert tries < 1000
    hold = (await alice.call("GET", f"/holds/{early.body['hold_id']}")).body
    polled = (await alice.call("GET", hold["links"]["request"])).body
    assert datetime.fromisoformat(polled["submitted_at"]) >= opens_at
    assert (await hold_units(alice, product, key=key)).body == body


async def test_e23_e24_e25_a_key_of_an_order(alice: Client) -> None:
    """Repeated it answers the same, success or refusal, and places one order; for another hold it is refused."""
    product, key = await on_sale(alice), str(uuid.uuid4())
    holds = [(await hold_units(alice, product)).body["hold_id"] for _ in range(2)]
    first, again = [await place_order(alice, holds[0], key) for _ in range(2)]
    assert (again.status, again.body, again.response.headers["Idempotent-Replayed"]) == (201, first.body, "true")
    problem(await place_order(alice, holds[1], key), 422, "idempotency_key_reused")
    other = str(uuid.uuid4())
    refused = [await place_order(alice, holds[0], other) for _ in range(2)]
    assert problem(refused[0], 409, "hold_used") == problem(refused[1], 409, "hold_used")
    assert await stock_of(alice, product) == (8, 10, 2)


async def test_e50_the_price_is_that_of_the_hold(alice: Client) -> None:
    """A price that changes between hold and order does not change the order."""
    product = await on_sale(alice, price=500)
    hold_id = (await hold_units(alice, product, 2)).body["hold_id"]
    await define_product(alice, product, price=900)
    assert (await place_order(alice, hold_id)).body["amount"] == 1000
    assert (await ordered(alice, product))["amount"] == 900


async def test_client_references_of_holds_and_orders(alice: Client) -> None:
    """Each has its own, in both styles; a request that changes one has one beside it."""
    product = await on_sale(alice)
    one = (await hold_units(alice, product, client_reference="basket 7")).body
    assert one["client_reference"] == "basket 7"
    order = (await place_order(alice, one["hold_id"], client_reference="order 7")).body
    assert order["client_reference"] == "order 7"
    path, reference = f"/api/holds/{product}/1", {"client_reference": "by path"}
    other = (await alice.call("POST", path, json=reference, headers=WAITING)).body["hold"]
    assert other["client_reference"] == "by path"
    placed = await alice.call("POST", f"/api/orders/{other['id']}/{product}", json=reference, headers=WAITING)
    assert placed.body["order"]["client_reference"] == "by path"
    gone = await alice.call(
        "DELETE", f"/api/orders/{order['id']}", params={"client_reference": "changed my mind"}, headers=WAITING
    )
    assert (gone.body["client_reference"], gone.body["request_reference"]) == ("order 7", "changed my mind")


async def test_respond_async_and_poll_for_an_order(alice: Client) -> None:
    """202 at once, then the whole order as the result."""
    product = await on_sale(alice)
    hold_id = (await hold_units(alice, product)).body["hold_id"]
    headers = {"Prefer": "respond-async"}
    reply = await alice.call("POST", "/api/orders", json={"hold_id": hold_id}, headers=headers)
    assert (reply.status, reply.body["status"]) == (202, "queued")
    polled = (await alice.call("GET", f"{reply.response.headers['Location']}?wait=30")).body
    assert (polled["status"], polled["result"]["status"]) == ("succeeded", "pending_payment")
    assert polled["result"]["links"]["hold"] == f"/holds/{hold_id}"
    assert polled["result"].keys() >= ORDER


async def test_only_an_admin_defines_and_only_holders_order(alice: Client, running: Installation) -> None:
    """403 with another key, 401 with none."""
    product = await on_sale(alice)
    body = {"stock": 1, "price": 1, "currency": "EUR"}
    problem(await alice.call("PUT", f"/api/products/{product}", json=body), 403, "insufficient_scope")
    async with running.client("nobody's key") as nobody:
        for method, path in (
            ("GET", "/api/products"),
            ("GET", f"/api/products/{product}"),
            ("POST", f"/api/holds/{product}/1"),
            ("POST", "/api/holds"),
            ("POST", "/api/orders"),
            ("POST", f"/api/orders/x/{product}"),
            ("GET", "/api/orders/x"),
            ("DELETE", "/api/orders/x"),
        ):
            problem(await nobody.call(method, path), 401, "unauthenticated")
