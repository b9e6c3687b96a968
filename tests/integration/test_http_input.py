"""What the gateway refuses by itself: bad bodies, headers, ids and callers. Nothing of it ever reaches the log."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict
from yarl import URL

from tests.installation import ADMIN_KEY, ALICE_KEY, BOB_KEY, Client, Installation, Reply
from tests.integration.expectations import caused_by, fresh, headers_of, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_A_QUANTITY = ["0", "-1", "1.5", str(2**31), "1" + "0" * 400, "true", '"5"', "null", "[]", "{}", "NaN"]
NOT_JSON = [b"{", b"quantity=1", b'{"quantity": 1}}', b"\xff\xfe", b'{"client_reference": "\\ud800"}', b"[" * 50_000]
TWICE = ['{"quantity": 1, "quantity": 2}', '{"client_reference": "a", "quantity": 1, "client_reference": "a"}']
NOT_A_KEY = [
    "",
    '""',
    '"unterminated',
    'unterminated"',
    '"' + "k" * 256 + '"',
    "k" * 256,
    '"kéy"',
    "kéy",
    '"a", "b"',
    '("a" "b")',
    ":aGVsbG8=:",
    "?1",
    "a b",
    '"tab\there"',
    '"a"; =',
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slot(alice: Client) -> str:
    """Give a slot with room."""
    name = fresh("input")
    assert (await alice.define(name, 1_000)).status == 201
    return name


@pytest_asyncio.fixture(loop_scope="module")
async def nothing_published(running: Installation, slot: str) -> AsyncIterator[None]:
    """Check that the test put no record on the command topic."""
    topic = running.settings.catalogue().commands("slot")
    before = await running.end_offsets(topic)
    yield
    assert await running.end_offsets(topic) == before


async def post(alice: Client, slot: str, data: Any, **headers: str) -> Reply:  # noqa: ANN401 - whatever aiohttp sends
    """Send a hold with a good key and this body."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json", **headers}
    return await alice.call("POST", f"/slots/{slot}/hold", data=data, headers=headers)


@pytest.mark.usefixtures("nothing_published")
async def test_e5_quantity_that_is_none(alice: Client, slot: str) -> None:
    """A quantity that is no whole number from 1 to 2**31-1 is 422 at its pointer; fails if Units loses a bound."""
    for text in NOT_A_QUANTITY:
        body = problem(await post(alice, slot, f'{{"quantity": {text}}}'), 422, "invalid_request")
        assert [fault["pointer"] for fault in body["errors"]] == ["/quantity"], text
        assert all(fault["detail"] for fault in body["errors"])


@pytest.mark.usefixtures("nothing_published")
async def test_e5_fields_that_are_none(alice: Client, slot: str) -> None:
    """Each bad field is named, the unknown ones too, by an escaped JSON Pointer; fails without `extra="forbid"`."""
    sent = {"quantity": 0, "client_reference": "x" * 129, "a/b~c": 1}
    body = problem(await post(alice, slot, json.dumps(sent)), 422, "invalid_request")
    assert sorted(fault["pointer"] for fault in body["errors"]) == ["/a~1b~0c", "/client_reference", "/quantity"]
    for reference in ("", "line\nfeed", "end\n", "nul\0", 7):
        body = problem(await post(alice, slot, json.dumps({"client_reference": reference})), 422, "invalid_request")
        assert [fault["pointer"] for fault in body["errors"]] == ["/client_reference"]
    for other in ("[]", '"text"', "1", "null"):
        body = problem(await post(alice, slot, other), 422, "invalid_request")
        assert [fault["pointer"] for fault in body["errors"]] == [""]


@pytest.mark.usefixtures("nothing_published")
async def test_e5_what_is_not_json(alice: Client, slot: str) -> None:
    """A body that cannot be parsed is 400; fails if `json_invalid` is not told from a bad field."""
    for data in NOT_JSON:
        problem(await post(alice, slot, data), 400, "malformed_json")
    problem(await post(alice, slot, b"no gzip at all", **{"Content-Encoding": "gzip"}), 400, "malformed_json")


