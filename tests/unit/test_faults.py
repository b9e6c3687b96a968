"""What a failure means: again later, the command's own fault, or neither (then the worker stops)."""

from enum import Enum

import asyncpg
import pytest

from schema.faults import is_culprit, is_transient


class Meaning(Enum):
    """The three outcomes of a failure."""

    TRANSIENT = "try again"
    CULPRIT = "the command's own fault"
    UNKNOWN = "not understood"


STATES = {
    "08000": Meaning.TRANSIENT,  # connection exception
    "08003": Meaning.TRANSIENT,  # connection does not exist
    "08006": Meaning.TRANSIENT,  # connection failure
    "08P01": Meaning.TRANSIENT,  # protocol violation
    "40001": Meaning.TRANSIENT,  # serialization failure
    "40P01": Meaning.TRANSIENT,  # deadlock detected
    "53100": Meaning.TRANSIENT,  # disk full
    "53200": Meaning.TRANSIENT,  # out of memory
    "53300": Meaning.TRANSIENT,  # too many connections
    "55P03": Meaning.TRANSIENT,  # lock not available: lock_timeout
    "57014": Meaning.TRANSIENT,  # query canceled: statement_timeout
    "57P01": Meaning.TRANSIENT,  # admin shutdown
    "57P02": Meaning.TRANSIENT,  # crash shutdown
    "57P03": Meaning.TRANSIENT,  # cannot connect now: starting up
    "58030": Meaning.TRANSIENT,  # I/O error
    "25P03": Meaning.TRANSIENT,  # idle-in-transaction session timeout
    "25P04": Meaning.TRANSIENT,  # transaction timeout
    "22001": Meaning.CULPRIT,  # string data right truncation
    "22003": Meaning.CULPRIT,  # numeric value out of range
    "22021": Meaning.CULPRIT,  # character not in repertoire
    "22P02": Meaning.CULPRIT,  # invalid text representation
    "22P05": Meaning.CULPRIT,  # untranslatable character
    "23502": Meaning.CULPRIT,  # not null violation
    "23503": Meaning.CULPRIT,  # foreign key violation
    "23505": Meaning.CULPRIT,  # unique violation
    "23514": Meaning.CULPRIT,  # check violation: pools_never_oversold
    "25001": Meaning.UNKNOWN,  # active SQL transaction
    "25P02": Meaning.UNKNOWN,  # in failed SQL transaction
    "28P01": Meaning.UNKNOWN,  # invalid password
    "3D000": Meaning.UNKNOWN,  # no such database
    "42501": Meaning.UNKNOWN,  # insufficient privilege
    "42601": Meaning.UNKNOWN,  # syntax error
    "42P01": Meaning.UNKNOWN,  # no such table: not migrated
    "55000": Meaning.UNKNOWN,  # object not in prerequisite state
    "XX000": Meaning.UNKNOWN,  # internal error
    "XX001": Meaning.UNKNOWN,  # data corrupted
}

OTHER_FAULTS: list[tuple[BaseException, Meaning]] = [
    (ConnectionRefusedError(), Meaning.TRANSIENT),
    (ConnectionResetError(), Meaning.TRANSIENT),
    (OSError("name not known"), Meaning.TRANSIENT),
    (TimeoutError(), Meaning.TRANSIENT),
    (asyncpg.InterfaceError("connection is closed"), Meaning.TRANSIENT),
    (asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"), Meaning.TRANSIENT),
    (asyncpg.ConnectionDoesNotExistError(), Meaning.TRANSIENT),
    (asyncpg.DataError("invalid input for query argument $1"), Meaning.CULPRIT),
    (asyncpg.CheckViolationError(), Meaning.CULPRIT),
    (asyncpg.UndefinedTableError(), Meaning.UNKNOWN),
    (asyncpg.PostgresError(), Meaning.UNKNOWN),
    (ValueError(), Meaning.UNKNOWN),
    (KeyError(), Meaning.UNKNOWN),
    (AssertionError(), Meaning.UNKNOWN),
    (KeyboardInterrupt(), Meaning.UNKNOWN),
]


def meaning_of(fault: BaseException) -> Meaning:
    """Return the meaning of a fault, which never has two."""
    assert not (is_transient(fault) and is_culprit(fault))
    if is_transient(fault):
        return Meaning.TRANSIENT
    return Meaning.CULPRIT if is_culprit(fault) else Meaning.UNKNOWN


@pytest.mark.parametrize(("state", "meaning"), STATES.items())
def test_every_sqlstate_has_its_meaning(state: str, meaning: Meaning) -> None:
    """As asyncpg raises it for an error of the server with this state."""
    fault = asyncpg.PostgresError.new({"C": state, "M": "said the server", "S": "ERROR", "V": "ERROR"})
    assert fault.sqlstate == state
    assert meaning_of(fault) is meaning


@pytest.mark.parametrize(("fault", "meaning"), OTHER_FAULTS, ids=lambda value: getattr(value, "name", repr(value)))
def test_faults_without_an_answer_of_the_server(fault: BaseException, meaning: Meaning) -> None:
    """No answer is transient, an argument that cannot be encoded the command's fault, a bug neither."""
    assert meaning_of(fault) is meaning
