"""A night at the pictures: two find their seats on the map, one is quicker, plans change, and in the end all is firm."""

import pytest

from tests.acceptance.people import outcome
from tests.installation import BOB_KEY, Installation
from tests.visitors import row, token, visitor

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_night_out(running: Installation, second_url: str) -> None:
    """Ann and Bob look at one map, through two gateways, and want the same seats.

    Bob is told which of his are gone and takes the best that are left; Ann changes hers, gives one back, keeps her place in
    the pit, and confirms. Who has no token can do nothing to them.
    """
    async with visitor(running) as ann, visitor(running, BOB_KEY, second_url) as bob:
        film = await ann.opens(row("A", 6), row("B", 6, blocked=[1]), areas=[{"id": "pit", "capacity": 3}], focal="B3")
        assert await ann.sees(film) == await bob.sees(film)

        hers = await ann.holds(film, "B3", "B4", areas={"pit": 1})
        assert hers.status == 201
        refused = await bob.holds(film, "B4", "B5", areas={"pit": 2})
        assert (outcome(refused), refused.body["in_the_way"]) == ((409, "sold_out"), ["B4"])
        his = await bob.holds(film, best_available=2, areas={"pit": 2})
        assert his.status == 201
        assert {(await ann.sees(film))[seat] for seat in his.body["seats"]} == {"held"}

        free = [seat for seat, status in (await ann.sees(film)).items() if status == "free" and seat.startswith("A")]
        moved = await ann.of_hold("PATCH", hers, json={"seats": free[:3]})
        assert (moved.status, moved.body["seats"], moved.body["areas"]) == (200, free[:3], {"pit": 1})
        assert outcome(await bob.of_seat("DELETE", film, free[0])) == (403, "wrong_hold_token")
        given = await ann.of_seat("DELETE", film, free[0], Hold_Token=token(hers)["Hold-Token"])
        assert given.body["seats"] == free[1:3]

        assert outcome(await ann.of_hold("POST", hers, "/confirm")) == (200, "confirmed")
        assert outcome(await bob.of_hold("POST", his, "/confirm")) == (200, "confirmed")
        map_ = (await bob.call("GET", f"/screenings/{film}/seats")).body
        taken = {seat["id"] for seat in map_["seats"] if seat["status"] == "taken"}
        assert taken == {*free[1:3], *his.body["seats"]}
        assert (map_["areas"][0]["taken"], map_["areas"][0]["remaining"]) == (3, 0)
