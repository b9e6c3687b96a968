"""Every edge case has the tests that it needs, and docs/cases.md says which."""

import re

import pytest

from tests.cases.collecting import ROOT, collected
from tests.cases.table import SPECIFIED, Shown, gaps, listed, page, shown_by, specified

SPECIFICATION = ROOT.parent / "shared" / "edge-cases.md"
REAL, PURE = ["running", "servers"], ["tmp_path"]


@pytest.fixture(scope="module")
def tests() -> list[Shown]:
    """Return all tests that there are."""
    return collected()


def test_no_case_is_without_its_tests(tests: list[Shown]) -> None:
    """Each has one, on real servers where it needs them, and no test names a case that nobody lists."""
    assert len(tests) > 500
    assert list(gaps(listed(), tests)) == []


def test_the_page_is_the_table(tests: list[Shown]) -> None:
    """If not: `.venv/bin/python -m tests.cases > docs/cases.md`."""
    assert (ROOT / "docs" / "cases.md").read_text() == page(listed(), tests)


def test_the_list_is_that_of_the_specification() -> None:
    """Whose numbers are committed apart, so that a clone misses a case that somebody takes out of the table.

    Seen to fail on a case left out of cases.toml, with no specification beside the checkout.
    """
    assert [case.id for case in listed()] == specified()


def test_the_numbers_are_those_of_the_specification() -> None:
    """Each once and with a name; compared with the specification where that lies beside the checkout."""
    lines = SPECIFIED.read_text().splitlines()
    assert all(re.fullmatch(r"[ER]-[1-9]\d* \S.*|#.*|", line) for line in lines)
    names = specified()
    assert len(names) == len(set(names)) > 70
    if SPECIFICATION.exists():
        assert re.findall(r"^- \*\*([ER]-\d+)\*\*", SPECIFICATION.read_text(), re.MULTILINE) == names


@pytest.mark.parametrize(
    ("node_id", "claims"),
    [
        ("tests/faults/test_x.py::test_e30_e65_killed_after_commit", ["E-30", "E-65"]),
        ("tests/unit/test_x.py::test_scenario[e15 r9 an Expire [twice] in 2 batches]", ["E-15", "R-9"]),
        ("tests/unit/test_x.py::test_r3_names[e4 both]", ["R-3", "E-4"]),
        ("tests/unit/test_x.py::test_e14", ["E-14"]),
        ("tests/unit/test_x.py::test_edge_of_e14[E-14]", []),
        ("tests/unit/test_e22_clocks.py::test_clocks_of_e22[see e22]", []),
        ("tests/unit/test_x.py::test_e2e_is_no_case", []),
    ],
)
def test_names_that_claim_a_case(node_id: str, claims: list[str]) -> None:
    """Of a function or of a scenario, at their beginning; not a file's, nor a word in the middle."""
    assert shown_by(node_id, PURE, []).cases == claims


@pytest.mark.parametrize(
    ("node_id", "fixtures", "is_real"),
    [
        ("tests/integration/test_x.py::test_x", ["alice", "running", "servers"], True),
        ("tests/faults/test_x.py::test_x", ["own_servers"], True),
        ("tests/integration/test_x.py::test_x[redis]", ["tmp_path"], False),
        ("tests/contract/test_x.py::test_x[redis-3]", ["subject"], True),
        ("tests/contract/test_x.py::test_x[memory-3]", ["subject"], False),
        ("tests/contract/test_x.py::test_x", ["subject"], False),
    ],
)
def test_what_a_test_runs_on(node_id: str, fixtures: list[str], is_real: bool) -> None:
    """Told by the fixtures that it asks for; of a contract with two sides, by its scenario."""
    assert shown_by(node_id, fixtures, []).is_real is is_real


@pytest.mark.parametrize(
    ("case", "tests", "found"),
    [
        ('E-1 = { needs = "real", title = "t" }', [("test_e1_x", REAL, [])], []),
        ('E-1 = { needs = "pure", title = "t" }', [("test_e1_x", PURE, [])], []),
        ('E-1 = { needs = "real", title = "t" }', [("test_e1_x", PURE, []), ("test_e1_y", REAL, [])], []),
        ('E-1 = { needs = "later", why = "seats", title = "t" }', [], []),
        ('E-1 = { needs = "pure", title = "t" }', [], [r"E-1 \(t\) has no test"]),
        ('E-1 = { needs = "pure", title = "t" }', [("test_of_e1", PURE, [])], ["has no test"]),
        ('E-1 = { needs = "real", title = "t" }', [("test_e1_x", PURE, [])], ["no test on real servers: tests/x.py"]),
        ('E-1 = { needs = "later", why = "seats", title = "t" }', [("test_e2_x", PURE, [])], ["test_e2_x names E-2"]),
        ('E-1 = { needs = "pure", title = "t" }', [("test_e1_x", PURE, ["skip"])], ["is skipped"]),
        ('E-1 = { needs = "pure", title = "t" }', [("test_e1_x", PURE, ["xfail"])], ["expected to fail"]),
        ('E-1 = { needs = "later", title = "t" }', [], ["needs one of"]),
        ('E-1 = { needs = "soon", title = "t" }', [("test_e1_x", REAL, [])], ["needs one of"]),
    ],
)
def test_a_gap_would_be_noticed(case: str, tests: list[tuple[str, list[str], list[str]]], found: list[str]) -> None:
    """The table proves something: each kind of gap is told."""
    told = list(gaps(listed(f"[Chapter]\n{case}"), [shown_by(f"tests/x.py::{name}", *more) for name, *more in tests]))
    assert len(told) == len(found)
    assert all(re.search(wanted, line) for wanted, line in zip(found, told, strict=True))
