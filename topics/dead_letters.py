"""Dead letters: records that were not decided, payments that were refused, webhooks of no use; word for word, with the reason."""

from enum import Enum

from topics.cloudevents import Headers

_DETAIL_BYTES_MAX = 8_000


class Reason(Enum):
    """Why a record is a dead letter."""

    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    UNDECODABLE = "undecodable"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_VERSION = "unknown_version"
    MIS_KEYED = "mis_keyed"
    INVALID_COMMAND = "invalid_command"
    WRONG_TIMESTAMP_TYPE = "wrong_timestamp_type"
    TOO_OLD = "too_old"
    INTERNAL_ERROR = "internal_error"
    UNUSABLE_WEBHOOK = "unusable_webhook"
    REFUSED_PAYMENT = "refused_payment"


def headers_of(original: Headers, *, reason: Reason, detail: str, coordinates: tuple[str, int, int]) -> Headers:
    """Return the headers of a dead letter: the original ones, then `firmhold-dlq-…` of this occurrence.

    `coordinates` are topic, partition and offset of the record.
    """
    topic, partition, offset = coordinates
    return [
        *original,
        ("firmhold-dlq-reason", reason.value.encode()),
        ("firmhold-dlq-detail", _detail(detail)),
        ("firmhold-dlq-topic", topic.encode()),
        ("firmhold-dlq-partition", b"%d" % partition),
        ("firmhold-dlq-offset", b"%d" % offset),
    ]


def headers_of_webhook(provider: str, detail: str) -> Headers:
    """Return the headers of a webhook that no command could be made of: its place is nowhere but here."""
    return [
        ("firmhold-dlq-reason", Reason.UNUSABLE_WEBHOOK.value.encode()),
        ("firmhold-dlq-detail", _detail(detail)),
        ("firmhold-dlq-provider", provider.encode()),
    ]


def _detail(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:_DETAIL_BYTES_MAX]
