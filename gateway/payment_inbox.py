"""Put what payment providers say on the log: as commands for the workers, or aside if nobody can make anything of it."""

from collections import Counter
from collections.abc import Awaitable

import structlog

from gateway import payment_bodies, stripe_events
from gateway.problems import NOT_TAKEN, OUTCOME_UNKNOWN, ProblemError
from gateway.publishing import NotTakenError, Publisher, UnacknowledgedError
from gateway.unusable import KIND_OF_ORDERS
from topics import commands, dead_letters
from topics.catalogue import Catalogue
from topics.identifiers import request_id
from topics.log_records import Acknowledgement, Record
from topics.record import command_event
from topics.signatures import GATEWAY_SOURCE_PREFIX

_log = structlog.get_logger(__name__)


class PaymentInbox:
    """Takes what verified webhooks say; the provider is answered when Kafka has it, and waits for no decision.

    A command's source is the provider's, so its claim is (provider, event id): the workers deduplicate. No account of
    FIRMHOLD_API_KEYS has a name with a slash, so none can be taken for a provider.
    """

    def __init__(self, publisher: Publisher, catalogue: Catalogue) -> None:
        """Publish through the gateway's publisher, signed as the gateway."""
        self._publisher = publisher
        self._catalogue = catalogue
        # A 0 for each provider: of a counter that begins with its first 1 no alert could tell that it grew.
        self.put_aside_of = Counter({payment_bodies.PROVIDER: 0, stripe_events.PROVIDER: 0})

    async def record(self, command: commands.RecordPayment, traceparent: str | None) -> None:
        """Return when the log has the command; a problem (503) if it does not say so in time."""
        source = f"{GATEWAY_SOURCE_PREFIX}webhook/{command.provider}"
        fingerprint = commands.fingerprint(KIND_OF_ORDERS, command)
        event = command_event(
            self._catalogue.commands(KIND_OF_ORDERS),
            KIND_OF_ORDERS,
            command,
            source=source,
            command_id=command.event_id,
            traceparent=traceparent,
            request_id=request_id(KIND_OF_ORDERS, command.resource_id, source, command.event_id, fingerprint),
        )
        await _taken(self._publisher.publish(event, (event.topic, 0), takes_units=False))

    async def put_aside(self, provider: str, body: bytes, why: str) -> None:
        """Return when the dead letters have the body, word for word, with the reason; a problem (503) as above."""
        _log.warning("a signed webhook is of no use and was put aside", provider=provider, why=why)
        headers = dead_letters.headers_of_webhook(provider, why)
        await _taken(self._publisher.put(Record(self._catalogue.dead_letters(KIND_OF_ORDERS), None, body, headers)))
        self.put_aside_of[provider] += 1


async def _taken(publishing: Awaitable[Acknowledgement]) -> None:
    """Return when the log has it; a problem (503) if it does not say so in time."""
    try:
        await publishing
    except UnacknowledgedError as fault:
        raise ProblemError(OUTCOME_UNKNOWN, "the log did not confirm in time: send the same again") from fault
    except NotTakenError as fault:
        error = ProblemError(NOT_TAKEN, "the log takes nothing now: send the same again", cause=fault.cause.value)
        error.headers["Retry-After"] = str(fault.retry_after_seconds)
        raise error from fault
