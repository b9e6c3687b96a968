"""What `firmhold define` reads: NDJSON and CSV, each fault with its line."""

import json

import pytest

from firmhold.define import Line, Result, lines_of

OF_ANOTHER_PATH = ("t1?x=1", "t1#frag", "a/../t1", "..", "a b", "t1\n", "t%31", "é", "a" * 65)
SLOT = Line(1, "slot", "a", {"capacity": 3, "open": True, "title": "12"})


def test_ndjson_and_csv_say_the_same() -> None:
    """A line a resource, kind slot by default; empty lines and empty cells say nothing."""
    json_text = '{"id": "a", "capacity": 3, "open": true, "title": "12"}\n\n{"kind": "product", "id": 7, "stock": 1}\n'
    csv_text = "id,kind,capacity,stock,open,title\na,slot,3,,true,12\n7,product,,1,,\n"
    found = [list(lines_of(text)) for text in (json_text, csv_text)]
    assert found[0] == [SLOT, Line(3, "product", "7", {"stock": 1})]
    assert found[1] == [Line(2, *_of(SLOT)), Line(3, "product", "7", {"stock": 1})]


def _of(line: Line) -> tuple[str, str, dict[str, object]]:
    return line.kind, line.resource_id, dict(line.body)


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ('{"id": "a"}\n{"id": ', 2, "no JSON"),
        ('{"id": "a"}\n[1]', 2, "JSON object"),
        ('{"capacity": 1}', 1, "id is missing"),
        ('{"id": ""}', 1, "id is missing"),
        ('{"id": true}', 1, "id is missing"),
        *((json.dumps({"id": name, "capacity": 79}), 1, "id has 1 to 64") for name in OF_ANOTHER_PATH),
        ('{"id": "a", "kind": "seat"}', 1, "kind is one of slot"),
        ('{"id": "a"}\n{"id": "b"}\n{"id": "a", "capacity": 2}', 3, "on line 1 already"),
        ("id,capacity\na,1,2\n", 2, "more or fewer cells"),
        ("id,capacity\na\n", 2, "more or fewer cells"),
    ],
)
def test_a_faulty_line_is_told_with_its_number(text: str, number: int, words: str) -> None:
    """And the others are read all the same; seen to fail with an id in which a query or another path was taken for one."""
    (fault,) = [line for line in lines_of(text) if isinstance(line, Result)]
    assert fault.number == number
    assert words in (fault.fault or "")


def test_a_key_names_the_definition_and_its_run() -> None:
    """The order of fields does not matter; what is defined does, and so does the run."""
    same = Line(9, "slot", "a", dict(reversed(list(SLOT.body.items()))))
    other = Line(1, "slot", "a", {"capacity": 4})
    assert SLOT.key("") == same.key("")
    assert len({SLOT.key(""), SLOT.key("again"), other.key("")}) == 3
