"""Makes `.venv` from `requirements.lock`. Runs before anything is installed: it must know the standard library only.

`python3 firmhold/local/bootstrap.py venv` leaves a complete environment or says in one line why not. A stamp is written
last: without it `.venv` is half done and is built anew, with the right one nothing is done. A file lock keeps two of it
apart, and pip inherits that lock, so that a killed bootstrap's pip holds off the next.

With `--or-faster`, which the Makefile says where nobody named a PYTHON, a new `.venv` is made with the system's Python if that
is clearly faster: many a pyenv has built its own without optimisations.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
URLS = ("FIRMHOLD_KAFKA", "FIRMHOLD_POSTGRES", "FIRMHOLD_REDIS")
PYTHONS = ((3, 11), (3, 12))
SYSTEM_PYTHON = "/usr/bin/python3"
OR_FASTER = "--or-faster"
FASTER_MIN = 1.2
PACE_ROUNDS = 9  # of two Pythons in turn, about a second in all
PACE_SECONDS_MAX = 10
UV = "uv==0.13.8"
# What is pinned for a checkout, and of that what an image needs: neither the tools nor the local servers.
LOCKS = {
    "requirements.lock": "--extra local --extra bench --group dev",
    "requirements-image.lock": "--group build --constraint requirements.lock",
}


class BootstrapError(Exception):
    """What went wrong and what to do about it, in one sentence for a person."""


def unfit(system: str, machine: str, libc: str, implementation: str, version: tuple[int, int]) -> str | None:
    """Say why the local stack cannot run here, or nothing where it can."""
    here = f"{system} {machine}, {libc or 'no glibc'}, {implementation} {version[0]}.{version[1]}"
    if implementation != "CPython" or version not in PYTHONS:
        return f"Firmhold needs CPython 3.11 or 3.12 (this is {here}): name one with `make PYTHON=python3.12 ...`"
    if (system, machine) != ("Linux", "x86_64") or libc != "glibc":
        return f"Firmhold's own Kafka, Postgres and Redis run on Linux x86-64 with glibc (this is {here})"
    return None


def refuse_unfit(environment: dict[str, str]) -> None:
    """Stop where the local stack cannot run, unless servers elsewhere are named for all three."""
    reason = unfit(
        platform.system(),
        platform.machine(),
        platform.libc_ver()[0],
        platform.python_implementation(),
        sys.version_info[:2],
    )
    servers_elsewhere = all(environment.get(url) for url in URLS) and sys.version_info[:2] in PYTHONS
    if reason and not servers_elsewhere:
        raise BootstrapError(f"{reason}; or run it there and set {', '.join(URLS)} to servers of your own.")


def pace_of(python: str) -> tuple[str, float] | None:
    """Run `pace.py` in a Python: its version and the seconds of its work; nothing where it fails or our stack cannot run."""
    command = [python, str(Path(__file__).with_name("pace.py"))]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PACE_SECONDS_MAX, check=True
        )
        told = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    system, machine, libc, implementation, version = told["here"]
    reason = unfit(system, machine, libc, implementation, tuple(version))
    return None if reason else (told["version"], told["seconds"])


def faster(own: str, other: str) -> str | None:
    """Return the version of the other Python where that is clearly faster; nothing where it is the same, slower or unfit.

    They run in turn and the middle one of the ratios counts: what slows the machine for a while slows both.
    """
    if os.path.realpath(own) == os.path.realpath(other):
        return None
    version, ratios = "", []
    for _ in range(PACE_ROUNDS):
        mine = pace_of(own)
        its = pace_of(other) if mine else None
        if mine is None or its is None:
            return None
        version = its[0]
        ratios.append(mine[1] / its[1])
    ratio = sorted(ratios)[PACE_ROUNDS // 2]
    if ratio < FASTER_MIN:
        return None
    say(f"{other} is {ratio:.1f} times as fast as {own}: taking it (PYTHON=... names another)")
    return version


def wanted_stamp(checkout: Path) -> str:
    """Digest what decides of `.venv`: the lock, what pyproject.toml says of the project, the Python behind it."""
    project = (checkout / "pyproject.toml").read_text().partition("\n[tool.")[0]
    decides = [
        hashlib.sha256((checkout / "requirements.lock").read_bytes()).hexdigest(),
        project,
        str(checkout),
        f"{sys.version_info[0]}.{sys.version_info[1]}",
        os.path.realpath(checkout / ".venv/bin/python"),
    ]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def stamp_file(checkout: Path) -> Path:
    """Where the stamp of a finished environment lies."""
    return checkout / ".venv" / "firmhold-stamp"


def is_complete(checkout: Path) -> bool:
    """Tell whether `.venv` was finished from the present lock and still has its Python."""
    try:
        stamp = stamp_file(checkout).read_text()
    except OSError:
        return False
    return stamp == wanted_stamp(checkout) and (checkout / ".venv/bin/python").exists()


def locked(checkout: Path) -> int:
    """Take this checkout's bootstrap lock, waiting for another bootstrap to end; returns the open descriptor."""
    path = checkout / ".local" / "bootstrap.lock"
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(descriptor, True)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another bootstrap is at work in this checkout; waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def say(line: str) -> None:
    """Print one line of progress at once."""
    sys.stdout.write(f"firmhold: {line}\n")
    sys.stdout.flush()


