"""The life of a hold as a table: what may happen to it in which state, and where that leads. The docs' diagram is made of it.

What leads to the state it starts from changes nothing and is answered with the hold as it stands, but for extending and
changing, which may. What is not in the table is refused.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeVar

from topics.resources import HoldStatus

_State = TypeVar("_State", bound=Enum)
_Way = TypeVar("_Way", bound=Enum)


class Happening(Enum):
    """What can happen to a hold."""

    CHANGE = "change"
    EXTEND = "extend"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    EXPIRE = "expire"
    ORDER = "order"


NEXT: Final[dict[HoldStatus, dict[Happening, HoldStatus]]] = {
    HoldStatus.HELD: {
        Happening.CHANGE: HoldStatus.HELD,
        Happening.EXTEND: HoldStatus.HELD,
        Happening.CONFIRM: HoldStatus.CONFIRMED,
        Happening.CANCEL: HoldStatus.CANCELLED,
        Happening.EXPIRE: HoldStatus.EXPIRED,
        Happening.ORDER: HoldStatus.USED,
    },
    HoldStatus.CONFIRMED: {Happening.CONFIRM: HoldStatus.CONFIRMED, Happening.CANCEL: HoldStatus.CANCELLED},
    HoldStatus.CANCELLED: {Happening.CANCEL: HoldStatus.CANCELLED},
    HoldStatus.EXPIRED: {Happening.CANCEL: HoldStatus.EXPIRED},
    HoldStatus.USED: {},
}

BEGINS: Final = HoldStatus.HELD

REFUSAL_OF_STATUS: Final = {
    HoldStatus.CONFIRMED: "hold_confirmed",
    HoldStatus.CANCELLED: "hold_cancelled",
    HoldStatus.EXPIRED: "hold_expired",
    HoldStatus.USED: "hold_used",
}


def diagram() -> str:
    """Return the table as a state diagram, in Mermaid's words (https://mermaid.js.org/syntax/stateDiagram.html)."""
    return drawn(NEXT, f"{BEGINS.value}: place")


def drawn(table: Mapping[_State, Mapping[_Way, _State]], beginning: str) -> str:
    """Return any such table as a state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {beginning}"]
    lines += [
        f"    {status.value} --> {after.value}: {happening.value}"
        for status, ways in table.items()
        for happening, after in ways.items()
    ]
    return "\n".join(lines)
