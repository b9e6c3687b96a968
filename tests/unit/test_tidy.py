"""The project is tidy: short functions and files, no orphans, no leftovers, names that say something, a pure core."""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("topics", "workers", "schema", "gateway", "firmhold", "bench", "tests")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
MEANINGLESS_NAMES = {
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "models",
    "model",
    "services",
    "service",
    "manager",
}
LEFTOVER = re.compile(r"\b(FIXME|TODO|XXX|HACK)\b")
MIGRATION = re.compile(r"\d{4}\.[a-z0-9-]+\.(before|after)")
IMPURE = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "structlog",
    "subprocess",
    "sys",
    "threading",
    "time",
    "uuid",
    "aiohttp",
    "aiokafka",
    "asyncpg",
    "faust",
    "mode",
    "psycopg",
    "redis",
}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
IO = {"open", "print", "input", "exec", "eval", "__import__"}

PYTHON = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TEXT = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*")
    if path.suffix in {".py", ".sql", ".js", ".css", ".html", ".json", ".properties", ".yaml"}
    and path != Path(__file__)
)
CORE = [path for path in PYTHON if path.is_relative_to(ROOT / "workers" / "core")]
TESTS = [path for path in PYTHON if path.name.startswith("test_")]


def name_of(path: Path) -> str:
    """Return a file's name in this project."""
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions of a file, those in classes and functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_there_is_something_to_look_at() -> None:
    """The tests below do not pass for want of files."""
    found = {path.relative_to(ROOT).parts[0] for path in PYTHON}
    assert {"topics", "workers", "schema", "firmhold", "tests"} <= found
    assert len(CORE) >= 6
    assert len(TESTS) >= 10


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_no_function_and_no_file_is_long(path: Path) -> None:
    """At most 70 and 400 lines, decorators (the tables of tests) not counted: what does not fit is two things."""
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LINES_MAX, f"{name_of(path)} has {lines} lines"
    for function in functions_of(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= FUNCTION_LINES_MAX, f"{name_of(path)}: {function.name} has {length} lines"


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """In a docstring."""
    silent = [
        function.name
        for function in functions_of(path)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").strip()
    ]
    assert silent == []


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_every_module_with_code_begins_with_its_job(path: Path) -> None:
    """In a docstring."""
    tree = tree_of(path)
    assert not tree.body or ast.get_docstring(tree)


def test_no_name_is_without_meaning() -> None:
    """A module is named for what it is about."""
    found = [name_of(path) for path in PYTHON if MEANINGLESS_NAMES & {*path.relative_to(ROOT).parts, path.stem}]
    assert found == []


def test_nothing_is_left_to_be_done() -> None:
    """What is worth doing later is an issue, not a word in the code."""
    found = [
        f"{name_of(path)}:{number}"
        for path in TEXT
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if LEFTOVER.search(line)
    ]
    assert found == []


def test_no_query_without_reader_and_no_reader_without_query() -> None:
    """Each .sql file is read once, by its own name, and what is read is used."""
    source = (ROOT / "schema" / "queries.py").read_text()
    read = re.findall(r"^([A-Z_]+): Final = _read\(\"([a-z_]+)\"\)$", source, re.MULTILINE)
    stored = sorted(path.stem for path in (ROOT / "schema" / "queries").iterdir())
    assert sorted(name for _, name in read) == stored
    assert [constant for constant, name in read if constant != name.upper()] == []
    code = "".join(path.read_text() for path in PYTHON if path.relative_to(ROOT).parts[0] != "tests")
    assert [constant for constant, _ in read if f"queries.{constant}" not in code] == []


def test_a_sentence_stands_above_each_query() -> None:
    """It says what the query is for."""
    queries = [resource for resource in files("schema").joinpath("queries").iterdir() if resource.name.endswith(".sql")]
    assert queries
    silent = [query.name for query in queries if not re.match(r"(-- [A-Z].*\n)(-- .*\n)*(?<=\.\n)", query.read_text())]
    assert silent == []


def test_every_migration_says_when_it_runs_and_how_it_is_undone() -> None:
    """Before or after the new code; numbered without gaps; with a rollback beside it."""
    names = sorted(path.name for path in (ROOT / "schema" / "migrations").iterdir() if path.suffix == ".sql")
    forward = [name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql")]
    assert forward
    assert [name for name in forward if not MIGRATION.fullmatch(name)] == []
    assert [int(name.partition(".")[0]) for name in forward] == list(range(1, len(forward) + 1))
    assert sorted(names) == sorted([f"{name}{end}" for name in forward for end in (".sql", ".rollback.sql")])


@pytest.mark.parametrize("package", ["topics", "workers", "schema", "gateway", "firmhold"])
def test_no_dependency_owns_a_package_of_ours(package: str) -> None:
    """They are top-level names; another distribution's would shadow them, or ours it."""
    assert set(packages_distributions().get(package, [])) <= {"firmhold"}


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_the_core_has_no_clock_no_dice_and_no_io(path: Path) -> None:
    """Neither imported nor reached through what is imported."""
    imported: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Import():
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            case ast.ImportFrom():
                imported.add((node.module or "").partition(".")[0])
            case ast.Attribute():
                used |= {node.attr} & CLOCKS
            case ast.Name():
                used |= {node.id} & IO
    assert imported & IMPURE == set()
    assert used == set()


@pytest.mark.parametrize(
    "source",
    ["import time", "from os import environ", "x = datetime.now()", "datetime.utcnow()", "print(1)", "open('x')"],
)
def test_an_impure_core_would_be_noticed(source: str, tmp_path: Path) -> None:
    """The test above proves something."""
    impure = tmp_path / "x.py"
    impure.write_text(source)
    with pytest.raises(AssertionError):
        test_the_core_has_no_clock_no_dice_and_no_io(impure)
