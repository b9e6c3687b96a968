"""What the mirror of held pools keeps under a key: written by workers, read by gateways. Nothing in it is a secret."""

from datetime import datetime

import msgspec


class HeldPool(msgspec.Struct, frozen=True):
    """That a hold has a pool until `expires_at`, as of `version` of the resource. The version stands first: Lua looks there."""

    version: int
    hold_id: str
    expires_at: datetime


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(HeldPool)


def encode_held(held: HeldPool) -> bytes:
    """Write a value of the mirror."""
    return _encoder.encode(held)


def decode_held(value: bytes) -> HeldPool:
    """Read a value of the mirror; raises msgspec.DecodeError for what is none."""
    return _decoder.decode(value)
