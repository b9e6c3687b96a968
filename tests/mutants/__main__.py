"""`python -m tests.mutants [part of a file's name]`: make each mutant of the core, and see whether a test fails of it.

Each mutant runs in a process of its own that imports it instead of the module; no file is touched. Only what the quick
tests let live meets the random histories. It prints what survives, and fails if that is more than `SURVIVORS_MAX`.
"""

import ast
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutants.changes import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
CORE = ROOT / "workers" / "core"
_SCENARIOS = ("payments", "early_payments", "orders", "capacity", "claims", "time", "holds", "seats")
ROUNDS = (  # the quickest first: what fails in one never meets the next
    [f"test_scenarios_of_{it}.py" for it in _SCENARIOS],
    [
        "test_holdings.py",
        "test_order_commands.py",
        "test_lifecycle.py",
        "test_core_edges.py",
        "test_core_tells.py",
        "test_refusals.py",
    ],
    [
        "test_best_available.py",
        "test_house_against_model.py",
        "test_payments_in_any_order.py",
        "test_core_against_model.py",
    ],
)
SURVIVORS_MAX = 0.05
CPU_SECONDS_MAX = 40
PROCESSES = 2


class _Instead(MetaPathFinder, Loader):
    """Loads a mutant where its module is asked for."""

    def __init__(self, module: str, path: Path, tree: ast.Module) -> None:
        self._module = module
        self._path = path
        self._tree = tree

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Answer for the one module only."""
        if fullname != self._module:
            return None
        inside = [str(self._path.parent)] if self._path.name == "__init__.py" else None
        return spec_from_file_location(fullname, self._path, loader=self, submodule_search_locations=inside)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant as the module."""
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)  # noqa: S102 - our own source, changed


def _module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _run(path: Path, mutant: Mutant) -> None:
    """Be the process of one mutant: end with 0 if no test notices it."""
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_MAX)  # not of the clock: a busy machine notices nothing
    sys.meta_path.insert(0, _Instead(_module_of(path), path, mutant.tree))
    settings.register_profile(
        "mutants",
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--assert=plain", "--hypothesis-profile=mutants"]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        for tests in ROUNDS:
            files = [str(ROOT / "tests" / "unit" / name) for name in tests]
            if pytest.main([*options, *(name for name in files if Path(name).exists())]) != 0:
                os._exit(1)
    os._exit(0)


def survives(path: Path, mutant: Mutant) -> bool:
    """Tell whether all tests pass with this mutant; one that never ends is noticed too."""
    child = os.fork()
    if child == 0:
        try:
            _run(path, mutant)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def main(part: str) -> int:
    """Try all mutants of the files whose names contain `part`; return the exit code."""
    files = [path for path in sorted(CORE.rglob("*.py")) if part in path.name]
    unchanged = CORE / "units.py"
    if not survives(unchanged, Mutant(0, "", "", ast.parse(unchanged.read_text()))):
        sys.stdout.write("the core as it is does not pass its tests here: no result would mean anything\n")
        return 1
    made = [(path, mutant) for path in files for mutant in mutants_of(path.read_text())]
    survivors = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for (path, mutant), lives in zip(made, pool.map(lambda one: survives(*one), made), strict=True):
            if lives:
                survivors += 1
                place = f"{path.relative_to(ROOT)}:{mutant.line}"
                sys.stdout.write(f"{place}: {mutant.before}  ->  {mutant.after}\n")
                sys.stdout.flush()
    share = survivors / max(1, len(made))
    sys.stdout.write(f"{len(made)} mutants, {survivors} survive: {share:.1%}\n")
    return 0 if share <= SURVIVORS_MAX else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
