"""Which partition a key belongs to: the Java client's murmur2, for every producer of ours."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

_POSITIVE = 0x7FFFFFFF
_KEYS_MAX = 65_536


@lru_cache(_KEYS_MAX)  # written in Python, it is asked several times for each command of a few hot keys
def partition_of(key: bytes, partition_count: int) -> int:
    """Return the partition of `key` among `partition_count`, as Kafka's Java DefaultPartitioner does."""
    return (int(murmur2(key)) & _POSITIVE) % partition_count
