"""Hold the gateway to its own openapi.json: every answer that a client of the tests gets is one that is described there."""

import re
from functools import cache
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from gateway.calls import CALLS
from gateway.describing import Call
from gateway.openapi import document, problems_of
from gateway.problems import CONTENT_TYPE

DOCUMENT: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document("http://gateway")))  # as it is sent
_URI = "urn:openapi"
_REGISTRY: Registry[Any] = Registry().with_resource(_URI, Resource.from_contents(DOCUMENT, DRAFT202012))
_OF_ANY_PATH = ("malformed_request", "rate_limited", "internal")


def call_of(method: str, path: str) -> Call | str:
    """Return the described call of a request, or the type of the problem that it must be answered with."""
    method = "GET" if method == "HEAD" else method
    there = [call for call in CALLS if re.fullmatch(re.sub(r"{\w+}", "[^/]+", call.path), path)]
    calls = [call for call in there if call.method == method]
    if not there:
        return "unknown_path"
    return min(calls, key=lambda call: call.path.count("{")) if calls else "method_not_allowed"


def check_answer(method: str, path: str, status: int, content_type: str, body: Any) -> None:  # noqa: ANN401 - JSON
    """Fail if the answer is not described: its status, its content type, its body, or the type of its problem."""
    call = call_of(method, path)
    is_problem = content_type == CONTENT_TYPE
    assert is_problem or status < 400 or path == "/readyz", f"{method} {path}: {status} as {content_type}"
    if is_problem and body:
        name = body["type"].rpartition("/")[2]
        described = (call,) if isinstance(call, str) else problems_of(call)
        assert name in (*described, *_OF_ANY_PATH), f"{method} {path}: {name} is not described"
        _check(("components", "schemas", "Problem"), body)
    elif method != "HEAD":
        assert isinstance(call, Call), f"{method} {path}: {call}"
        described_types = DOCUMENT["paths"][call.path][call.method.lower()]["responses"][str(status)].get("content", {})
        assert (content_type in described_types) == (status not in {204, 304}), f"{method} {path}: {content_type}"
        if content_type == "application/json":
            place = (
                "paths",
                call.path,
                call.method.lower(),
                "responses",
                str(status),
                "content",
                content_type,
                "schema",
            )
            _check(place, body)


def _check(place: tuple[str, ...], body: Any) -> None:  # noqa: ANN401 - JSON
    faults = [fault.message for fault in _validator(place).iter_errors(body)]
    assert faults == [], f"{body} is not as {'/'.join(place)} says"


@cache
def _validator(place: tuple[str, ...]) -> Draft202012Validator:
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in place)
    schema = {"$ref": f"{_URI}#{pointer}"}
    return Draft202012Validator(schema, registry=_REGISTRY, format_checker=FormatChecker())
