"""Tell a person how the broker's topics differ from the catalogue, equal differences in one line, and what helps."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from topics.admin import PARTITIONS, REPLICAS, Difference, Missing

_SETTINGS = {PARTITIONS: "FIRMHOLD_PARTITIONS", REPLICAS: "FIRMHOLD_REPLICATION"}


def folded(differences: Iterable[Difference]) -> list[str]:
    """Return one line for each different difference, with the topics that have it and what to do."""
    equal: dict[Difference, list[Difference]] = {}
    for difference in differences:
        equal.setdefault(replace(difference, topic=""), []).append(difference)
    return [f"{_line(same)}; {_advice(same[0])}" for same in equal.values()]


def _line(same: Sequence[Difference]) -> str:
    first = same[0]
    if len(same) == 1:
        return str(first)
    what = "do not exist" if isinstance(first, Missing) else f"have {first.has()}"
    return f"{len(same)} topics {what}: {', '.join(each.topic for each in same)}"


def _advice(difference: Difference) -> str:
    if isinstance(difference, Missing):
        return "run `firmhold topics create`"
    setting = _SETTINGS.get(difference.what)
    if setting is not None:
        return f"set {setting} to what the broker has, as that is never changed"
    return "run `firmhold topics create`, or set FIRMHOLD_* to what the broker has"
