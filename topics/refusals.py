"""The closed catalogue of refusals, in order of precedence: the first that applies is the answer.

A refusal is a decided "no": normal, final, stored. It is not an error of the system.
"""

from dataclasses import dataclass
from enum import Enum


class Retry(Enum):
    """What a client can do after a refusal or a problem.

    SAME_KEY: send the same request again with the same key, it counts once. NEW_KEY: this answer is final for its key, but
    what stands against the request may pass; try later with a new one. NEVER: the request will not succeed as it is.
    """

    SAME_KEY = "same_key"
    NEW_KEY = "new_key"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason to refuse: its HTTP-neutral meaning and what to do about it."""

    reason: str
    title: str
    retry: Retry
    stored: bool = True


_IN_ORDER = (
    Refusal("forbidden", "The record's producer may not give this command", Retry.NEVER, stored=False),
    Refusal("idempotency_key_reused", "The idempotency key was used for another request", Retry.NEW_KEY),
    Refusal("command_expired", "The command's own expiry had passed when it was decided", Retry.NEW_KEY),
    Refusal("not_found", "There is no such resource", Retry.NEW_KEY),
    Refusal("version_mismatch", "The resource is not at the version that was asked for", Retry.NEW_KEY),
    Refusal("hold_refused", "The hold was asked for, and refused", Retry.NEVER),
    Refusal("hold_not_found", "There is no such hold, or it is not yours", Retry.NEW_KEY),
    Refusal("needs_order", "Such a hold is made firm by an order that is paid", Retry.NEVER),
    Refusal("hold_confirmed", "The hold is confirmed", Retry.NEVER),
    Refusal("hold_used", "The hold is used by an order", Retry.NEVER),
    Refusal("hold_cancelled", "The hold is cancelled", Retry.NEVER),
    Refusal("hold_expired", "The hold's time is over", Retry.NEVER),
    Refusal("order_not_found", "There is no such order, or it is not yours", Retry.NEW_KEY),
    Refusal("payment_of_another_order", "The payment was reported for another order before", Retry.NEW_KEY),
    Refusal("closed", "The resource takes no new holds", Retry.NEW_KEY),
    Refusal("not_open_yet", "The resource does not take holds yet", Retry.NEW_KEY),
    Refusal("units_per_hold_exceeded", "More units than one hold may have", Retry.NEW_KEY),
    Refusal("holds_per_buyer_exceeded", "More live holds than one buyer may have", Retry.NEW_KEY),
    Refusal("sold_out", "Not enough units are free", Retry.NEW_KEY),
    Refusal("internal_error", "The command could not be decided because of a fault of ours", Retry.NEVER),
)

CATALOGUE = {refusal.reason: refusal for refusal in _IN_ORDER}
PRECEDENCE = tuple(CATALOGUE)
