"""The sessions of examples/ run as they are, against a gateway as `make up` starts it."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.installation import ADMIN_KEY, Installation

pytestmark = pytest.mark.asyncio(loop_scope="package")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def local_mode() -> dict[str, str]:
    """Give what `make up` sets: nobody needs a key, and somebody plays a payment provider."""
    return {"FIRMHOLD_API_KEYS": "", "FIRMHOLD_DEMO_PROVIDER": "true"}


@pytest.mark.parametrize("example", ["slots", "seats", "sale"])
async def test_an_example(running: Installation, local_mode: dict[str, str], example: str) -> None:
    """It comes to its end, with each step shown; what it asserts itself holds."""
    url = await running.start_gateway(**local_mode)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        f"examples/{example}.py",
        cwd=ROOT,
        env={"FIRMHOLD_URL": url, "FIRMHOLD_ADMIN_KEY": ADMIN_KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert output.count("\n# ") >= 7, output
    assert "-> 201" in output
