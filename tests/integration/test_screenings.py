"""Screenings over HTTP: defined, held by name or side by side, changed and given back; the token decides."""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio

from tests.installation import BOB_KEY, Installation, eventually
from tests.integration.expectations import fresh, problem
from tests.visitors import WAITING, Visitor, row, token, visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROW = row("A", 9)
FLOOR = [{"id": "floor", "capacity": 5}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(running: Installation) -> AsyncIterator[Visitor]:
    """Give a visitor of the account alice."""
    async with visitor(running) as somebody:
        yield somebody


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(running: Installation) -> AsyncIterator[Visitor]:
    """Give a visitor of the account bob."""
    async with visitor(running, BOB_KEY) as somebody:
        yield somebody


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def second_url(running: Installation) -> str:
    """Give the URL of a second gateway, which clients know by the address of the first."""
    return await running.start_gateway(FIRMHOLD_URL=running.gateway_url)


async def test_a_screening_is_defined(ann: Visitor) -> None:
    """Created, then replaced: what is left out returns to its default; `If-Match` is honoured."""
    screening, title = fresh("screening"), "A film"
    rows = [row("A", 3, blocked=[2]), row("12-", 2, kind="sofa")]
    created = await ann.puts(screening, *rows, areas=FLOOR, focal="A2", title=title, hold_seconds=60)
    assert (created.status, created.response.headers["ETag"]) == (201, '"1"')
    assert created.response.headers["Location"] == f"/screenings/{screening}"
    shown = {
        name: created.body[name] for name in ("screening_id", "version", "capacity", "remaining", "title", "focal")
    }
    assert list(shown.values()) == [screening, 1, 4 + 5, 9, title, "A2"]
    assert (created.body["rows"], created.body["areas"]) == (rows, FLOOR)
    assert (await ann.call("GET", f"/screenings/{screening}")).body == created.body
    replaced = await ann.puts(screening, row("B", 1), headers={"If-Match": '"1"'})
    plan = [replaced.body[name] for name in ("rows", "areas", "focal", "title", "hold_seconds")]
    assert (replaced.status, plan) == (200, [[row("B", 1)], [], None, None, 600])
    problem(await ann.puts(screening, row("C", 1), headers={"If-Match": '"1"'}), 412, "version_mismatch")
    buyer = {"Authorization": f"Bearer {BOB_KEY}"}
    problem(await ann.puts(screening, row("C", 1), headers=buyer), 403, "insufficient_scope")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/rows"]),
        ({"rows": [row("A", 2), row("A", 3)]}, ["/rows/1/row"]),
        ({"rows": [row("1", 2)]}, ["/rows/0/row"]),
        ({"rows": [row("A\n", 2)]}, ["/rows/0/row"]),
        ({"rows": [row("A", 0)]}, ["/rows/0/seats"]),
        ({"rows": [{"row": "A", "seats": "2"}]}, ["/rows/0/seats"]),
        ({"rows": [row("A", 2, blocked=[3])]}, ["/rows/0/blocked/0"]),
        ({"rows": [row("A", 2)], "focal": "B1"}, ["/focal"]),
        ({"rows": [row(f"{name}-", 999) for name in range(6)]}, ["/rows"]),
        ({"areas": [{"id": "a", "capacity": -1}, {"id": "b c", "capacity": 1}]}, ["/areas/0/capacity", "/areas/1/id"]),
        ({"rows": [row("A", 2)], "claim_at": "confirm"}, ["/claim_at"]),
        ({"rows": [row("A", 2)], "capacity": 2}, ["/capacity"]),
        ({"focal": "B1", "hold_seconds": 9, "max_hold_seconds": 8}, ["/hold_seconds", "/rows", "/focal"]),
    ],
    ids=str,
)
async def test_a_plan_that_is_none_is_told_so(ann: Visitor, body: dict[str, Any], pointers: list[str]) -> None:
    """422, naming each place; nothing is published. Seen to fail on a plan that is taken as it comes."""
    reply = await ann.puts(fresh("screening"), **body)
    assert [fault["pointer"] for fault in problem(reply, 422, "invalid_request")["errors"]] == pointers


