"""The Java client's partitioner, by its own published vectors."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from topics.partitions import partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, Apache Kafka.
JAVA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "hashed"), JAVA_VECTORS.items())
def test_murmur2_is_that_of_the_java_client(key: bytes, hashed: int) -> None:
    """The library hashes as Java does, and so a partition is where Java's producers put the key."""
    assert murmur2(key) & 0xFFFFFFFF == hashed & 0xFFFFFFFF
    counts = (1, 3, 7, 8, 12, 64, 100)
    assert [partition_of(key, count) for count in counts] == [(hashed & 0x7FFFFFFF) % count for count in counts]


@given(st.binary(max_size=80), st.integers(1, 4096))
def test_a_partition_is_always_one_of_the_topic(key: bytes, count: int) -> None:
    """No key, of whatever bytes, leads beside the topic."""
    assert 0 <= partition_of(key, count) < count


def test_resources_spread_over_the_partitions() -> None:
    """Ten thousand numbered ids leave no partition of 64 empty or with more than twice its share."""
    counts = [0] * 64
    for number in range(10_000):
        counts[partition_of(b"slot-%d" % number, 64)] += 1
    assert min(counts) > 0
    assert max(counts) < 2 * 10_000 / 64
