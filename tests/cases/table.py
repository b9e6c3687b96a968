"""The table of cases and tests: what is listed, what the tests' names claim, and what is missing between the two.

A claim is a name that pytest collects, not a word in a comment. Whether a test is on real servers is told by its
fixtures, not by its folder: it is if the servers' fixtures are among those that it asks for, directly or through others.
A test of tests/contract that is run on a server and on its twin in memory is real where its scenario names the server.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LISTED = Path(__file__).with_name("cases.toml")
SPECIFIED = Path(__file__).with_name("specified.txt")
SERVERS = frozenset({"servers", "own_servers"})
CONTRACT = "tests/contract/"
SERVERS_OF_CONTRACTS = frozenset({"redis", "postgres", "kafka"})
NEEDS = ("real", "pure", "later")
_CLAIMED = re.compile(r"(?:[er]\d+[_ ]+)+")
_SCENARIO = re.compile(r"\[(.+)\]$")
_UNSHOWN = ("skip", "skipif", "xfail")


@dataclass(frozen=True)
class Case:
    """A case as it is listed."""

    id: str
    chapter: str
    title: str
    needs: str
    why: str = ""


@dataclass(frozen=True)
class Shown:
    """A collected test: the file and function of its name, the name of its scenario, and what it runs on."""

    path: str
    function: str
    scenario: str
    is_real: bool
    is_left_out: bool = False

    @property
    def cases(self) -> list[str]:
        """Return the cases that the names claim, such as E-13 and R-9."""
        names = (self.function.removeprefix("test_"), self.scenario)
        claims = [match.group() for name in names if (match := _CLAIMED.match(f"{name} "))]
        return [f"{claim[0].upper()}-{claim[1:]}" for claim in re.split(r"[_ ]+", " ".join(claims)) if claim]


def shown_by(node_id: str, fixtures: Iterable[str], marks: Iterable[str]) -> Shown:
    """Read what pytest says of a test."""
    path, _, name = node_id.partition("::")
    in_brackets = _SCENARIO.search(name)
    scenario = in_brackets[1] if in_brackets else ""
    is_on_one = path.startswith(CONTRACT) and not SERVERS_OF_CONTRACTS.isdisjoint(scenario.split("-"))
    is_real = is_on_one or not SERVERS.isdisjoint(fixtures)
    return Shown(path, name.partition("[")[0], scenario, is_real, any(mark in _UNSHOWN for mark in marks))


def listed(text: str = "") -> list[Case]:
    """Read the list of cases."""
    chapters = tomllib.loads(text or LISTED.read_text())
    return [Case(name, chapter, **case) for chapter, cases in chapters.items() for name, case in cases.items()]


def specified() -> list[str]:
    """Read the numbers of the specification's cases, in its order."""
    return [line.split()[0] for line in SPECIFIED.read_text().splitlines() if line and not line.startswith("#")]


def gaps(cases: Sequence[Case], tests: Sequence[Shown]) -> Iterator[str]:
    """Say what is missing: cases without tests, or with pure ones only, and tests of cases that nobody lists."""
    by_case = tests_by_case(tests)
    for case in cases:
        of_case = by_case.pop(case.id, [])
        if case.needs not in NEEDS or (case.needs == "later") != bool(case.why):
            yield f"{case.id} needs one of {', '.join(NEEDS)}, and a `why` if it is for later"
        elif case.needs == "later" or any(test.is_real for test in of_case):
            continue
        elif not of_case:
            yield f"{case.id} ({case.title}) has no test"
        elif case.needs == "real":
            yield f"{case.id} ({case.title}) has no test on real servers: {of_case[0].path}"
    for name, of_nobody in by_case.items():
        yield f"{of_nobody[0].path}: {of_nobody[0].function} names {name}, which is no case of {LISTED.name}"
    for test in tests:
        if test.is_left_out:
            yield f"{test.path}: {test.function} is skipped or expected to fail: it shows nothing"


def tests_by_case(tests: Iterable[Shown]) -> dict[str, list[Shown]]:
    """Return the tests of each case that one claims."""
    by_case: dict[str, list[Shown]] = defaultdict(list)
    for test in tests:
        for name in test.cases:
            by_case[name].append(test)
    return by_case


def page(cases: Sequence[Case], tests: Sequence[Shown]) -> str:
    """Write the table as docs/cases.md has it."""
    by_case = tests_by_case(tests)
    lines = [
        "# Edge cases and the tests that show them",
        "",
        "Written by `python -m tests.cases > docs/cases.md` from `tests/cases/cases.toml` and from the names of the tests that",
        "pytest collects; a test fails on a gap. **real**: on the real servers, Kafka, Postgres and Redis. *pure*: without them.",
    ]
    for chapter in dict.fromkeys(case.chapter for case in cases):
        lines += ["", f"## {chapter}", "", "| case | what must hold | shown by |", "|---|---|---|"]
        lines += [
            f"| {case.id} | {case.title} | {_shown(case, by_case[case.id])} |"
            for case in cases
            if case.chapter == chapter
        ]
    return "\n".join(lines) + "\n"


def _shown(case: Case, tests: Sequence[Shown]) -> str:
    """Name the tests of a case, real ones first, each function once."""
    names = {(not test.is_real, test.path.removeprefix("tests/").removesuffix(".py"), _name(test)) for test in tests}
    shown = [f"{'*pure*' if is_pure else '**real**'} {path}: {name}" for is_pure, path, name in sorted(names)]
    return "<br>".join(shown or [f"later: {case.why}" if case.needs == "later" else "nothing yet"])


def _name(test: Shown) -> str:
    claims_by_scenario = _CLAIMED.match(f"{test.scenario} ") is not None
    return f"“{test.scenario}”" if claims_by_scenario else f"`{test.function}`"