async def test_the_list_has_no_seats_in_it(ann: Visitor) -> None:
    """How much is free of each, seats and places together, and each write as soon as it was answered."""
    screening = await ann.opens(ROW, areas=FLOOR, title="A film")
    for remaining, version in ((14, 1), (11, 5)):
        (listed,) = (await ann.call("GET", "/screenings", params={"ids": screening})).body
        assert listed == {
            "screening_id": screening,
            "title": "A film",
            "capacity": 14,
            "remaining": remaining,
            "held": 14 - remaining,
            "version": version,
        }
        await ann.holds(screening, "A1", "A2", "A3")
    assert screening in {one["screening_id"] for one in (await ann.call("GET", "/screenings")).body}


async def test_seats_are_held(ann: Visitor) -> None:
    """All that was asked for, with a token and ten minutes; and the hold is where it says."""
    screening = await ann.opens(ROW, areas=FLOOR)
    hold = await ann.holds(screening, "A1", "A3", "A2", areas={"floor": 2}, client_reference="cart 7")
    assert hold.status == 201
    held = {name: hold.body[name] for name in ("screening_id", "seats", "areas", "status", "client_reference")}
    assert list(held.values()) == [screening, ["A1", "A2", "A3"], {"floor": 2}, "held", "cart 7"]
    lifetime = datetime.fromisoformat(hold.body["expires_at"]) - datetime.fromisoformat(hold.body["granted_at"])
    assert lifetime.total_seconds() == 600
    shown = await ann.call("GET", hold.response.headers["Location"], headers=token(hold))
    assert (shown.status, shown.body) == (200, hold.body)


async def test_the_second_holder_gets_409(ann: Visitor, bob: Visitor) -> None:
    """By either call; it says what is in the way, and the first has the seat as before."""
    screening = await ann.opens(ROW)
    first = await ann.of_seat("POST", screening, "A1")
    assert (first.status, first.body["seats"], first.body["areas"]) == (201, ["A1"], {})
    for second in (await bob.of_seat("POST", screening, "A1"), await bob.holds(screening, "A1")):
        body = problem(second, 409, "sold_out")
        assert (body["in_the_way"], body["retry"]) == (["A1"], "new_key")
    assert (await ann.of_hold("GET", first)).body["status"] == "held"


async def test_e3_one_seat_in_the_way(ann: Visitor, bob: Visitor) -> None:
    """Of three seats and some places the refusal names those that are not free, and nothing of it is held; polled, too.

    Seen to fail on a problem without its member, and on a core that takes what is free of a wish.
    """
    screening = await ann.opens(ROW, areas=FLOOR)
    await ann.holds(screening, "A2", areas={"floor": 4})
    refused = await bob.holds(screening, "A1", "A2", "A3", areas={"floor": 2})
    assert problem(refused, 409, "sold_out")["in_the_way"] == ["A2", "area:floor"]
    polled = await bob.call("GET", f"/requests/{refused.body['request_id']}")
    assert polled.body["error"] == refused.body
    assert (await bob.holds(screening, "A1", "A3", areas={"floor": 1})).status == 201
    unknown = await bob.holds(screening, "A9", "A99", "Z1")
    assert problem(unknown, 404, "unknown_pool")["in_the_way"] == ["A99", "Z1"]


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"seats": ["A1", "A2", "A1"]}, "/seats/2"),
        ({"seats": []}, "/seats"),
        ({"seats": "A1"}, "/seats"),
        ({"seats": ["A1", 2]}, "/seats/1"),
        ({"seats": ["A0"]}, "/seats/0"),
        ({"seats": ["A1\n"]}, "/seats/0"),
        ({"seats": ["A1"], "best_available": 1}, "/best_available"),
        ({"best_available": 0}, "/best_available"),
        ({"best_available": "2"}, "/best_available"),
        ({"areas": {}}, "/areas"),
        pytest.param({"areas": {f"floor_{place}": 1 for place in range(101)}}, "/areas", id="101 areas"),
        ({"areas": {"floor": 0}}, "/areas/floor"),
        ({"areas": {"floor": True}}, "/areas/floor"),
        ({"areas": {"floor": 2**31}}, "/areas/floor"),
        ({"quantity": 2, "seats": ["A1"]}, "/quantity"),
        ({}, ""),
    ],
    ids=str,
)
async def test_e2_e5_a_wish_that_is_none(ann: Visitor, wish: dict[str, Any], pointer: str) -> None:
    """The same seat twice above all: 422 with its place, and nothing is held or published.

    Seen to fail on a wish that is taken as it comes.
    """
    screening = await ann.opens(ROW, areas=FLOOR)
    errors = problem(await ann.holds(screening, **wish), 422, "invalid_request")["errors"]
    assert [fault["pointer"] for fault in errors] == [pointer]
    (listed,) = (await ann.call("GET", "/screenings", params={"ids": screening})).body
    assert (listed["held"], listed["version"]) == (0, 1)


