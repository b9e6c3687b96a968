"""How far a signed time may be from now: a captured request that comes later is refused. Pure: it is given the time."""

import re
from typing import Final

TOLERANCE_SECONDS: Final = 300  # no setting: who could change it could switch it off
_SECONDS = re.compile(r"[0-9]{1,12}\Z")


def fault_of_time(seconds: str, now: float) -> str | None:
    """Say what is wrong with a time in seconds since 1970, None if it is at most five minutes from `now` either way."""
    if not _SECONDS.match(seconds):
        return "the timestamp is not a number of seconds since 1970"
    if abs(now - int(seconds)) > TOLERANCE_SECONDS:
        return f"the timestamp is more than {TOLERANCE_SECONDS} seconds from the time here"
    return None
