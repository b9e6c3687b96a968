"""Turn the failures that are to be expected into a sentence with what to set. What it does not know keeps its traceback.

The clients' exceptions are imported only when something failed, so that no command loads what it does not run.
"""

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from firmhold.redaction import without_credentials
from firmhold.settings import SettingError

EXIT_FAILURE = 1
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h


@dataclass(frozen=True, slots=True)
class Told:
    """What a person reads, a line for each mistake, and the exit code."""

    lines: tuple[str, ...]
    exit_code: int


def told(fault: BaseException) -> Told | None:
    """Tell an expected failure of a command that ends; None of any other."""
    failure = told_of_process(fault)
    if failure is not None:
        return failure
    sentence = _unreachable(fault) or _refused(fault)
    return Told((sentence,), EXIT_FAILURE) if sentence else None


def told_of_process(fault: BaseException) -> Told | None:
    """Tell an expected failure of gateway or worker: they outlive unreachable servers, so that is none of these."""
    if isinstance(fault, ValidationError):
        return Told(tuple(_mistakes(fault)), EXIT_CONFIG)
    if isinstance(fault, SettingError) or _is_called(fault, "workers.main", "TopicsDisagreeError"):
        return Told((str(fault),), EXIT_CONFIG)
    if isinstance(fault, OSError) and fault.errno == errno.EADDRINUSE:
        sentence = f"{fault.strerror}: stop what listens there, or set FIRMHOLD_PORT or FIRMHOLD_WORKER_PORT to another"
        return Told((sentence,), EXIT_FAILURE)
    return None


def _mistakes(fault: ValidationError) -> Iterator[str]:
    for error in fault.errors(include_input=False):
        text = error["msg"].removeprefix("Value error, ")
        name = "_".join(("FIRMHOLD", *map(str, error["loc"]))).upper()
        yield f"setting {name}: {text}" if error["loc"] else text


def _is_called(fault: BaseException, module: str, name: str) -> bool:
    """Tell a class by its name, where importing it would load a whole process."""
    return any((kind.__module__, kind.__name__) == (module, name) for kind in type(fault).__mro__)


def _unreachable(fault: BaseException) -> str:
    import aiohttp  # noqa: PLC0415 - see above
    import asyncpg  # noqa: PLC0415 - the same
    import psycopg  # noqa: PLC0415 - the same
    from aiokafka import errors as kafka_errors  # noqa: PLC0415 - the same

    postgres = (
        psycopg.OperationalError,
        asyncpg.PostgresConnectionError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
    )
    kafka = (
        kafka_errors.KafkaConnectionError,
        kafka_errors.NodeNotReadyError,
        kafka_errors.KafkaTimeoutError,
        kafka_errors.RequestTimedOutError,
    )
    match fault:
        case _ if isinstance(fault, kafka):
            who = "Kafka does not answer", "FIRMHOLD_KAFKA must be host:port of a broker that runs"
        case _ if isinstance(fault, postgres):
            who = "Postgres does not answer", "FIRMHOLD_POSTGRES must be postgresql://user:password@host:port/database"
        case aiohttp.ClientError():
            who = "the gateway does not answer", "FIRMHOLD_URL must be that of a gateway that runs (`firmhold gateway`)"
        case ConnectionError() | socket.gaierror() | TimeoutError():
            who = "a server does not answer", "`firmhold doctor` says which one"
        case _:
            return ""
    return f"{who[0]}: {_reason(fault)}; {who[1]}"


def _refused(fault: BaseException) -> str:
    import asyncpg  # noqa: PLC0415 - see above
    from yoyo.exceptions import LockTimeout  # noqa: PLC0415 - the same

    from firmhold.audit.topic_reading import SilentTopicError  # noqa: PLC0415 - the same
    from firmhold.seed import SeedError  # noqa: PLC0415 - the same
    from topics.admin import TopicError  # noqa: PLC0415 - the same

    match fault:
        case SeedError() | TopicError() | SilentTopicError():
            return str(fault)
        case asyncpg.QueryCanceledError():
            return (
                f"Postgres needed too long for one statement: {_reason(fault)}; `--statement-seconds` gives it longer"
            )
        case LockTimeout():
            return f"another `firmhold migrate` has been at work on this database for long: {_reason(fault)}"
        case _:
            return ""


def _reason(fault: BaseException) -> str:
    """Return the fault's own words in one line, without credentials."""
    return without_credentials(" ".join(str(fault).split())) or type(fault).__name__
