"""Outcomes as a worker tells them to gateways at once, by a channel of Redis, beside the events that follow on Kafka.

What is told so may be lost and says nothing that the event does not say: a gateway that hears nothing is answered by the
event, and one that hears it twice has answered already.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from topics.redis_keys import RedisKeys

OUTCOME_BYTES_MAX: Final = 16 * 1024  # a longer one comes with its event only: every gateway is sent every outcome
MESSAGE_BYTES_MAX: Final = 256 * 1024  # of a batch; the invalidation that it goes with must not be late for it


class PromptOutcome(msgspec.Struct, frozen=True, array_like=True):
    """The event that answers a request: its type, its data, and the command's record `{partition}/{offset}` of this kind."""

    request_id: str
    kind: str
    type: str
    record: str
    data: msgspec.Raw


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[PromptOutcome])


def channel_of(redis: Redis, keys: RedisKeys) -> str:
    """Return the channel. Redis keeps the keys of its databases apart, but not channels."""
    return keys.outcomes(redis.get_connection_kwargs().get("db") or 0)  # type: ignore[no-untyped-call]


def encode(outcomes: Sequence[PromptOutcome]) -> bytes:
    """Write outcomes as one message."""
    return _encoder.encode(outcomes)


def decode(message: bytes) -> Sequence[PromptOutcome]:
    """Read a message; raises msgspec.DecodeError or RecursionError if it is none."""
    return _decoder.decode(message)
