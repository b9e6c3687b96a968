"""Ask pytest which tests there are; in a process of its own, as pytest collects once a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.table import Shown, shown_by

ROOT = Path(__file__).parents[2]


class _Noting:
    """A plugin that writes down what is collected."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Print a line of JSON a test."""
        for item in session.items:
            fixtures = sorted(getattr(item, "fixturenames", []))
            marks = [mark.name for mark in item.iter_markers()]
            sys.stdout.write(json.dumps([item.nodeid, fixtures, marks]) + "\n")


def collected() -> list[Shown]:
    """Return all tests of this checkout; raises AssertionError, with pytest's words, if they cannot be collected."""
    program = [sys.executable, "-m", "tests.cases.collecting"]
    done = subprocess.run(program, cwd=ROOT, check=False, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    said = "\n".join(line for line in [*lines, done.stderr] if not line.startswith("["))
    assert done.returncode == 0, f"the tests cannot be collected:\n{said}"
    return [shown_by(*json.loads(line)) for line in lines if line.startswith("[")]


if __name__ == "__main__":
    arguments = ["--collect-only", "-qq", "-p", "no:cacheprovider", "tests"]
    sys.exit(pytest.main(arguments, plugins=[_Noting()]))
