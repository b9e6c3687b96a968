"""Let aiokafka's consumers write and read the partitions of a fetch as one piece each: `pack_fetches()`.

aiokafka 0.14 writes and reads every number by itself, through some six calls, for every partition that it asks for: 24 of
them took a worker that decides one hot resource 8 % of its time. The bytes are the same (KIP-392, version 11 of Fetch).
"""

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11
from aiokafka.protocol.types import Array, Schema

ASKED: Final = ("partition", "current_leader_epoch", "fetch_offset", "log_start_offset", "max_bytes")
TOLD: Final = (
    "partition",
    "error_code",
    "highwater_offset",
    "last_stable_offset",
    "log_start_offset",
    "aborted_transactions",
    "preferred_read_replica",
    "message_set",
)
_ASKED = struct.Struct(">iiqqi")
_TOLD = struct.Struct(">ihqqqi")  # the last one is how many transactions were aborted
_REST = struct.Struct(">ii")  # the replica, and how many bytes of records follow
_LENGTH = struct.Struct(">i")


def pack_fetches() -> None:
    """Change it for all consumers of this process. Called wherever one is made; once is enough."""
    _replace_rows(FetchRequest_v11.SCHEMA, ASKED, _AskedPartitions)
    _replace_rows(FetchResponse_v11.SCHEMA, TOLD, _ToldPartitions)


def _replace_rows(schema: Schema, names: tuple[str, ...], rows: type["_Rows"]) -> None:
    topic = schema.fields[schema.names.index("topics")].array_of
    place = topic.names.index("partitions")
    partitions = topic.fields[place]
    if isinstance(partitions, _Rows):
        return
    if partitions.array_of.names != names:
        message = f"a fetch of aiokafka has other partitions than topics/packed_fetches.py was written for: {names}"
        raise TypeError(message)
    topic.fields = (*topic.fields[:place], rows(partitions), *topic.fields[place + 1 :])


class _Rows(Array):  # type: ignore[misc] # aiokafka is not typed
    """An array that is written or read in larger pieces than `one_by_one`, aiokafka's own."""

    def __init__(self, one_by_one: Array) -> None:
        self.array_of = one_by_one.array_of


class _AskedPartitions(_Rows):
    def encode(self, items: Sequence[Any] | None) -> bytes:
        """Write rows of five numbers."""
        if items is None:
            return _LENGTH.pack(-1)
        pack = _ASKED.pack
        return _LENGTH.pack(len(items)) + b"".join([pack(*item) for item in items])


class _ToldPartitions(_Rows):
    def __init__(self, one_by_one: Array) -> None:
        super().__init__(one_by_one)
        self._aborted: Any = one_by_one.array_of.fields[TOLD.index("aborted_transactions")]

    def decode(self, data: BytesIO) -> list[Any] | None:
        """Read rows that end with records."""
        (length,) = _LENGTH.unpack(data.read(_LENGTH.size))
        return None if length < 0 else [self._row(data) for _ in range(length)]

    def _row(self, data: BytesIO) -> tuple[Any, ...]:
        *numbers, aborted_length = _TOLD.unpack(data.read(_TOLD.size))
        aborted: Any = [] if aborted_length == 0 else None
        if aborted_length > 0:
            data.seek(-_LENGTH.size, 1)
            aborted = self._aborted.decode(data)
        replica, records_bytes = _REST.unpack(data.read(_REST.size))
        if records_bytes < 0:
            return (*numbers, aborted, replica, None)
        records = data.read(records_bytes)
        if len(records) < records_bytes:
            message = f"a fetch ends within its records, {records_bytes - len(records)} bytes early"
            raise ValueError(message)
        return (*numbers, aborted, replica, records)
