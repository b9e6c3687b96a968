"""Let aiokafka's consumers read every record that the broker takes, however strange: `read_strangers_records()`.

aiokafka 0.14 raises on a header name that is not UTF-8 and on unknown bits of a record's attributes. Kafka's broker and
its Java clients take both, so one record of a stranger would stop every worker, again after each restart. What the fast
parser refuses is read here once more, as the Java client reads it, but bytes that are no text become "?".
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.record.util import decode_varint

_NEWEST_MAGIC = 2
_MAGIC_OFFSET = 16
_REFUSED = (CorruptRecordException, ValueError, IndexError, OverflowError)


def read_strangers_records() -> None:
    """Make all consumers of this process tolerant. Called wherever one is made; once is enough."""
    fetcher.MemoryRecords = _RememberedRecords
    fetcher.PartitionRecords = _TolerantRecords


class _RememberedRecords(MemoryRecords):  # type: ignore[misc] # aiokafka is not typed
    """Fetched batches that keep their bytes, to be read a second time."""

    def __init__(self, fetched: bytes) -> None:
        super().__init__(fetched)
        self.fetched = fetched


class _TolerantRecords(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka is not typed
    """Reads as aiokafka does; where that fails it goes on, behind the last record read, with our own parser."""

    _records: Any

    def _unpack_records(self) -> Iterator[Any]:
        try:
            yield from super()._unpack_records()
        except _REFUSED:
            self._records = _LenientRecords(self._records.fetched)
            yield from super()._unpack_records()


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc] # aiokafka is not typed
    """Fetched batches; those of today's format are read by our own parser."""

    def next_batch(self) -> Any:  # noqa: ANN401 - aiokafka is not typed
        batch = self._next_slice
        if batch is None or batch[_MAGIC_OFFSET] < _NEWEST_MAGIC:
            return super().next_batch()
        self._cache_next()
        return _LenientBatch(batch)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc] # aiokafka is not typed
    """One batch. The form of a record: https://kafka.apache.org/documentation/#record."""

    _pos: Any

    def _read_msg(self, *_: object) -> Any:  # noqa: ANN401 - aiokafka is not typed
        length, start = decode_varint(self._buffer, self._pos)
        # The first byte, the record's attributes, has no meaning yet: aiokafka takes it for a varint.
        timestamp_delta, place = decode_varint(self._buffer, start + 1)
        offset_delta, place = decode_varint(self._buffer, place)
        key, place = self._bytes(place)
        value, place = self._bytes(place)
        count, place = decode_varint(self._buffer, place)
        headers = []
        for _header in range(count):
            name, place = self._bytes(place)
            content, place = self._bytes(place)
            # "?" and not U+FFFD, which has three bytes: the record must not grow when it is written once more.
            headers.append(((name or b"").decode("utf-8", "replace").replace("\ufffd", "?"), content))
        if place != start + length:
            message = f"a record of {length} bytes has {place - start}"
            raise CorruptRecordException(message)
        self._pos = place
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        timestamp = self.max_timestamp if appended else self.first_timestamp + timestamp_delta
        return _DefaultRecordPy(self.base_offset + offset_delta, timestamp, self.timestamp_type, key, value, headers)

    def _bytes(self, place: int) -> tuple[bytes | None, int]:
        """Read nullable bytes with their length before them; return them and where they end."""
        length, start = decode_varint(self._buffer, place)
        return (None, start) if length < 0 else (bytes(self._buffer[start : start + length]), start + length)
