"""What a failure of Postgres means for the command at hand: try again, or it is the command's own fault."""

import asyncpg

_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
_TRANSIENT_STATES = frozenset(("55P03", "25P03", "25P04"))
_CULPRIT_CLASSES = ("22", "23")


def is_transient(fault: BaseException) -> bool:
    """Tell whether the same batch may succeed later: no answer, no room, a lost race for a lock, a timeout."""
    if isinstance(fault, asyncpg.PostgresError):
        state = fault.sqlstate or ""
        return state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_STATES
    if isinstance(fault, asyncpg.DataError):
        return False
    # asyncpg's own error (its issues 784 and 1069): the server has ended a session that is being used at this moment.
    return isinstance(fault, (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError))


def is_culprit(fault: BaseException) -> bool:
    """Tell whether one command's values made Postgres refuse: data exception (22) or integrity violation (23)."""
    if isinstance(fault, asyncpg.PostgresError):
        return (fault.sqlstate or "").startswith(_CULPRIT_CLASSES)
    return isinstance(fault, asyncpg.DataError)
