"""The machine that figures belong to, and how much memory the worker takes."""

import asyncio
import os
import platform
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 1024 * 1024
_SAMPLE_SECONDS = 0.25


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the figures depend on, and when they were taken."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    commit: str
    load_average: float
    taken_at: datetime


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory of the worker while it decides the commands straight from Kafka."""

    begin_mib: float
    fifth_mib: float
    end_mib: float
    most_mib: float

    @property
    def growth(self) -> float:
        """Return the end against what it was after a fifth of the time."""
        return self.end_mib / self.fifth_mib


def this_machine(checkout: Path) -> Machine:
    """Describe the machine that this runs on."""
    lines = (_PROC / "cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory_kib = int((_PROC / "meminfo").read_text().split()[1])
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()  # noqa: S603 - ours
    except OSError:
        commit = ""
    return Machine(
        processor=processor,
        cores=os.cpu_count() or 0,
        memory_gib=memory_kib / _MIB,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        commit=commit or "unknown",
        load_average=os.getloadavg()[0],
        taken_at=datetime.now(UTC),
    )


def worker_process(kafka: str, postgres: str) -> Path | None:
    """Find the worker of this stack among the processes of this machine, by what its environment names; None: not here."""
    wanted = {f"FIRMHOLD_KAFKA={kafka}".encode(), f"FIRMHOLD_POSTGRES={postgres}".encode()}
    for process in _PROC.glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            if words[-1] == b"worker" and wanted <= set((process / "environ").read_bytes().split(b"\0")):
                return process
        except OSError:
            continue
    return None


def resident_mib(process: Path) -> float:
    """Return how much memory a process has now."""
    return int((process / "statm").read_text().split()[1]) * _PAGE_BYTES / _MIB


@asynccontextmanager
async def watched_memory(process: Path) -> AsyncIterator[list[float]]:
    """Give a list that grows by a sample a quarter of a second, in MiB."""
    samples = [resident_mib(process)]

    async def watch() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            samples.append(resident_mib(process))

    watching = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        watching.cancel()


def memory_of(samples: list[float]) -> Memory:
    """Sum samples up."""
    return Memory(
        begin_mib=samples[0], fifth_mib=samples[len(samples) // 5], end_mib=samples[-1], most_mib=max(samples)
    )
