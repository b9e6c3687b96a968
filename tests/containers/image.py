"""The Dockerfile's steps, run in a folder instead of an image: what it copies, in its order, and what it then runs."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from firmhold.local.places import CHECKOUT

FILE = CHECKOUT / "Dockerfile"
HOME = "/opt/firmhold"


@dataclass(frozen=True)
class Step:
    """An instruction and what stands behind it."""

    instruction: str
    text: str


@dataclass
class Stage:
    """A stage: the image that it begins from, its name if it has one, its steps."""

    base: str
    name: str = ""
    steps: list[Step] = field(default_factory=list)

    def texts(self, instruction: str) -> list[str]:
        """Return what stands behind each of these instructions."""
        return [step.text for step in self.steps if step.instruction == instruction]


def stages() -> list[Stage]:
    """Read the Dockerfile."""
    found: list[Stage] = []
    for instruction, text in _instructions():
        if instruction == "FROM":
            base, _, name = text.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].steps.append(Step(instruction, text))
    return found


def _instructions() -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", FILE.read_text())
    for line in joined.splitlines():
        if line and not line.startswith("#"):
            instruction, _, text = line.partition(" ")
            yield instruction, text


def build(ground: Path) -> Path:
    """Run the first stage with `ground` as its file system; returns the folder that the image would have as /opt/firmhold."""
    context, home = ground / "build", ground / "opt" / "firmhold"
    context.mkdir(parents=True)
    for step in stages()[0].steps:
        if step.instruction == "COPY":
            *sources, target = step.text.split()
            for source in sources:
                _copy(source, context / target)
        elif step.instruction == "RUN":
            command = step.text.replace(HOME, str(home)).replace("python -m", f"{sys.executable} -m")
            done = subprocess.run(
                ["/bin/sh", "-c", command], cwd=context, capture_output=True, text=True, timeout=300, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return home


def _copy(source: str, target: Path) -> None:
    assert not is_ignored(source), f"{source} is kept from the builder by .dockerignore"
    if (CHECKOUT / source).is_dir():
        shutil.copytree(CHECKOUT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(CHECKOUT / source, target)


def is_ignored(path: str) -> bool:
    """Tell whether .dockerignore keeps a path at the top of the checkout from the builder; the last rule that fits counts."""
    ignored = False
    for rule in (CHECKOUT / ".dockerignore").read_text().splitlines():
        if rule and not rule.startswith("#") and fnmatch(path, rule.removeprefix("!")):
            ignored = not rule.startswith("!")
    return ignored