def run(arguments: list[str], log: Path, failure: str) -> None:
    """Run one installing step with its output in `log`; a failure shows the end of it."""
    with log.open("a") as output:
        output.write(f"$ {' '.join(arguments)}\n")
        output.flush()
        done = subprocess.run(
            arguments, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, close_fds=False, check=False
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        raise BootstrapError(f"{failure}\n{tail}\n(the whole of it is in {log})")


def install(checkout: Path, rival: str | None) -> None:
    """Build `.venv` from nothing, with this Python or with a rival that is clearly faster; the stamp comes last."""
    home = checkout / ".venv"
    log = checkout / ".local" / "logs" / "bootstrap.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    count = len(re.findall(r"^[a-z0-9-]+==", (checkout / "requirements.lock").read_text(), flags=re.MULTILINE))
    python = str(home / "bin/python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-input", "--no-deps"]

    own = os.path.realpath(sys.executable)  # an activated `.venv` has a Python that is about to be removed
    version = faster(own, rival) if rival else None
    maker = rival if rival and version else own
    say(f"creating .venv with Python {version or platform.python_version()}")
    stamp_file(checkout).unlink(missing_ok=True)
    if home.exists():
        shutil.rmtree(home)
    run(
        [maker, "-m", "venv", str(home)],
        log,
        "python3 could not create .venv; Debian and Ubuntu keep that in a package: apt-get install python3-venv",
    )
    say(f"installing {count} packages from requirements.lock, about 20 s")
    run(
        [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(checkout / "requirements.lock")],
        log,
        "pip could not install requirements.lock; is the package index within reach (PIP_INDEX_URL, a proxy)?",
    )
    say("installing firmhold itself")
    run([*pip, "--no-build-isolation", "--editable", str(checkout)], log, "pip could not install the checkout itself.")
    fresh = stamp_file(checkout).with_suffix(".new")
    fresh.write_text(wanted_stamp(checkout))
    fresh.replace(stamp_file(checkout))


def ensure_environment(checkout: Path, rival: str | None = None) -> None:
    """Bring `.venv` up to the lock; costs a few milliseconds where it already is, whatever Python it was made with."""
    if is_complete(checkout):
        return
    refuse_unfit(dict(os.environ))
    descriptor = locked(checkout)
    try:
        if is_complete(checkout):
            return
        started = time.monotonic()
        install(checkout, rival)
        say(f".venv is ready ({time.monotonic() - started:.0f} s)")
    finally:
        os.close(descriptor)


def compile_lock(checkout: Path) -> None:
    """Pin the newest fitting versions with uv, in an environment apart: nothing else needs uv."""
    apart = checkout / ".local" / "uv"
    log = checkout / ".local" / "logs" / "lock.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    run([sys.executable, "-m", "venv", str(apart)], log, "python3 could not create .local/uv.")
    run([str(apart / "bin/python"), "-m", "pip", "install", "-q", UV], log, "pip could not install uv.")
    os.chdir(checkout)
    for lock, wanted in LOCKS.items():
        options = f"--quiet --upgrade --universal --python-version 3.11 --generate-hashes {wanted}".split()
        nameless = ["--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"]
        arguments = [*options, *nameless, "pyproject.toml", "-o", lock]
        run([str(apart / "bin/uv"), "pip", "compile", *arguments], log, f"uv could not resolve {lock}.")
    say("the locks are fresh; `make venv` installs requirements.lock, the image requirements-image.lock")


def show_targets(checkout: Path) -> None:
    """List the Makefile's targets with what they are for."""
    for target, purpose in re.findall(r"^(\w+):.*## (.*)$", (checkout / "Makefile").read_text(), flags=re.MULTILINE):
        sys.stdout.write(f"make {target:<8}{purpose}\n")


def main(arguments: list[str]) -> int:
    """Do what the Makefile asks: `venv`, at will with `--or-faster`, `lock` or `help`."""
    rival = SYSTEM_PYTHON if OR_FASTER in arguments else None
    actions: dict[str, Callable[[Path], None]] = {
        "venv": partial(ensure_environment, rival=rival),
        "lock": compile_lock,
        "help": show_targets,
    }
    try:
        actions[arguments[0] if arguments else "venv"](HERE)
    except BootstrapError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except PermissionError as error:
        sys.stderr.write(
            f"{error.filename} cannot be written by this user: make the checkout yours (chown -R) or remove .venv and "
            ".local as the user who made them.\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the next `make` begins .venv anew.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
