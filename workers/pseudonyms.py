"""What the audit calls a buyer: as a trusted caller sent it, or a pseudonym that only the installation's secret gives."""

import hmac
from collections.abc import Callable

_PURPOSE = b"firmhold.buyer.v1:"


def as_sent(buyer: str) -> str:
    """Return the buyer as he was named."""
    return buyer


def pseudonyms(installation_secret: bytes) -> Callable[[str], str]:
    """Return what gives each buyer the same pseudonym for ever: 32 hexadecimal digits that tell nothing of him.

    Who has the secret can find the rows of a buyer whom he knows, and nobody else can.
    """

    def pseudonym(buyer: str) -> str:
        return hmac.digest(installation_secret, _PURPOSE + buyer.encode(), "sha256").hex()[:32]

    return pseudonym
