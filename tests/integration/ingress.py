"""Records as strangers may write them: by hand, and in ways that no client library of ours would let through."""

import struct
import uuid
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.installation import Installation
from topics.log_records import Record

HEADER_BYTES = 61
BATCH_BYTES_MAX = 6 * 1024 * 1024
ZSTD = 4


class NotUtf8(str):
    """A header name that is encoded as no UTF-8 text is."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        """Return bytes that begin no character."""
        return b"\xff\xfe" + super().encode()


def headers(command_id: str = "", **replaced: str | bytes | None) -> list[tuple[str, bytes]]:
    """Return the headers of an unsigned Hold in binary mode; with some replaced, or left out if None."""
    all_headers: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_type": "Hold",
        "ce_source": "upstream/tests",
        "ce_id": command_id or str(uuid.uuid4()),
        "content_type": "application/json",
    }
    all_headers |= replaced
    return [
        (name.replace("content_type", "content-type"), text.encode() if isinstance(text, str) else text)
        for name, text in all_headers.items()
        if text is not None
    ]


def raw(
    running: Installation,
    key: str | bytes | None,
    value: bytes | None,
    with_headers: Sequence[tuple[str, bytes]],
    partition: int | None = None,
) -> Record:
    """Return a record of the command topic of slots, whatever is in it."""
    topic = running.settings.catalogue().commands("slot")
    if key is None and partition is None:
        partition = 0
    return Record(topic, key.encode() if isinstance(key, str) else key, value, with_headers, partition)


class HostileBatch(_DefaultRecordBatchBuilderPy):  # type: ignore[misc] # private, and aiokafka says final
    """A batch of one record that is not as aiokafka writes it: its record's attributes, or zstd without a library."""

    def __init__(self, *, attributes: int = 0, zstd: bool = False) -> None:
        """`attributes` is the byte of that name in the record."""
        super().__init__(2, 0, 0, -1, -1, 0, BATCH_BYTES_MAX)
        self.attributes, self.zstd = attributes, zstd

    def _maybe_compress(self) -> bool:
        """Change what is complete now; the checksum is taken afterwards."""
        if self.attributes:
            length_bytes = 1 if self._buffer[HEADER_BYTES] < 0x80 else 2
            self._buffer[HEADER_BYTES + length_bytes] = self.attributes
        if self.zstd:
            self._buffer[HEADER_BYTES:] = zstd_frame(bytes(self._buffer[HEADER_BYTES:]))
            self._compression_type = ZSTD
        return self.zstd


def zstd_frame(data: bytes) -> bytes:
    """Return a zstd frame (RFC 8878) of raw blocks: what any decoder takes and no encoder is needed for."""
    chunks = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    blocks = [
        ((len(chunk) << 3) | (number == len(chunks) - 1)).to_bytes(3, "little") + chunk
        for number, chunk in enumerate(chunks)
    ]
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + b"".join(blocks)


async def send_batch(running: Installation, batch: HostileBatch, record: Record) -> None:
    """Write one record in such a batch, with a header more whose value is null."""
    producer = AIOKafkaProducer(bootstrap_servers=running.urls.kafka, max_request_size=BATCH_BYTES_MAX)
    await producer.start()
    try:
        await producer.partitions_for(record.topic)
        batch.append(0, timestamp=1, key=record.key, value=record.value, headers=[*record.headers, ("null", None)])
        carrier = producer.create_batch()
        carrier._builder, carrier._relative_offset = batch, 1
        sent = await producer.send_batch(carrier, record.topic, partition=record.partition)
        await sent
    finally:
        await producer.stop()
