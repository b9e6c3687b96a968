"""A large set of texts in eight bytes each, so that a topic of many millions of records fits into memory."""

import hashlib
from array import array
from bisect import bisect_left


class Digests:
    """Remembers texts by 64 bits of their hash: one in 2^64 of what was never added is taken for known."""

    def __init__(self) -> None:
        """Begin empty."""
        self._digests = array("Q")
        self._sorted = 0

    def add(self, text: str) -> None:
        """Remember a text."""
        self._digests.append(_digest(text))

    def __contains__(self, text: str) -> bool:
        if self._sorted != len(self._digests):
            self._digests = array("Q", sorted(self._digests))
            self._sorted = len(self._digests)
        digest = _digest(text)
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest())
