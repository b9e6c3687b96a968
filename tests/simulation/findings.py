"""What the auditor heard and what it finds wrong, in sentences."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Heard:
    """An event as it first appeared on the topic."""

    id: str
    type: str
    headers: Mapping[str, bytes]
    value: bytes
    data: Any


@dataclass
class Audit:
    """What was found wrong, in sentences; and what was looked at, counted."""

    faults: list[str] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def require(self, is_so: bool, otherwise: str) -> bool:
        """Note a fault unless it is so, and tell whether it is."""
        if not is_so:
            self.faults.append(otherwise)
        return is_so
