"""Which outcomes of a batch are told at once, before their events: those of gateways, where somebody waits. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from topics.prompt_outcomes import MESSAGE_BYTES_MAX, OUTCOME_BYTES_MAX, PromptOutcome, encode
from topics.signatures import GATEWAY_SOURCE_PREFIX
from workers.core.batch import Outcome


@dataclass(frozen=True, slots=True)
class Prompt:
    """The message, empty if there is nothing to tell; and whether it has every outcome of the batch."""

    message: bytes
    is_whole: bool


def prompt_of(outcomes: Sequence[Outcome]) -> Prompt:
    """Return what is told at once of these outcomes."""
    prompt: list[PromptOutcome] = []
    size = 0
    for one in map(_prompt, outcomes):
        if one is not None and size < MESSAGE_BYTES_MAX:
            prompt.append(one)
            size += len(one.data)
    return Prompt(encode(prompt) if prompt else b"", is_whole=len(prompt) == len(outcomes))


def _prompt(outcome: Outcome) -> PromptOutcome | None:
    arrived = outcome.arrived
    if not arrived.source.startswith(GATEWAY_SOURCE_PREFIX):
        return None
    for event in outcome.events or ():
        if event.answers:
            if len(event.data) > OUTCOME_BYTES_MAX:
                return None
            return PromptOutcome(arrived.request_id, arrived.key.kind, event.type, event.record, event.data)
    return None