async def test_the_best_available(ann: Visitor) -> None:
    """Side by side, near the focal point, leaving nobody alone; where there are none the party is not split."""
    screening = await ann.opens(row("A", 5), row("B", 5), focal="B3")
    assert (await ann.holds(screening, best_available=3)).body["seats"] in (["B1", "B2", "B3"], ["B3", "B4", "B5"])
    assert (await ann.holds(screening, best_available=5)).body["seats"] == [f"A{number}" for number in range(1, 6)]
    body = problem(await ann.holds(screening, best_available=3), 409, "sold_out")
    assert "next to each other" in body["detail"]
    assert len((await ann.holds(screening, best_available=2)).body["seats"]) == 2


async def test_a_key_is_needed_for_holds_and_taken_for_one_seat(ann: Visitor) -> None:
    """400 without it; a repeat is the same hold."""
    screening = await ann.opens(ROW)
    path = f"/screenings/{screening}/holds"
    problem(await ann.call("POST", path, json={"seats": ["A1"]}), 400, "idempotency_key_missing")
    replies = [await ann.of_seat("POST", screening, "A1", Idempotency_Key="one") for _ in range(2)]
    assert replies[0].body == replies[1].body
    assert replies[1].response.headers["Idempotent-Replayed"] == "true"
    other = await ann.of_seat("POST", screening, "A2", Idempotency_Key="one")
    problem(other, 422, "idempotency_key_reused")


async def test_r8_the_token_is_shown_again(ann: Visitor, second_url: str, running: Installation) -> None:
    """The 201 was lost: the retry through another gateway, and the poll, show the token, and it works.

    Seen to fail with a token that each gateway makes up.
    """
    screening, key = await ann.opens(ROW), str(uuid.uuid4())
    first = await ann.holds(screening, "A1", "A2", key=key)
    async with visitor(running, url=second_url) as again:
        retry = await again.holds(screening, "A1", "A2", key=key)
        assert (retry.status, retry.body) == (201, first.body)
        polled = await again.call("GET", first.body["links"]["request"])
        assert polled.body["result"] == first.body
        confirmed = await again.of_hold("POST", retry, "/confirm")
        assert (confirmed.status, confirmed.body["status"]) == (200, "confirmed")
        assert "hold_token" not in confirmed.body
    async with running.database() as database:
        rows = str(await database.fetch("select h::text, r::text from holds h join requests r using (resource_id)"))
    assert first.body["hold_token"] not in rows


@pytest.mark.parametrize("shown", [None, "wrong"])
async def test_r7_e78_the_account_is_not_enough(ann: Visitor, bob: Visitor, shown: str | None) -> None:
    """Whoever shows no token, or another, is told of no hold, though it is his account's; and it goes on.

    Seen to fail on a GET that asks for the account alone.
    """
    screening = await ann.opens(ROW)
    hold = await ann.holds(screening, "A1")
    headers = {**WAITING, **({} if shown is None else {"Hold-Token": shown})}
    for who in (ann, bob):
        for method, way, body in (
            ("GET", "", None),
            ("POST", "/confirm", None),
            ("POST", "/extend", {"seconds": 900}),
            ("PATCH", "", {"seats": ["A2"]}),
            ("DELETE", "", None),
        ):
            reply = await who.call(method, f"/holds/{hold.body['id']}{way}", json=body, headers=headers)
            problem(reply, 404, "hold_not_found")
    assert (await bob.of_hold("GET", hold)).body["expires_at"] == hold.body["expires_at"]


