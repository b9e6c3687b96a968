"""Golden examples: what was sent once is read for ever, and written the same. A breaking change fails here."""

import copy
import json

import msgspec
import pytest

from tests.unit import golden
from tests.unit.golden import FOLDER, Schema, breaking_changes, examples_of, message_of, names, schema_of
from topics.commands import decode as decode_command
from topics.commands import encode as encode_command
from topics.events import decode_data, encode_data

EXAMPLES = sorted(names(".json"))
SCHEMAS = sorted(names(".schema.json"))


def written_again(name: str, text: bytes) -> bytes:
    """Return what becomes of an example that is read and written."""
    type_name = name.partition("/")[2].partition(".v1")[0]
    if name.startswith("commands/"):
        return encode_command(decode_command(type_name, text))
    return encode_data(decode_data(type_name, text))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_and_written_the_same(name: str) -> None:
    """Every field and, where the example has them all, every byte (but for the line end of the file)."""
    for path in examples_of(name):
        text = path.read_bytes().rstrip(b"\n")
        again = written_again(name, text)
        fields, fields_again = json.loads(text), json.loads(again)
        assert {field: fields_again[field] for field in fields} == fields
        assert fields.keys() < fields_again.keys() or again == text


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_message_show_every_field(name: str) -> None:
    """Each is proven to be read; and they are the quickest documentation there is."""
    shown = {field for path in examples_of(name) for field in json.loads(path.read_bytes())}
    assert shown == set(message_of(name).__struct_encode_fields__)


def test_no_message_without_example_and_no_example_without_message() -> None:
    """The same of the schemas."""
    found = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    wanted = {str(path.relative_to(FOLDER)) for name in EXAMPLES for path in examples_of(name)}
    assert found == wanted | {f"schemas/{name}" for name in SCHEMAS}
    assert wanted >= set(EXAMPLES)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_message_only_gains_optional_fields(name: str) -> None:
    """What changes otherwise is a new version of the message (or, before its first release, a new schema file)."""
    kept = json.loads((FOLDER / "schemas" / name).read_text())
    assert list(breaking_changes(kept, schema_of(message_of(name)))) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_kept_schema_knows_every_field(name: str) -> None:
    """A field that was added is kept from now on: write the schemas anew (`python -m tests.unit.golden`)."""
    assert json.loads((FOLDER / "schemas" / name).read_text()) == schema_of(message_of(name))


OLD = schema_of(golden.MESSAGES["commands"]["Hold"])
OF_EVENT = schema_of(golden.MESSAGES["events"]["hold.placed"])


def changed(schema: Schema, *path: str, to: object) -> Schema:
    """Return a copy in which what stands at `path` is another, or gone (None)."""
    copied = copy.deepcopy(schema)
    *way, last = path
    inner = copied
    for step in way:
        inner = inner[step]
    if to is None:
        del inner[last]
    else:
        inner[last] = to
    return copied


COMPATIBLE = {
    "nothing": OLD,
    "an optional field more": changed(OLD, "properties", "note", to={"type": "string", "default": ""}),
}
BREAKING = {
    "a field is gone": changed(OLD, "properties", "buyer", to=None),
    "a field is required now": changed(OLD, "required", to=["resource_id", "quantity"]),
    "a field is no longer required": changed(OLD, "required", to=[]),
    "another type": changed(OLD, "properties", "quantity", "type", to="string"),
    "a lower maximum": changed(OLD, "properties", "quantity", "maximum", to=10),
    "no maximum any more": changed(OLD, "properties", "quantity", "maximum", to=None),
    "another default": changed(OLD, "properties", "quantity", "default", to=2),
    "another pattern": changed(OLD, "properties", "resource_id", "pattern", to="^a$"),
    "null is not allowed any more": changed(OLD, "properties", "buyer", to={"type": "string"}),
    "unknown fields are allowed": changed(OLD, "additionalProperties", to=None),
}


@pytest.mark.parametrize("what", COMPATIBLE)
def test_what_is_compatible(what: str) -> None:
    """The comparison lets pass what harms nobody."""
    assert list(breaking_changes(OLD, COMPATIBLE[what])) == []


@pytest.mark.parametrize("what", BREAKING)
def test_what_is_breaking(what: str) -> None:
    """And nothing else: it proves something."""
    assert list(breaking_changes(OLD, BREAKING[what])) != []


def test_a_nested_change_is_breaking_too() -> None:
    """A field of a struct within a message, and a value of an enumeration."""
    hold = ("properties", "hold", "properties")
    assert list(breaking_changes(OF_EVENT, changed(OF_EVENT, *hold, "units", to=None))) == ["$.hold.units is gone"]
    fewer = changed(OF_EVENT, *hold, "status", "enum", to=["held"])
    assert list(breaking_changes(OF_EVENT, fewer)) == ["$.hold.status: a value of the enumeration is gone"]
    units = changed(OF_EVENT, *hold, "units", "additionalProperties", "type", to="string")
    assert list(breaking_changes(OF_EVENT, units)) == ["$.hold.units[]: the type was integer, it is string"]


def test_every_message_is_a_struct_that_cannot_be_changed() -> None:
    """What was decoded or decided is the same wherever it is passed."""
    for name in EXAMPLES:
        assert issubclass(message_of(name), msgspec.Struct)
        assert message_of(name).__struct_config__.frozen
