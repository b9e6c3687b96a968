"""Tell a person how the broker's topics differ from the catalogue, equal differences in one line, and what helps.

Pure: it is given the sentences that `topics.admin.disagreements` returns, one for each topic and difference.
"""

import re
from collections.abc import Iterable

_SENTENCE = re.compile(r"topic (\S+) (.+)")
_MISSING = "does not exist"
_SETTINGS = (
    (re.compile(r"has \d+ partitions"), "FIRMHOLD_PARTITIONS"),
    (re.compile(r"has \d+ replicas"), "FIRMHOLD_REPLICATION"),
)


def folded(sentences: Iterable[str]) -> list[str]:
    """Return one line for each different difference, with the topics that have it and what to do."""
    topics_of: dict[str, list[str]] = {}
    for sentence in sentences:
        match = _SENTENCE.fullmatch(sentence)
        topic, difference = match.groups() if match else ("", sentence)
        topics_of.setdefault(difference, []).append(topic)
    return [f"{_line(difference, topics)}; {_advice(difference)}" for difference, topics in topics_of.items()]


def _line(difference: str, topics: list[str]) -> str:
    if topics == [""]:
        return difference
    if len(topics) == 1:
        return f"topic {topics[0]} {difference}"
    plural = re.sub(r"^has\b", "have", re.sub(r"^does\b", "do", difference))
    return f"{len(topics)} topics {plural}: {', '.join(topics)}"


def _advice(difference: str) -> str:
    if difference == _MISSING:
        return "run `firmhold topics create`"
    for pattern, setting in _SETTINGS:
        if pattern.match(difference):
            return f"set {setting} to what the broker has, as that is never changed"
    return "run `firmhold topics create`, or set FIRMHOLD_* to what the broker has"