async def test_seats_are_changed_in_place(ann: Visitor, bob: Visitor) -> None:
    """All or nothing, what is left out stays; his own seats are not in his way, another's is named.

    Seen to fail on a kind that is not asked what a change is.
    """
    screening = await ann.opens(ROW, areas=FLOOR)
    hold = await ann.holds(screening, "A1", "A2", areas={"floor": 1})
    await bob.holds(screening, "A5")
    changed = await ann.of_hold("PATCH", hold, json={"seats": ["A2", "A3", "A4"]})
    assert (changed.status, changed.body["seats"], changed.body["areas"]) == (200, ["A2", "A3", "A4"], {"floor": 1})
    assert (await ann.of_hold("PATCH", hold, json={"areas": {"floor": 3}})).body["areas"] == {"floor": 3}
    refused = await ann.of_hold("PATCH", hold, json={"seats": ["A4", "A5"]})
    assert problem(refused, 409, "sold_out")["in_the_way"] == ["A5"]
    problem(await ann.of_hold("PATCH", hold, json={"seats": ["A4", "Q1"]}), 404, "unknown_pool")
    too_many = {f"floor_{place}": 1 for place in range(101)}
    for bad in ({"quantity": 2}, {"seats": ["A1", "A1"]}, {"areas": too_many}, {}):
        problem(await ann.of_hold("PATCH", hold, json=bad), 422, "invalid_request")
    seats = await ann.sees(screening)
    assert [seats[f"A{number}"] for number in range(1, 6)] == ["free", "held", "held", "held", "held"]
    slot = fresh()
    await ann.define(slot, 3)
    of_slot = await ann.hold(slot)
    faults = problem(await ann.of_hold("PATCH", of_slot, json={"seats": ["A1"]}), 422, "invalid_request")["errors"]
    assert [fault["pointer"] for fault in faults] == ["/quantity", "/seats"]


async def test_a_hold_of_seats_goes_its_way(ann: Visitor, bob: Visitor) -> None:
    """Kept longer, made firm, given back: by anyone who shows the token."""
    screening = await ann.opens(ROW)
    hold = await ann.holds(screening, "A1")
    longer = await bob.of_hold("POST", hold, "/extend", {"seconds": 1_200})
    assert longer.body["expires_at"] > hold.body["expires_at"]
    assert (await bob.of_hold("POST", hold, "/confirm")).body["status"] == "confirmed"
    assert (await ann.sees(screening))["A1"] == "taken"
    assert (await bob.of_hold("DELETE", hold)).body["status"] == "cancelled"
    assert (await ann.sees(screening))["A1"] == "free"


async def test_whether_a_seat_is_held(ann: Visitor, bob: Visitor) -> None:
    """And until when; never by whom. One that is sold is held by nobody, one that is not there neither.

    Once its time is over it is not held any more, by no word of anybody's.
    """
    screening = await ann.opens(ROW)
    assert (await bob.of_seat("GET", screening, "A1")).body == {"held": False, "expires_at": None}
    hold = await ann.holds(screening, "A1", "A2")
    assert (await bob.of_seat("GET", screening, "A1")).body == {"held": True, "expires_at": hold.body["expires_at"]}
    await ann.of_hold("POST", hold, "/confirm")
    assert (await bob.of_seat("GET", screening, "A1")).body == {"held": False, "expires_at": None}
    for absent in ((screening, "Z1"), (fresh("none"), "A1")):
        assert (await bob.of_seat("GET", *absent)).body == {"held": False, "expires_at": None}
    problem(await bob.of_seat("GET", "a b", "A1"), 404, "not_found")
    brief = await ann.opens(ROW, hold_seconds=1)
    assert (await ann.holds(brief, "A1")).status == 201

    async def nobody_holds_it() -> bool:
        return bool((await bob.of_seat("GET", brief, "A1")).body == {"held": False, "expires_at": None})

    await eventually(nobody_holds_it, what="the end of the hold")
    for none in ("A", "A%00", "A%0A", "x" * 7_500):
        problem(await bob.of_seat("GET", screening, none), 404, "unknown_pool")
        problem(await bob.of_seat("POST", screening, none), 404, "unknown_pool")
    for wish in ({"seats": ["A\0"]}, {"areas": {"floor\0": 1}}):
        problem(await bob.holds(screening, **wish), 422, "invalid_request")


