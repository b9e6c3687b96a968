"""The engine never mentions a kind: in `workers/core/` only the files of `kinds/` know that there are slots."""

import io
import re
import tokenize
from pathlib import Path

import pytest

import workers.core
from topics.catalogue import KINDS, TOPIC_OF_KIND

CORE = Path(workers.core.__path__[0])
GENERAL = sorted(path for path in CORE.rglob("*.py") if not path.is_relative_to(CORE / "kinds"))
NAMES = {*KINDS, *TOPIC_OF_KIND.values(), "seat", "seats"}
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def kinds_named_in(source: str) -> set[str]:
    """Return the names of kinds in identifiers, strings and comments; `slots=True` of a dataclass is Python's own."""
    found = set()
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.string.strip()]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.string == "slots" and following is not None and following.string == "=":
            continue
        found |= {word.lower() for word in WORDS.findall(token.string)} & NAMES
    return found


def test_there_is_a_core_to_look_at() -> None:
    """The test below does not pass for want of files."""
    assert {"batch.py", "decide.py", "holding.py", "lifecycle.py", "state.py", "units.py"} <= {
        path.name for path in GENERAL
    }


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.stem)
def test_no_kind_is_named_outside_its_file(path: Path) -> None:
    """Not in code, not in a string, not in a comment: a further kind costs one file here."""
    assert kinds_named_in(path.read_text()) == set()


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("slot_id = 1", {"slot"}),
        ("class SlotKind: pass", {"slot"}),
        ("from x import Product", {"product"}),
        ('x = "a seat is free"', {"seat"}),
        ("# of screenings", {"screenings"}),
        ('"""Seats."""', {"seats"}),
        ("SEATS_MAX = 1", {"seats"}),
        ("f(slots)", {"slots"}),
        ("@dataclass(frozen=True, slots=True)\nclass X: pass", set()),
        ("x = 'production'", set()),
    ],
)
def test_a_kind_that_is_named_would_be_noticed(source: str, named: set[str]) -> None:
    """The test above proves something."""
    assert kinds_named_in(source) == named
