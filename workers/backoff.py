"""How long to pause between attempts: doubling, bounded, with jitter, so that many workers do not return at once."""

import random
from collections.abc import Iterator


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield pauses without end, each between half and all of a bound that doubles up to the longest."""
    bound = first_seconds
    while True:
        yield bound * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        bound = min(bound * 2, longest_seconds)
