"""openapi.json is valid OpenAPI 3.1, describes the router's calls and no others, and says all that the code reads."""

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

import gateway
from gateway import standard_webhooks, stripe_signatures
from gateway.calls import CALLS
from gateway.describing import Call
from gateway.main import PARTS
from gateway.openapi import problems_of
from gateway.problems import KINDS
from gateway.schemas import PARAMETERS
from tests.openapi import DOCUMENT, check_answer
from tests.unit.test_refusals import REASONS
from topics.refusals import CATALOGUE

# Which command each write gives.
COMMAND_OF = {
    ("PUT", "/slots/{slot_id}"): "DefineResource",
    ("POST", "/slots/{slot_id}/hold"): "Hold",
    ("POST", "/holds/{hold_id}/confirm"): "Confirm",
    ("POST", "/holds/{hold_id}/extend"): "Extend",
    ("PATCH", "/holds/{hold_id}"): "ChangeHold",
    ("DELETE", "/holds/{hold_id}"): "Cancel",
    ("PUT", "/screenings/{screening_id}"): "DefineResource",
    ("POST", "/screenings/{screening_id}/holds"): "Hold",
    ("POST", "/screenings/{screening_id}/seats/{seat}/hold"): "Hold",
    ("DELETE", "/screenings/{screening_id}/seats/{seat}/hold"): "Cancel",
    ("PUT", "/api/products/{product_id}"): "DefineResource",
    ("POST", "/api/holds"): "Hold",
    ("POST", "/api/holds/{product_id}/{quantity}"): "Hold",
    ("POST", "/api/orders"): "PlaceOrder",
    ("POST", "/api/orders/{hold_id}/{product_id}"): "PlaceOrder",
    ("DELETE", "/api/orders/{order_id}"): "CancelOrder",
}
WRITES = [call for call in CALLS if call.is_write]
# Only a producer to Kafka can be refused these: HTTP sends no expiry time, signs what it sends, does not wait for a payment.
OF_THE_LOG = {"command_expired", "forbidden", "payment_of_another_order"}
# Only where units have names can one be asked for that is not there.
OF_NAMES = {"unknown_pool"}


def test_it_is_openapi() -> None:
    """By the validator's word, references included; which does notice a fault."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    broken = copy.deepcopy(DOCUMENT)
    del broken["info"]["title"]
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_every_reference_leads_somewhere() -> None:
    """Parameters, header fields and schemas; and none of them is described for nothing."""
    named = set(re.findall(r"'\$ref': '#/components/([^']+)'", str(DOCUMENT)))
    components = DOCUMENT["components"]
    there = {f"{part}/{name}" for part in ("parameters", "headers", "schemas") for name in components[part]}
    assert named == there


def test_its_calls_are_those_of_the_router() -> None:
    """Each path and method once; seen to fail on a route without an entry, and on an entry without a route."""
    routes = [route for part in PARTS for route in part.routes()]
    routed = {(route.method, route.path) for route in routes if isinstance(route, web.RouteDef)}
    described = [(call.method, call.path) for call in CALLS]
    assert len(described) == len(set(described))
    assert set(described) == routed | {("GET", "/metrics")}
    operations = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(operations) == len(set(operations))


@pytest.mark.parametrize("call", WRITES, ids=lambda call: f"{call.method} {call.path}")
def test_a_write_names_the_refusals_of_its_command(call: Call) -> None:
    """All that the core may give, and no other: the table of the core's tests is the measure."""
    command = COMMAND_OF[call.method, call.path]
    refusals = {name for name in problems_of(call) if name in CATALOGUE}
    of_others = set() if call.path.startswith(("/screenings/", "/holds/")) else OF_NAMES
    assert refusals == (set(REASONS[command]) | {"internal_error"}) - OF_THE_LOG - of_others


def test_no_type_of_problem_comes_from_nowhere() -> None:
    """Each is one of some call, but for those that are answered before any call is known, and those of the log."""
    described = {name for call in CALLS for name in problems_of(call)}
    assert set(KINDS) - described == {"malformed_request", "method_not_allowed"} | OF_THE_LOG


def test_every_header_and_parameter_that_is_read_is_described() -> None:
    """By the names in the code; seen to fail on a parameter that is left out of the table."""
    code = "".join(path.read_text() for path in Path(gateway.__path__[0]).glob("*.py"))
    read = {
        *re.findall(r'headers\.get(?:all)?\("([\w-]+)"', code),
        *re.findall(r'_one_line\(request, "([\w-]+)"', code),
        *re.findall(r'query\.get(?:all)?\("([\w-]+)"', code),
        *re.findall(r'"([\w-]+)" not in request\.query', code),
    }
    read |= {
        standard_webhooks.ID,
        standard_webhooks.TIMESTAMP,
        standard_webhooks.SIGNATURE,
        stripe_signatures.SIGNATURE,
    }
    described = {parameter["name"] for parameter in PARAMETERS.values()}
    assert read - {"Authorization"} == described - {"Last-Event-ID"}  # which aiohttp_sse names
    used = {name for call in CALLS for name in call.parameters}
    assert used == set(PARAMETERS)


PROBLEM = {
    "type": "http://a/problems/not_found",
    "title": "t",
    "status": 404,
    "detail": "d",
    "retry": "new_key",
    "instance": "/slots/x",
}
SLOT = {"slot_id": "a", "capacity": 1, "remaining": 1, "held": 0, "version": 1}
WRONG: dict[str, tuple[str, str, int, str, Any]] = {
    "a member too many": ("GET", "/slots/availability", 200, "application/json", [{**SLOT, "taken": 0}]),
    "a member too few": ("GET", "/slots/availability", 200, "application/json", [{"slot_id": "a"}]),
    "a status that is not described": ("GET", "/slots/a", 201, "application/json", {}),
    "another content type": ("GET", "/slots/availability", 200, "text/plain", []),
    "a failure that is no problem": ("GET", "/slots/a", 404, "text/plain", ""),
    "a problem of another call": ("GET", "/holds/a", 404, "application/problem+json", PROBLEM),
    "a problem without its detail": (
        *("GET", "/slots/a", 404, "application/problem+json"),
        {name: text for name, text in PROBLEM.items() if name != "detail"},
    ),
    "a path that is not described": ("GET", "/trams/a", 200, "application/json", {}),
}


def test_what_is_described_is_taken() -> None:
    """An answer as it should be."""
    check_answer("GET", "/slots/availability", 200, "application/json", [SLOT])
    check_answer("GET", "/slots/a", 404, "application/problem+json", PROBLEM)


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_described_would_be_noticed(what: str) -> None:
    """The check that all integration tests go through proves something."""
    with pytest.raises((AssertionError, KeyError)):
        check_answer(*WRONG[what])


def names(parts: Iterable[Any]) -> list[str]:
    """Return the names of the kinds' holds that `/holds/{id}` may show."""
    return [part["$ref"].rpartition("/")[2] for part in parts]


def test_a_hold_of_any_kind_is_described() -> None:
    """By what each kind adds to it."""
    assert names(DOCUMENT["components"]["schemas"]["AnyHold"]["anyOf"]) == ["SlotHold", "ScreeningHold", "ProductHold"]
