"""Finds what installed wheels carry besides Python, without running their Python. It must not know what for."""

import importlib.util
from pathlib import Path

from firmhold.local.failure import LocalError


def package_folder(name: str) -> Path:
    """Give the folder of an installed package.

    Raises:
        LocalError: it is not installed, as on a machine that the local servers do not run on.

    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LocalError(
            f"The package {name} is not installed here (the local servers are for Linux x86-64): set FIRMHOLD_KAFKA, "
            "FIRMHOLD_POSTGRES and FIRMHOLD_REDIS to servers of your own."
        )
    return Path(spec.origin).parent
