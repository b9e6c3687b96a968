"""The policy of Idempotency-Key, as the pages of its problems publish it, and docs/problems.md with the defaults."""

from gateway.idempotency import KEY_CHARACTERS_MAX

OF_KEYS = frozenset(("idempotency_key_missing", "idempotency_key_malformed", "idempotency_key_reused"))


def policy(retention_days: int, *, uuid_only: bool) -> dict[str, str]:
    """Return the policy of an installation: a heading and a paragraph each."""
    form = "here it must be a UUID" if uuid_only else "a UUID is a good one"
    return {
        "Which calls": "`Idempotency-Key` is required to place a hold and taken by every other call that writes. A write "
        "without one has a random key: its retry is a new request.",
        "Form": f"A quoted string (RFC 8941, 3.3.3) of 1 to {KEY_CHARACTERS_MAX} visible ASCII characters; {form}. The bare "
        'token `k` is taken for `"k"`. Parameters are passed over.',
        "Scope": "A key belongs to the account, whichever of its API keys is used and whatever is called. Two accounts that "
        "use one key make two requests.",
        "Fingerprint": "With the key is kept what was asked for: the call, the resource and the fields that were set. A field "
        "at its default counts as left out, an instant is the same in every time zone, and header fields (`Prefer`, `Buyer`, "
        "`Hold-Token`, `If-Match`, the trace) are no part of it. The same key for something else is answered 422 "
        "`idempotency_key_reused`, and nothing is executed.",
        "Before the outcome": "A retry while the first try is undecided joins it: the same request id, the same `Location`, one "
        "outcome that answers both.",
        "After the outcome": "A retry gets the stored outcome, success or refusal, with `Idempotent-Replayed: true`. A refusal "
        "stays one though what stood against it has passed: a new attempt needs a new key.",
        "What is not stored": "What failed before it was published: 400, 401, 403 `insufficient_scope`, 405, 413, 422 "
        "`invalid_request`, 429, and 503 `not_taken`. The key is still free then. After 503 `outcome_unknown` retry with the "
        "same key.",
        "Retention": f"An outcome is kept for at least {retention_days} days after its decision. Later the same key makes a new "
        "request; one that placed a hold which is still known is answered with that hold.",
    }
