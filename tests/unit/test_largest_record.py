"""A record must fit on its topic once more when it is forwarded: its headers count, the empty ones too."""

import pytest

from tests.unit.builders import PARTITIONS, record
from topics.dead_letters import Reason
from topics.partitions import partition_of
from topics.signatures import KeyRing
from workers.reading import HEADER_OVERHEAD_BYTES_MAX, RECORD_BYTES_MAX, Reader, Rejected

KEY = b"room-1"


@pytest.mark.parametrize(
    "headers",
    [
        [("", b"")] * (RECORD_BYTES_MAX // HEADER_OVERHEAD_BYTES_MAX),
        [("name", b" " * RECORD_BYTES_MAX)],
        [("\u00e9" * (RECORD_BYTES_MAX // 2), b"")],
    ],
    ids=["many", "long", "name"],
)
@pytest.mark.parametrize("aside", [0, 1])
def test_headers_count(headers: list[tuple[str, bytes]], aside: int) -> None:
    """It is put aside, not forwarded; fails if only the value is measured, or a name by its characters."""
    partition = (partition_of(KEY, PARTITIONS) + aside) % PARTITIONS
    (item,) = Reader(KeyRing([]), PARTITIONS).read(record(KEY, b"{}", headers, partition=partition))
    assert isinstance(item, Rejected)
    assert item.reason is Reason.TOO_LARGE
