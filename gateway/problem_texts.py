"""A paragraph on each type of problem: when it comes, and what to do. Pages, docs/problems.md and openapi.json tell them."""

from collections.abc import Mapping

from gateway.problems import Kind
from topics.refusals import Retry

_CORRECT = (
    "Nothing was published and nothing is stored: an `Idempotency-Key` that was sent is still free. The request will not "
    "succeed as it is; correct it and send it again, with the same key if you like."
)
_AGAIN = "Send the same request again, with the same `Idempotency-Key`, after `Retry-After` where there is one: it counts once."
_LATER = (
    "The answer is stored and final for its key: the same request gets it again. What stands against it may pass: try "
    "later, or ask for something else, with a new `Idempotency-Key`."
)
_OTHER = (
    "The answer is stored and final for its key: the same request gets it again, and would be refused with any other key "
    "too. Ask for something else, with a new `Idempotency-Key`."
)

TEXTS: Mapping[str, str] = {
    "malformed_request": "What came is no HTTP request, or has a header field over 8 KiB. The connection is closed.",
    "malformed_json": "The body is no JSON (RFC 8259), is not encoded as its header fields say, or has two members of one name.",
    "malformed_header": "A header field (`If-Match`, `If-None-Match`, `Min-Version`, `Buyer`) is not of its form: the detail "
    "says which, and what the form is.",
    "idempotency_key_missing": "This call needs an `Idempotency-Key`, so that a retry is known for one. The policy "
    "of keys says what one is and does.",
    "idempotency_key_malformed": "The `Idempotency-Key` is no quoted string and no bare token, is empty or too long, was sent "
    "twice, or is no UUID where this installation wants UUIDs. The policy of keys says what one is and does.",
    "invalid_request": "The body is JSON, but a field is unknown, missing or out of its bounds, or two contradict each other: "
    "`errors` names each by its JSON Pointer. The pointer is empty for what is wrong in the path or the query.",
    "unauthenticated": "Calls here need `Authorization: Bearer` with a key that this installation knows. A request that came "
    "without is not judged any further.",
    "bad_signature": "A webhook is signed by none of this installation's secrets, not in the form of its provider, or more than "
    "five minutes ago or ahead, or its body is none that could be signed (it has a `Content-Encoding`, or is longer than "
    "`FIRMHOLD_WEBHOOK_BYTES_MAX`): the detail says which. Look at `FIRMHOLD_WEBHOOK_SECRET` or `FIRMHOLD_STRIPE_SECRET`, and at "
    "the clocks.",
    "insufficient_scope": "The key is known, but is not for this: holding needs scope `hold`, defining `admin`, naming a `Buyer` "
    "`trusted`.",
    "wrong_hold_token": "A seat is given back by who shows, as `Hold-Token`, the token that came when it was held; the account "
    "is not enough. Whether anybody holds the seat is not told.",
    "unknown_path": "No call of this service has this path. `/docs` lists them all.",
    "unknown_request": "No request has this id, its outcome was forgotten after its retention, or it is another account's: these "
    "are one answer. A request that was accepted and is not yet decided is `queued`, never this.",
    "method_not_allowed": "The path is one of this service's, the method is not; `Allow` names those that are.",
    "body_too_large": "The body is longer than this installation takes (`FIRMHOLD_BODY_BYTES_MAX`), or what it asks for has more "
    "than 64 KiB as a command on the log.",
    "rate_limited": "The account has used up a quota of writes; `violated-policies` names it, and `Retry-After` is when there is "
    "room again. Nothing was published.",
    "outcome_unknown": "The log did not confirm in time that it has the request: it may be decided or not. `request_id` is where "
    "to look; a retry with the same key joins the first try or takes its place, and has one effect.",
    "not_taken": "This try published nothing, to keep the service answering: `cause` says whether the log is silent, too much "
    "waits to be written, or the workers are behind (`backlog`: only what takes units is refused then). An earlier "
    "try with the same key may have been taken.",
    "unavailable": "A server behind this one did not answer a read in time. Nothing was changed.",
    "internal": "Something failed that should not have, and was logged. If the call was a write it may have been taken: the same "
    "key finds out.",
    "forbidden": "A record that a producer wrote to Kafka itself asks for what it may not: a command that needs a signature, or "
    "in the name of a source that a key owns. Nothing is stored and the claim is still free.",
    "idempotency_key_reused": "The account used this key before for a request that asked for something else, and nothing was "
    "executed now. The policy of keys says what one is and does.",
    "command_expired": "The command bore a time after which its sender did not want it any more, and was decided later than "
    "that; it was not executed.",
    "not_found": "No resource has this id, or none had when the request was decided.",
    "version_mismatch": "`If-Match` asked for a version that the resource is not at (or for any, and it does not exist), or "
    "`If-None-Match: *` for none and it exists. Nothing was changed: read it again and decide anew.",
    "hold_refused": "The request that was to place this hold was refused, so there is no hold; the detail names that reason.",
    "hold_not_found": "No hold has this id, or it is another account's and its `Hold-Token` was not shown: these are one answer.",
    "needs_order": "A product's hold becomes firm by an order that is paid, not by a confirm: place an order with it.",
    "hold_used": "The hold became an order; `order_id` and `links` say which. What happens now happens to the order.",
    "order_not_found": "No order has this id, or it is another account's: these are one answer.",
    "payment_of_another_order": "A payment with this id was reported before, for another order: it counts there.",
    "hold_confirmed": "The hold is confirmed: it cannot be extended or changed any more, only cancelled.",
    "hold_cancelled": "The hold was cancelled and its units went back: it cannot be confirmed, extended or changed.",
    "hold_expired": "The hold's time was over when the request reached the log, at its very instant too. It cannot come back.",
    "closed": "The resource takes no new units out: it was closed, or its `closes_at` had passed. Holds that exist go on.",
    "not_open_yet": "The resource opens later: `retry_at` and `Retry-After` say when.",
    "units_per_hold_exceeded": "One hold of this resource may not have so many units; the detail says how many.",
    "holds_per_buyer_exceeded": "The buyer has as many live holds of this resource as one may have. One that ends makes room.",
    "unknown_pool": "The screening has no seat or area of that name, and nothing was taken; `in_the_way` names them.",
    "sold_out": "Fewer units are free than were asked for, and nothing was taken; of seats and areas `in_the_way` names those "
    "that are not free, where they were asked for by name. Units come back when holds end.",
    "internal_error": "The command made the service fail, was put aside and is refused, so that others are not held up by it.",
}


def text_of(kind: Kind) -> str:
    """Return what a type of problem is about."""
    return TEXTS[kind.type]


def advice_of(kind: Kind) -> str:
    """Return what a client can do after a problem of this type."""
    match kind.retry:
        case Retry.SAME_KEY:
            return _AGAIN
        case Retry.NEW_KEY:
            return _LATER
        case Retry.NEVER:
            return _OTHER if kind.is_stored else _CORRECT
