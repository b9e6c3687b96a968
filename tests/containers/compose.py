"""docker-compose.yml as Compose reads it: variables put in, and which services run in a profile."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import yaml

from firmhold.local.places import CHECKOUT

FILE = CHECKOUT / "docker-compose.yml"
ONE_BROKER, THREE_BROKERS = "one-broker", "three-brokers"
OURS = ("migrate", "topics", "gateway", "worker")
STAYING = ("gateway", "worker", "postgres", "redis", "kafka", "kafka-1", "kafka-2", "kafka-3")
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<operator>:?[-?])(?P<rest>[^}]*))?\})")


class MissingVariableError(Exception):
    """A variable that the file insists on; the message is the file's."""


def compose_file(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with these variables put in; raises MissingVariableError as Compose would refuse."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    plain: dict[str, Any] = _put_in(document, variables)
    return plain


def services_of(document: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Return the services that run in a profile: those that name it, and those that name none."""
    services: dict[str, Any] = document["services"]
    return {name: one for name, one in services.items() if profile in one.get("profiles", [profile])}


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a service as texts."""
    return {name: str(value) for name, value in service["environment"].items()}


def example() -> dict[str, dict[str, str]]:
    """Return what .env.example sets: as it stands, and with its block of three brokers instead."""
    text = (CHECKOUT / ".env.example").read_text()
    as_is = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    three = dict(re.findall(r"^# (\w+)=(.*)$", text, re.MULTILINE))
    return {as_is["COMPOSE_PROFILES"]: as_is, three["COMPOSE_PROFILES"]: as_is | three}


def filled_in(profile: str, **more: str) -> dict[str, str]:
    """Return the example with its secrets filled in."""
    variables = example()[profile]
    secrets = {name: f"{name.lower().replace('_', '')}1" for name, value in variables.items() if not value}
    secrets["FIRMHOLD_WEBHOOK_SECRET"] = f"whsec_{base64.b64encode(b'webhooks of a test, so long').decode()}"
    return variables | secrets | {"FIRMHOLD_API_KEYS": ""} | more


def _put_in(part: Any, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML holds anything
    match part:
        case dict():
            return {name: _put_in(value, variables) for name, value in part.items()}
        case list():
            return [_put_in(value, variables) for value in part]
        case str():
            return _VARIABLE.sub(lambda found: _value(found, variables), part)
        case _:
            return part


def _value(found: "re.Match[str]", variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    name, operator, rest = found["name"], found["operator"] or "", found["rest"]
    value = variables.get(name)
    is_there = value is not None and (value != "" or not operator.startswith(":"))
    if is_there:
        return str(value)
    if operator.endswith("?"):
        raise MissingVariableError(f"{name}: {rest}")
    return str(rest or "")
