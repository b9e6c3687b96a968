"""Write the baseline anew: `.venv/bin/python -m tests.cost > tests/cost/baseline.json`, and say in the commit why."""

import sys

import msgspec

from tests.cost.counting import COMMANDS, costs_of_core, costs_of_shell

if __name__ == "__main__":
    counted = {name: count / COMMANDS for name, count in (costs_of_core() | costs_of_shell()).items()}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(counted)).decode() + "\n")
