"""Define many resources at once, through the gateway like everybody: a line a resource, from NDJSON or CSV.

Whatever is wrong with a line is told with its number and stops no other line. Each run gives every definition once: to run
a file again restores what it says, to resume a run by its name leaves alone what that run has done already.
"""

import asyncio
import csv
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from firmhold.settings import Settings
from topics.identifiers import is_resource_id

PATH_OF_KIND = {"slot": "/slots/{}", "screening": "/screenings/{}", "product": "/api/products/{}"}
# These cells of a CSV file are texts however they look; any other is JSON where it can be read as that.
_TEXTS = frozenset(
    ("kind", "id", "title", "name", "currency", "claim_at", "opens_at", "closes_at", "focal", "client_reference")
)
_TRIES = 5
_RETRY_AFTER_SECONDS_MAX = 30.0
_ACCEPTED, _TOO_MANY, _UNAVAILABLE = 202, 429, 503


@dataclass(frozen=True, slots=True)
class Line:
    """A resource to be defined, and where it stands."""

    number: int
    kind: str
    resource_id: str
    body: Mapping[str, Any]

    def key(self, run: str) -> str:
        """Return the idempotency key: the same definition, in the same run, is given once."""
        asked = json.dumps([run, self.kind, self.resource_id, self.body], sort_keys=True)
        return f"define-{hashlib.sha256(asked.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a line; `fault` is None if its resource is defined, `is_repeat` if this run had defined it before."""

    number: int
    text: str
    fault: str | None = None
    is_repeat: bool = False


def lines_of(text: str) -> Iterator[Line | Result]:
    """Read a file, NDJSON if it begins with `{` and else CSV with a header; a faulty line is a Result."""
    seen: dict[tuple[str, str], int] = {}
    read = _from_json if text.lstrip().startswith("{") else _from_csv
    for number, fields in read(text):
        line = _line(number, fields) if isinstance(fields, dict) else Result(number, "", fields)
        if isinstance(line, Line):
            before = seen.setdefault((line.kind, line.resource_id), number)
            if before != number:
                fault = f"{line.kind} {line.resource_id} is on line {before} already: which one should win is not clear"
                line = Result(number, "", fault)
        yield line


def _from_json(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as fault:
            yield number, f"this is no JSON: {fault}"
        else:
            yield number, fields if isinstance(fields, dict) else "a line is a JSON object"


def _from_csv(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.DictReader(text.splitlines(), restkey="")
    for row in reader:
        if "" in row or None in row.values():
            yield reader.line_num, "this line has more or fewer cells than the header"
        else:
            yield (
                reader.line_num,
                {name.strip(): _cell(name.strip(), cell) for name, cell in row.items() if cell.strip()},
            )


def _cell(name: str, text: str) -> Any:  # noqa: ANN401 - what JSON can say
    if name in _TEXTS:
        return text.strip()
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _line(number: int, fields: dict[str, Any]) -> Line | Result:
    body = dict(fields)
    kind, resource_id = body.pop("kind", "slot"), body.pop("id", None)
    if kind not in PATH_OF_KIND:
        return Result(number, "", f"kind is one of {', '.join(PATH_OF_KIND)}, not {kind!r}")
    if isinstance(resource_id, int) and not isinstance(resource_id, bool):
        resource_id = str(resource_id)
    if not isinstance(resource_id, str) or not resource_id:
        return Result(number, "", "id is missing: what the resource is called")
    if not is_resource_id(resource_id):
        return Result(number, "", f"id has 1 to 64 of A-Z a-z 0-9 . _ - and is not . or .., not {resource_id[:80]!r}")
    return Line(number, kind, resource_id, body)


class Tell(Protocol):
    """Says a line to the person who runs this."""

    def __call__(self, line: str, *, is_fault: bool) -> None:
        """Say it, on standard error if it is a fault."""


def new_run() -> str:
    """Return the name of a run that nobody has used."""
    return secrets.token_hex(5)


async def define_file(settings: Settings, text: str, *, concurrency: int, run: str, tell: Tell) -> int:
    """Define all that a file names, telling of each line; return how many failed."""
    defined = repeated = failed = 0
    tell(f"this is run {run}: if it is interrupted, the same file with `--run {run}` goes on with it", is_fault=False)
    async for result in define(settings, lines_of(text), concurrency=concurrency, run=run):
        if result.fault is None:
            repeated += result.is_repeat
            defined += not result.is_repeat
            tell(result.text, is_fault=False)
        else:
            failed += 1
            tell(f"line {result.number}: {result.fault}", is_fault=True)
    before = f"{repeated} defined before in this run, " if repeated else ""
    tell(f"{defined} defined, {before}{failed} failed", is_fault=failed > 0)
    return failed


async def define(
    settings: Settings, lines: Iterable[Line | Result], *, concurrency: int, run: str
) -> AsyncIterator[Result]:
    """Define each line, `concurrency` at a time; yield what became of each as it is known."""
    headers = {"Authorization": f"Bearer {settings.admin_key.get_secret_value()}", "Prefer": "wait=30"}
    waiting = iter(lines)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        results: asyncio.Queue[Result | None] = asyncio.Queue(concurrency)

        async def work() -> None:
            for line in waiting:
                await results.put(line if isinstance(line, Result) else await _define(session, settings.url, line, run))
            await results.put(None)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(concurrency):
                tasks.create_task(work())
            ended = 0
            while ended < concurrency:
                result = await results.get()
                ended += result is None
                if result is not None:
                    yield result


async def _define(session: aiohttp.ClientSession, url: str, line: Line, run: str) -> Result:
    """Define one, trying again where the gateway says that it may."""
    what = f"{line.kind} {line.resource_id}"
    path = PATH_OF_KIND[line.kind].format(line.resource_id)
    fault = ""
    for _ in range(_TRIES):
        seconds = 1.0
        try:
            headers = {"Idempotency-Key": f'"{line.key(run)}"'}
            async with session.put(f"{url.rstrip('/')}{path}", json=line.body, headers=headers) as response:
                if response.ok and response.status != _ACCEPTED:
                    is_repeat = "Idempotent-Replayed" in response.headers
                    told = "defined before in this run, left as it is" if is_repeat else "defined"
                    return Result(line.number, f"{what}: {told}", is_repeat=is_repeat)
                fault = await _fault(response)
                if response.status not in {_ACCEPTED, _TOO_MANY, _UNAVAILABLE}:
                    break
                seconds = min(float(response.headers.get("Retry-After", seconds)), _RETRY_AFTER_SECONDS_MAX)
        except (aiohttp.ClientError, OSError) as error:
            fault = f"the gateway at {url} does not answer ({error}): FIRMHOLD_URL must name it"
        await asyncio.sleep(seconds)
    return Result(line.number, what, f"{what}: {fault}")


async def _fault(response: aiohttp.ClientResponse) -> str:
    if response.status == _ACCEPTED:
        return "it is not decided yet: go on with this run"
    try:
        problem = await response.json(content_type=None)
        return f"{problem['detail']} ({response.status})"
    except (ValueError, KeyError, TypeError):
        return f"answered {response.status}"
