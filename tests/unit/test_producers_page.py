"""docs/producers.md tells the truth: its code and its worked examples are tried, its tables compared with the code."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from topics import commands, signatures
from topics.cloudevents import decode_structured
from topics.dead_letters import Reason
from topics.signatures import Signed, SigningKey, sign

PAGE = (Path(__file__).parents[2] / "docs" / "producers.md").read_text()


def block(language: str) -> str:
    """Return what stands in the one block of code that begins with these words."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_worked_signature() -> None:
    """As our own producers sign, and as the page's code does; seen to fail with a field changed on the page."""
    shown: dict[str, str] = json.loads(block("json signature"))
    secret = base64.b64decode(shown["secret"])
    fields = {name: shown[name] for name in ("kind", "type", "source", "id")}
    signed = Signed(**fields, key=shown["key"].encode(), value=shown["value"].encode())
    key = SigningKey(shown["key_id"], secret, frozenset(), "partner/")
    assert sign(key, signed) == (signatures.HEADER, shown["header"].encode())
    scope: dict[str, Any] = {}
    exec(block("python"), scope)  # noqa: S102 - the page's own code
    told = scope["signature"](
        shown["key_id"], secret, shown["kind"], signed.key, shown["type"], shown["source"], shown["id"], signed.value
    )
    assert told == shown["header"]
    parts = (shown[name] for name in ("kind", "key", "type", "source", "id", "value"))
    assert shown["signed_content"] == "".join(f"{len(part.encode())}:{part}," for part in parts)
    assert isinstance(commands.decode(shown["type"], signed.value), commands.Hold)


def test_the_structured_event() -> None:
    """Is one, of a command that is one."""
    event = decode_structured(block("json structured").encode())
    assert isinstance(commands.decode(event.type, event.data), commands.Hold)


def test_the_token_and_its_hash() -> None:
    """Belong together."""
    shown = json.loads(block("json token"))
    assert hashlib.sha256(shown["token"].encode()).hexdigest() == shown["token_hash"]


def test_the_fields_of_each_command() -> None:
    """Each field is named; settings are those of PUT, which the page refers to. `Expire` is the workers' own."""
    rows = re.findall(r"^\| (`[A-Z][^|]*) \| (`resource_id`[^|]*) \|$", PAGE, re.MULTILINE)
    named = {
        name: set(re.findall(r"`(\w+)`", fields)) for names, fields in rows for name in re.findall(r"`(\w+)`", names)
    }
    assert set(named) == set(commands.COMMANDS) - {"Expire"}
    settings = {"hold_seconds", "max_hold_seconds", "claim_at", "open", "opens_at", "closes_at"}
    settings |= {"units_per_hold", "holds_per_buyer", "title"}
    for name, fields in named.items():
        known = set(commands.COMMANDS[name].__struct_fields__)
        assert fields - {"trusted"} == known - (settings if name == "DefineResource" else set())


def test_every_reason_of_a_dead_letter() -> None:
    """And no other."""
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", PAGE.partition("| reason | |")[2], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == {reason.value for reason in Reason}