async def test_e78_wrong_or_no_token_is_403_whether_held_or_not(ann: Visitor, bob: Visitor) -> None:
    """One answer for a seat that is held, free, sold, not there, in no house, or none at all. The seat stays held.

    Seen to fail on a look-up that does not compare the token, and (500) on one of what cannot be a seat's id.
    """
    screening = await ann.opens(ROW)
    hold, other = await ann.holds(screening, "A1"), await ann.holds(screening, "A2")
    sold = await ann.holds(screening, "A3")
    await ann.of_hold("POST", sold, "/confirm")
    told = set()
    nonsense = [(screening, seat) for seat in ("A%00", "A%0A", "A", "x" * 7_500)]
    for who in (ann, bob):
        for shown in ({}, {"Hold_Token": "wrong"}, {"Hold_Token": other.body["hold_token"]}):
            seats = [(screening, seat) for seat in ("A1", "A3", "A4", "Z9")]
            for house, seat in (*seats, (fresh(), "A1"), *nonsense):
                body = problem(await who.of_seat("DELETE", house, seat, **shown), 403, "wrong_hold_token")
                told.add(body["detail"].replace(f"seat {unquote(seat)[:32]} ", "seat ? "))
    assert len(told) == 1
    assert (await ann.of_hold("GET", hold)).body["status"] == "held"


async def test_one_seat_of_a_hold_is_given_back(ann: Visitor, bob: Visitor) -> None:
    """The hold goes on without it; the last one ends it. A repeat is answered as before, another try with how it stands.

    Seen to fail on a look-up among the seats that are held now: the repeat was told 403.
    """
    screening = await ann.opens(ROW)
    hold = await ann.holds(screening, "A1", "A2")
    shown = {"Hold_Token": hold.body["hold_token"]}
    given = [await bob.of_seat("DELETE", screening, "A1", Idempotency_Key="back", **shown) for _ in range(2)]
    assert (given[0].status, given[0].body["status"], given[0].body["seats"]) == (200, "held", ["A2"])
    assert (given[1].status, given[1].body) == (200, given[0].body)
    assert given[1].response.headers["Idempotent-Replayed"] == "true"
    assert (await bob.holds(screening, "A1")).status == 201
    again = await bob.of_seat("DELETE", screening, "A1", **shown)
    assert (again.status, again.body["seats"]) == (200, ["A2"])
    assert (await ann.sees(screening))["A1"] == "held"
    last = await bob.of_seat("DELETE", screening, "A2", **shown)
    assert (last.status, last.body["status"]) == (200, "cancelled")
    assert (await ann.sees(screening))["A2"] == "free"


async def test_e10_a_house_that_is_not_there_or_closed(ann: Visitor) -> None:
    """404 and 409, by each call."""
    absent, closed = fresh("none"), await ann.opens(ROW, open=False)
    for path in (f"/screenings/{absent}", f"/screenings/{absent}/seats", "/screenings/a b/seats"):
        problem(await ann.call("GET", path), 404, "not_found")
    problem(await ann.holds(absent, "A1"), 404, "not_found")
    problem(await ann.of_seat("POST", absent, "A1"), 404, "not_found")
    problem(await ann.holds(closed, "A1"), 409, "closed")
