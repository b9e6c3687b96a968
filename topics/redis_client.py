"""Reach Redis once and within a bound: whoever asks is served without Redis rather than late."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def bounded_client(url: str, timeout_seconds: float) -> Redis:
    """Return a client that connects when first used and gives up after the timeout.

    redis-py's own default is ten more tries with pauses: a silent server would hold up each call for seconds.
    """
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )
