"""docs/http.md is run as it is written: each curl is sent, and the line below it says what comes."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.calls import CALLS
from gateway.describing import Call
from tests.installation import ADMIN_KEY, Installation, installation
from tests.openapi import call_of, check_answer
from tests.servers import Urls

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r'(?P<place>[\w.\[\]]+)(?P<sign>=>?)(?P<value>"[^"]*"|\S+)\s*')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(servers: Urls, module_postgres_url: str, logs: Path) -> AsyncIterator[Installation]:
    """Give an installation as `make up` starts one: without API keys."""
    async with installation(servers, module_postgres_url, logs, FIRMHOLD_API_KEYS="") as one:
        await one.start_worker()
        await one.start_gateway(FIRMHOLD_WAIT_DEFAULT_SECONDS="30")
        yield one


def examples() -> list[tuple[str, str]]:
    """Return each curl of the page with what is said to come."""
    lines = [line for block in _BLOCK.findall((DOCS / "http.md").read_text()) for line in block.splitlines()]
    assert [line.split()[0] for line in lines] == ["curl", "#"] * (len(lines) // 2)
    return list(zip(lines[::2], lines[1::2], strict=True))


def request_of(curl: str, known: dict[str, str] | None = None) -> tuple[str, str, dict[str, str], str | None]:
    """Read a curl as its manual has it, of the options that the page uses: method, URL, header fields, body.

    With what is `known` put in for variables, word by word as a shell does: it may have quotes of its own.
    """
    method, headers, body, url = "GET", {}, None, ""
    words: Iterator[str] = iter(word if known is None else expanded(word, known) for word in shlex.split(curl)[1:])
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, text = next(words).partition(": ")
                headers[name] = text
            case "-d":
                body = next(words)
            case "-N":
                pass
            case _:
                assert not url, f"two addresses: {curl}"
                url = word
    return method, url, headers, body


def member(body: Any, place: str) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a place such as `errors[0].pointer`."""
    for step in re.findall(r"\w+", place):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


@pytest.mark.asyncio(loop_scope="module")
async def test_each_example_is_answered_as_the_page_says(running: Installation) -> None:
    """In its order, with what earlier answers gave; seen to fail on a status, a member and a header changed in the page."""
    known = {"FIRMHOLD_URL": running.gateway_url, "FIRMHOLD_ADMIN_KEY": ADMIN_KEY}
    async with aiohttp.ClientSession() as session:
        for curl, said in examples():
            method, url, headers, data = request_of(curl, known)
            async with session.request(method, url, headers=headers, data=data) as response:
                is_stream = response.content_type == "text/event-stream"
                text = await (heard(response, said.partition(" ")[2][4:]) if is_stream else response.text())
                told = json.loads(text) if response.content_type.endswith("json") else text
                check_answer(method, response.url.raw_path, response.status, response.content_type, told)
                compare(response, told, expanded(said.removeprefix("# "), known), known)


async def heard(response: aiohttp.ClientResponse, wanted: str) -> str:
    """Return what a stream tells until it has told this, or ends: it may go on for ever."""
    text = ""
    async with asyncio.timeout(30):
        async for line in response.content:
            text += line.decode()
            if wanted in text:
                break
    return text


def expanded(text: str, known: dict[str, str]) -> str:
    """Put in what variables stand for; one that nobody has set fails."""
    return re.sub(r"\$([A-Z_]+)", lambda match: known[match[1]], text)


def compare(response: aiohttp.ClientResponse, told: Any, said: str, known: dict[str, str]) -> None:  # noqa: ANN401 - JSON
    """Compare an answer with what is said of it, and keep what is named (`id=>HOLD`, `ETag: =>MAP`)."""
    status, _, rest = said.partition(" ")
    assert response.status == int(status), f"{said}: {told}"
    place = 0
    while isinstance(told, dict | list) and (match := _MEMBER.match(rest, place)):
        place = match.end()
        found = member(told, match["place"])
        if match["sign"] == "=>":
            known[match["value"]] = found
        else:
            assert found == json.loads(match["value"]), f"{said}: {told}"
    name, colon, text = rest[place:].partition(": ")
    if colon and text.startswith("=>"):
        known[text[2:]] = response.headers[name]
    elif colon and isinstance(told, dict | list):
        assert response.headers[name] == text, said
    elif not isinstance(told, dict | list):
        assert rest in told, f"{said}: {told}"
    else:
        assert not rest[place:], f"not understood: {said}"


def test_every_call_has_its_example() -> None:
    """Fails on a call that is added without one."""
    shown = set()
    for curl, _ in examples():
        method, url, _, _ = request_of(curl)
        path = re.sub(r"\$[A-Z]+", "x", url.removeprefix("$FIRMHOLD_URL")).partition("?")[0]
        call = call_of(method, path)
        assert isinstance(call, Call), curl
        shown.add((call.method, call.path))
    assert shown == {(call.method, call.path) for call in CALLS}
