"""Asks a server that was given by its URL whether it is there. It must not start or stop anything."""

from firmhold.local.failure import LocalError
from firmhold.local.kafka_server import answers_as

WITHIN_S = 5


def check_given(name: str, url: str) -> None:
    """Ask over the server's own protocol.

    Raises:
        LocalError: it does not answer; with the variable that named it.

    """
    problem = {"kafka": kafka_problem, "postgres": postgres_problem, "redis": redis_problem}[name](url)
    if problem:
        raise LocalError(
            f"FIRMHOLD_{name.upper()} is set, so no {name} is started here, but the one it names does not answer: "
            f"{problem}\nMend it, or unset FIRMHOLD_{name.upper()} to have one started."
        )


def kafka_problem(address: str) -> str:
    """Say what is wrong with a Kafka, or nothing."""
    return "" if answers_as(address, None) else f"no broker in service at {address}"


def postgres_problem(url: str) -> str:
    """Say what is wrong with a Postgres, or nothing."""
    import psycopg  # noqa: PLC0415 - wanted only where a URL is given

    try:
        with psycopg.connect(url, connect_timeout=WITHIN_S) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return str(error).strip()
    return ""


def redis_problem(url: str) -> str:
    """Say what is wrong with a Redis, or nothing."""
    import redis  # noqa: PLC0415 - wanted only where a URL is given

    try:
        with redis.Redis.from_url(url, socket_timeout=WITHIN_S, socket_connect_timeout=WITHIN_S) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return str(error)
    return ""
