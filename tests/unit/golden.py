"""The golden examples and schemas of the messages: where they lie, and what makes a schema a breaking change.

An example is never changed: a field that comes later is shown by a further one, `{Type}.v1.{what}.json`.
`python -m tests.unit.golden` writes the schemas anew: for an optional field that was added, never to silence a test.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import topics
from topics.commands import COMMANDS
from topics.events import EVENTS

FOLDER = Path(topics.__file__).parent / "golden"
MESSAGES: dict[str, dict[str, type[msgspec.Struct]]] = {"commands": {**COMMANDS}, "events": EVENTS}
VERSION = 1

Schema = dict[str, Any]

_WORDS = ("title", "description")

# What narrows the values that a message may have: neither added nor changed once it is released.
_BOUNDS = (
    "additionalProperties",
    "const",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
)


def names(suffix: str) -> Iterator[str]:
    """Yield `{family}/{type}.v1{suffix}` of each message."""
    for family, messages in MESSAGES.items():
        yield from (f"{family}/{name}.v{VERSION}{suffix}" for name in messages)


def examples_of(name: str) -> list[Path]:
    """Return the examples of the message whose first one is `name`."""
    return sorted(FOLDER.glob(f"{name.removesuffix('.json')}*.json"))


def message_of(name: str) -> type[msgspec.Struct]:
    """Return the message that a golden file `{family}/{type}.v1…` is of."""
    family, _, rest = name.partition("/")
    return MESSAGES[family][rest.partition(f".v{VERSION}")[0]]


def schema_of(message: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of a message as it is now: references resolved, words about it left out."""
    schema = msgspec.json.schema(message)
    definitions = schema.pop("$defs", {})
    resolved = json.loads(json.dumps(_resolved(schema, definitions)))  # a default may be a tuple
    assert isinstance(resolved, dict)
    return resolved


def _resolved(node: object, definitions: Schema) -> object:
    match node:
        case {"$ref": str(reference)}:
            return _resolved(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            meant = {name: inner for name, inner in node.items() if name not in _WORDS or not isinstance(inner, str)}
            return {name: _resolved(inner, definitions) for name, inner in meant.items()}
        case list():
            return [_resolved(inner, definitions) for inner in node]
        case _:
            return node


def breaking_changes(old: Schema, new: Schema, where: str = "$") -> Iterator[str]:
    """Yield a sentence for each way in which a valid message is none any more, or may lack what was always there."""
    if old.get("type") != new.get("type"):
        yield f"{where}: the type was {old.get('type')}, it is {new.get('type')}"
    for bound in _BOUNDS:
        if not isinstance(old.get(bound, new.get(bound)), dict) and old.get(bound) != new.get(bound):
            yield f"{where}: {bound} was {old.get(bound)}, it is {new.get(bound)}"
    if old.get("enum") is not None and not set(old["enum"]) <= set(new.get("enum", ())):
        yield f"{where}: a value of the enumeration is gone"
    if set(old.get("required", ())) != set(new.get("required", ())):
        yield f"{where}: required was {old.get('required')}, it is {new.get('required')}"
    if old.get("default") != new.get("default"):
        yield f"{where}: the default was {old.get('default')}, it is {new.get('default')}"
    yield from _breaking_parts(old, new, where)


def _breaking_parts(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for name, field in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{where}.{name} is gone"
        else:
            yield from breaking_changes(field, new["properties"][name], f"{where}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(old.get(part), dict):
            yield from breaking_changes(old[part], new.get(part) or {}, f"{where}[]")
    choices, now = old.get("anyOf", []), new.get("anyOf", [])
    if len(choices) != len(now):
        yield f"{where}: there were {len(choices)} choices, there are {len(now)}"
    for choice, its in zip(choices, now, strict=False):
        yield from breaking_changes(choice, its, where)


def _write_schemas() -> None:
    for name in names(".schema.json"):
        path = FOLDER / "schemas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema_of(message_of(name)), indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    _write_schemas()
