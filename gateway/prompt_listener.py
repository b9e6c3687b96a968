"""Hear outcomes at once, by a channel of Redis; whoever is not told so is answered by the event.

It must not be relied on: what is said while nobody listens is lost. So it tells of no gap, and whoever reads events takes
his time only as long as they answer nobody (`gateway.event_reader`).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.event_reader import Place, tell_decided
from gateway.waiters import Answer, Waiters
from topics import prompt_outcomes
from topics.catalogue import KINDS, Catalogue
from topics.redis_keys import RedisKeys
from topics.redis_patience import Rest

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS = 1.0
# A server that is gone without a word is noticed within 25 seconds; until then events answer.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}


class PromptListener:
    """Follows the channel for as long as it runs."""

    def __init__(
        self, url: str, keys: RedisKeys, catalogue: Catalogue, waiters: Waiters, decided: Callable[[Place, int], None]
    ) -> None:
        """Prepare; `run` does the work. `decided` is told partition and offset of each command that was decided."""
        self._url = url
        self._keys = keys
        self._catalogue = catalogue
        self._waiters = waiters
        self._decided = decided
        self._rest = Rest(_PAUSE_SECONDS)
        self._is_listening = False
        self.told = 0

    def heard(self) -> int | None:
        """Return how many waits were ended by what was heard, None while nothing can be heard."""
        return self.told if self._is_listening else None

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                # Trying again is for this loop, which knows then that nothing is heard.
                once = Retry(NoBackoff(), 0)
                async with Redis.from_url(
                    self._url, socket_keepalive=True, socket_keepalive_options=_KEEPALIVE, retry=once
                ) as redis:
                    await self._listen(redis)
            except (RedisError, OSError, TimeoutError) as fault:
                if self._rest.begin():
                    _log.warning("redis tells no outcomes, their events will", fault=repr(fault))
            except Exception:  # noqa: BLE001 - whatever it was, events tell the same, and it may be over the next time
                _log.exception("listening for outcomes failed, it begins again")
            finally:
                self._is_listening = False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self, redis: Any) -> None:  # noqa: ANN401 - redis-py types its generics loosely
        """Hear until the channel ends."""
        async with redis.pubsub() as channel:
            await channel.subscribe(prompt_outcomes.channel_of(redis, self._keys))
            async for message in channel.listen():
                if message["type"] == "message":
                    self.hear(message["data"])
                    continue
                self._is_listening = True  # what is no message confirms the subscription
                if self._rest.end():
                    _log.info("redis tells outcomes again")

    def hear(self, message: bytes) -> None:
        """Answer those who wait for what a message tells. One that cannot be read is passed over: events tell the same."""
        try:
            outcomes = prompt_outcomes.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            _log.warning("a message of outcomes cannot be read, their events will tell", fault=repr(fault)[:200])
            return
        told = ""
        for outcome in outcomes:
            if outcome.record != told:  # the commands of one record follow each other
                told = outcome.record
                if outcome.kind in KINDS:
                    tell_decided(self._decided, self._catalogue.commands(outcome.kind), told)
            if self._waiters.awaits(outcome.request_id):
                self.told += 1
                self._waiters.answer(outcome.request_id, Answer(outcome.type, bytes(outcome.data), outcome.record))