@pytest.mark.usefixtures("nothing_published")
async def test_e5_what_is_said_twice(alice: Client, slot: str) -> None:
    """Of two members of one name nobody knows which was meant: 400. Seen to fail with Pydantic's last one."""
    for data in TWICE:
        body = problem(await post(alice, slot, data), 400, "malformed_json")
        assert "more than once" in body["detail"]


@pytest.mark.usefixtures("nothing_published")
async def test_an_instance_is_a_uri_reference(alice: Client, running: Installation) -> None:
    """The path as it was sent, with what may not be in one escaped; seen to fail with the decoded path."""
    for name in ("d%00emo", "%C3%A9%20%22", "a%2Fb"):
        path = f"/slots/{name}/hold"
        reply = await alice.call("POST", URL(path, encoded=True), headers={"Idempotency-Key": "k"})
        assert problem(reply, 404, "not_found")["instance"] == path
    place = URL(running.gateway_url)
    for sent, instance in ((b"/a%zz%", "/a%25zz%25"), (b'/a"<b>', "/a%22%3Cb%3E")):
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(b"GET " + sent + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        body = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
        assert (body["status"], body["instance"]) == (404, instance)


async def test_what_a_query_says_wrong_is_told_as_that(alice: Client, slot: str) -> None:
    """And not as a fault of the body, which these calls have none of; nor do words of Pydantic's leak."""
    calls = ("GET /slots/availability?limit=0", "GET /slots/availability?ids=a,b!", "GET /requests/{}?wait=x")
    held = await alice.hold(slot)
    request_id = held.body["links"]["request"].rpartition("/")[2]
    details = []
    for call in calls:
        method, _, path = call.format(request_id).partition(" ")
        details.append(problem(await alice.call(method, path), 422, "invalid_request")["detail"])
    path = f"/holds/{held.body['id']}?client_reference="
    details.append(problem(await alice.call("DELETE", path), 422, "invalid_request")["detail"])
    assert [detail.split(" ")[:4] for detail in details] == [
        ["the", "query", "parameter", name] for name in ("limit", "ids", "wait", "client_reference")
    ]
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    early = {"capacity": 1, "closes_at": "0001-01-01T00:00:00+14:00"}
    body = problem(await alice.call("PUT", f"/slots/{slot}", json=early, headers=headers), 422, "invalid_request")
    assert body["errors"][0]["detail"] == "this instant is outside of the years that UTC can say"


@pytest.mark.usefixtures("nothing_published")
async def test_body_too_large(alice: Client, running: Installation, slot: str) -> None:
    """A body over the bound is 413, with or without Content-Length; one at the bound is read."""
    most = running.settings.body_bytes_max

    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(most // 1_024 + 1):
            yield b" " * 1_024

    problem(await post(alice, slot, b" " * (most + 1)), 413, "body_too_large")
    problem(await post(alice, slot, in_chunks()), 413, "body_too_large")
    problem(await post(alice, slot, b"[".ljust(most)), 400, "malformed_json")


@pytest.mark.usefixtures("nothing_published")
async def test_e5_definition_that_is_none(alice: Client, slot: str) -> None:
    """PUT checks its fields as POST does; fails if an instant that UTC cannot say ends in a 500."""
    bad = {
        "capacity": -1,
        "hold_seconds": 0,
        "max_hold_seconds": 366 * 24 * 3600 + 1,
        "claim_at": "never",
        "open": "yes",
        "opens_at": "2026-01-01T00:00:00",
        "closes_at": "0001-01-01T00:00:00+14:00",
        "units_per_hold": 0,
        "holds_per_buyer": 1.5,
        "title": "",
    }
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    body = problem(await alice.call("PUT", f"/slots/{slot}", json=bad, headers=headers), 422, "invalid_request")
    assert {fault["pointer"] for fault in body["errors"]} == {f"/{name}" for name in bad}
    body = problem(await alice.call("PUT", f"/slots/{slot}", json={}, headers=headers), 422, "invalid_request")
    assert [fault["pointer"] for fault in body["errors"]] == ["/capacity"]


@pytest.mark.usefixtures("nothing_published")
async def test_idempotency_key_table(alice: Client, slot: str) -> None:
    """A missing key is 400 with a type that documents the policy, a malformed one 400; fails if `_parse` is lenient."""
    reply = await alice.call("POST", f"/slots/{slot}/hold", json={})
    body = problem(reply, 400, "idempotency_key_missing")
    async with alice.session.get(body["type"]) as page:
        assert page.status == 200
    for key in NOT_A_KEY:
        problem(await post(alice, slot, b"{}", **{"Idempotency-Key": key}), 400, "idempotency_key_malformed")
    twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    reply = await alice.call("POST", f"/slots/{slot}/hold", json={}, headers=twice)
    problem(reply, 400, "idempotency_key_malformed")


async def test_idempotency_key_quoted_is_the_bare_one(alice: Client, slot: str) -> None:
    """A bare token, its quoted form and one with parameters are one key; fails if quotes or parameters stay in."""
    key = str(uuid.uuid4())
    replies = [await alice.hold(slot, form) for form in (key, f'"{key}"', f' "{key}";v=1;w ')]
    assert [reply.status for reply in replies] == [201] * 3
    assert len({reply.body["id"] for reply in replies}) == 1
    longest = [await alice.hold(slot, form) for form in ("k" * 255, '"' + "k" * 255 + '"', '"with \\"quote\\" \\\\ "')]
    assert [reply.status for reply in longest] == [201] * 3


async def test_key_format_uuid(running: Installation, slot: str) -> None:
    """With FIRMHOLD_KEY_FORMAT=uuid other keys are 400 and UUIDs are taken; fails if the setting is not asked."""
    url = await running.start_gateway(FIRMHOLD_KEY_FORMAT="uuid")
    async with running.client(url=url) as client:
        for key in ("order-7", '"order-7"', "123e4567-e89b-12d3-a456-42661417400", "123e4567e89b12d3a456426614174000"):
            problem(await post(client, slot, b"{}", **{"Idempotency-Key": key}), 400, "idempotency_key_malformed")
        for key in (str(uuid.uuid4()), f'"{uuid.uuid4()}"', str(uuid.uuid4()).upper()):
            assert (await client.hold(slot, key)).status == 201


@pytest.mark.usefixtures("nothing_published")
async def test_slot_ids_that_are_none(alice: Client) -> None:
    """What cannot be an id is refused on PUT (422) and names nothing on POST and GET (404)."""
    for name in ("a" * 65, "sp%20ace", "%C3%A9", "a~b", "%2e%2e%2f", "a%0a", "%ff", "%00"):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        path = f"/slots/{name}"
        problem(await alice.call("PUT", path, json={"capacity": 1}, headers=headers), 422, "invalid_request")
        problem(await alice.call("GET", path), 404, "not_found")
        problem(await alice.call("POST", f"{path}/hold", headers={"Idempotency-Key": "k"}), 404, "not_found")
    problem(await alice.call("GET", f"/slots/{fresh('nowhere')}"), 404, "not_found")
    problem(await alice.call("GET", "/slots"), 404, "unknown_path")


@pytest.mark.usefixtures("nothing_published")
async def test_callers(running: Installation, slot: str) -> None:
    """Without a known bearer key 401 with WWW-Authenticate, with one of another scope 403; whatever is called."""
    calls = (("POST", f"/slots/{slot}/hold"), ("PUT", f"/slots/{slot}"), ("GET", f"/slots/{slot}"))
    more = (("GET", "/holds/none"), ("GET", "/requests/none"))
    strangers = ["", "Bearer", "Bearer ", f"Bearer {ALICE_KEY}x", f"Bearer {ALICE_KEY[:-1]}", f"Basic {ALICE_KEY}"]
    async with aiohttp.ClientSession(running.gateway_url) as session:
        for authorization in [None, *strangers, "Bearer k\u00e9y", ALICE_KEY]:
            for method, path in (*calls, *more):
                headers = {} if authorization is None else {"Authorization": authorization}
                reply = await Client(session).call(method, path, headers=headers)
                problem(reply, 401, "unauthenticated")
                assert reply.response.headers["WWW-Authenticate"].startswith("Bearer")
        lower = {"Authorization": f"bEARER   {ALICE_KEY}"}
        assert (await Client(session).call("GET", f"/slots/{slot}", headers=lower)).status == 200
    async with running.client(ALICE_KEY) as alice:
        problem(await alice.call("PUT", f"/slots/{slot}", json={"capacity": 1}), 403, "insufficient_scope")


async def test_buyer_needs_a_trusted_key(alice: Client, running: Installation) -> None:
    """Only a key of scope `trusted` names a buyer, who is then counted; a malformed buyer is 400."""
    slot = fresh("buyer")
    await alice.define(slot, 10, holds_per_buyer=1)
    async with running.client(BOB_KEY) as bob:
        problem(await post(bob, slot, b"{}", Buyer="carol"), 403, "insufficient_scope")
    for buyer in ("", "b" * 129, "café"):
        problem(await post(alice, slot, b"{}", Buyer=buyer), 400, "malformed_header")
    wait = {"Prefer": "wait=30"}
    assert (await post(alice, slot, b"{}", Buyer="carol", **wait)).status == 201
    problem(await post(alice, slot, b"{}", Buyer="carol", **wait), 409, "holds_per_buyer_exceeded")
    assert (await post(alice, slot, b"{}", Buyer="dave", **wait)).status == 201


async def test_if_match(alice: Client) -> None:
    """PUT with If-Match changes that version or nothing (412); what is no entity tag is 400."""
    slot = fresh("match")
    created = await alice.define(slot, 5)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Prefer": "wait=30"}

    async def put(match: str, capacity: int) -> Reply:
        body = {"capacity": capacity}
        return await alice.call("PUT", f"/slots/{slot}", json=body, headers={**headers, "If-Match": match})

    for bad in ("", "W/", '"1", "2"', "-1", "1.0", "²", '"' + "9" * 19 + '"', '"1', "*, *", 'W/"1"'):
        problem(await put(bad, 6), 400, "malformed_header")
    assert (await put(created.response.headers["ETag"], 7)).status == 200
    stale = await put(created.response.headers["ETag"], 8)
    problem(stale, 412, "version_mismatch")
    assert (await put("*", 9)).body["capacity"] == 9
    shown = await alice.call("GET", f"/slots/{slot}")
    assert (shown.body["capacity"], shown.response.headers["ETag"]) == (9, f'"{shown.body["version"]}"')


async def test_what_must_be_there_or_must_not(alice: Client) -> None:
    """`If-Match: *` creates nothing, `If-None-Match: *` replaces nothing (RFC 9110, 13.1), each 412; both at once are 400.

    Seen to fail with `*` that asks for nothing, with If-None-Match unread, and with only the first of two lines read.
    """
    slot = fresh("must")
    path = f"/slots/{slot}"

    async def put(capacity: int, *conditions: tuple[str, str]) -> Reply:
        headers = [("Authorization", f"Bearer {ADMIN_KEY}"), ("Prefer", "wait=30"), *conditions]
        return await alice.call("PUT", path, json={"capacity": capacity}, headers=CIMultiDict(headers))

    any_there, none_there = ("If-Match", "*"), ("If-None-Match", "*")
    for condition in (any_there, ("If-Match", '"3"')):
        assert "there is no" in problem(await put(1, condition), 412, "version_mismatch")["detail"]
    problem(await alice.call("GET", path), 404, "not_found")
    assert (await put(2, none_there)).status == 201
    assert "not to exist" in problem(await put(3, none_there), 412, "version_mismatch")["detail"]
    for bad in ([any_there, none_there], [("If-Match", '"1"'), ("If-Match", '"2"')], [("If-None-Match", '"1"')]):
        problem(await put(4, *bad), 400, "malformed_header")
    assert (await alice.call("GET", path)).body["capacity"] == 2
    assert (await put(5, any_there)).body["capacity"] == 5


@pytest.mark.usefixtures("nothing_published")
async def test_settings_that_contradict_each_other(alice: Client) -> None:
    """422 with the field that another one contradicts; seen to fail with fields that are looked at one by one only."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    noon = "2026-01-01T12:00:00Z"
    bad = {"capacity": 1, "hold_seconds": 100, "max_hold_seconds": 10, "opens_at": noon, "closes_at": noon}
    reply = await alice.call("PUT", f"/slots/{fresh()}", json=bad, headers=headers)
    body = problem(reply, 422, "invalid_request")
    assert {fault["pointer"] for fault in body["errors"]} == {"/hold_seconds", "/closes_at"}


async def test_not_open_yet_says_when_to_come(alice: Client) -> None:
    """In Retry-After, as a date, and in the problem, polled too; closed and sold out cannot tell. Seen to fail without it."""
    slot = fresh("opens")
    assert (await alice.define(slot, 1, opens_at="2099-01-01T00:00:00.25Z")).status == 201
    for refused in (await alice.hold(slot, "early"), await alice.hold(slot, "early")):
        assert problem(refused, 409, "not_open_yet")["retry_at"] == "2099-01-01T00:00:00.250000Z"
        assert refused.response.headers["Retry-After"] == "Thu, 01 Jan 2099 00:00:01 GMT"
        polled = await alice.call("GET", refused.body["instance"])
        assert polled.body["error"] == refused.body
    await alice.define(slot, 1, open=False)
    closed = await alice.hold(slot)
    assert "retry_at" not in problem(closed, 409, "closed")
    assert "Retry-After" not in closed.response.headers


@pytest.mark.usefixtures("nothing_published")
async def test_methods_and_paths(alice: Client, slot: str) -> None:
    """An unknown method is 405 with Allow, an unknown path 404; both as problems."""
    reply = await alice.call("PATCH", f"/slots/{slot}")
    problem(reply, 405, "method_not_allowed")
    assert set(reply.response.headers["Allow"].split(", ")) >= {"GET", "PUT"}
    problem(await alice.call("GET", f"/slots/{slot}/hold"), 405, "method_not_allowed")
    problem(await alice.call("PROPFIND", f"/slots/{slot}"), 405, "method_not_allowed")
    for path in ("/nothing", "/slots/a/b/c", "/problems/none", "/%ff"):
        problem(await alice.call("GET", path), 404, "unknown_path")


async def test_problem_page_stands_at_its_type(alice: Client, slot: str) -> None:
    """The type of a problem is the address of a page that explains it to a person."""
    body = problem(await post(alice, slot, b'{"quantity": 0}'), 422, "invalid_request")
    async with alice.session.get(body["type"]) as page:
        text = await page.text()
        assert (page.status, page.content_type) == (200, "text/html")
    assert body["title"] in text
    assert "invalid_request" in text


async def test_trace_of_strangers(alice: Client, slot: str, running: Installation) -> None:
    """A traceparent that is none is passed over, a good one reaches the events; fails if it is copied unread."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for number, text in enumerate((b"\xff\xfe", b"x" * 5_000, trace)):
        key = f"{fresh('trace')}-{number}"
        assert await status_of_raw(running, slot, key, text) == 201
        (event,) = await caused_by(running, key)
        assert headers_of(event).get("ce_traceparent", "") == (trace.decode() if text == trace else "")


async def status_of_raw(running: Installation, slot: str, key: str, trace: bytes) -> int:
    """Hold a unit over a bare socket: no client library sends bytes that are not text."""
    place = URL(running.gateway_url)
    reader, writer = await asyncio.open_connection(place.host, place.port)
    lines = (
        f"POST /slots/{slot}/hold HTTP/1.1\r\nHost: {place.host}\r\nAuthorization: Bearer {ALICE_KEY}\r\n"
        f"Idempotency-Key: {key}\r\nPrefer: wait=30\r\nConnection: close\r\nContent-Length: 0\r\ntraceparent: "
    )
    writer.write(lines.encode() + trace + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])
