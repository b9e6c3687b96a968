"""Sign and verify command records: HMAC-SHA256 over kind, key, type, source, id and value.

Command topics are a public ingress, so authority travels with the record. A signing key has an id, scopes (what it may
ask for) and a source prefix (as whom). The header is `firmhold-signature: v1,{key id},{base64}`; the signed content is
the fields as netstrings (https://cr.yp.to/proto/netstrings.txt), so that no field can run into its neighbour.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from topics.cloudevents import Headers

HEADER = "firmhold-signature"
GATEWAY_KEY_ID = "gateway"
GATEWAY_SOURCE_PREFIX = "gateway/"
WORKER_KEY_ID = "worker"
WORKER_SOURCE_PREFIX = "worker/"
OUR_PREFIXES = (GATEWAY_SOURCE_PREFIX, WORKER_SOURCE_PREFIX)
_SCHEME = "v1"


class Scope(Enum):
    """What a signing key may ask for; each command type needs one, and who names a buyer needs `trusted` besides."""

    HOLD = "hold"
    DEFINE = "define"
    EXPIRE = "expire"
    PAYMENT = "payment"
    TRUSTED = "trusted"


# All commands of the design: authority over one is asked before this version's decoder is.
SCOPE_OF_COMMAND: Mapping[str, Scope] = {
    "Hold": Scope.HOLD,
    "ChangeHold": Scope.HOLD,
    "Confirm": Scope.HOLD,
    "Cancel": Scope.HOLD,
    "Extend": Scope.HOLD,
    "PlaceOrder": Scope.HOLD,
    "CancelOrder": Scope.PAYMENT,
    "RecordPayment": Scope.PAYMENT,
    "Expire": Scope.EXPIRE,
    "DefineResource": Scope.DEFINE,
}
UNSIGNED_SCOPE = Scope.HOLD


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A shared secret with what it entitles to."""

    key_id: str
    secret: bytes
    scopes: frozenset[Scope]
    source_prefix: str

    def __repr__(self) -> str:
        """Name the key, never its secret."""
        return f"SigningKey({self.key_id!r})"


class Signed(msgspec.Struct, frozen=True):
    """The fields that a signature covers."""

    kind: str
    key: bytes
    type: str
    source: str
    id: str
    value: bytes

    def digest(self, secret: bytes) -> bytes:
        """Return the HMAC-SHA256 of the fields."""
        parts = (
            self.kind.encode(),
            self.key,
            self.type.encode(),
            self.source.encode(),
            self.id.encode(),
            self.value,
        )
        return hmac.digest(secret, b"".join([b"%d:%b," % (len(part), part) for part in parts]), "sha256")


def derived_key(installation_secret: bytes, key_id: str, source_prefix: str, scopes: Iterable[Scope]) -> SigningKey:
    """Return the key of one of our own processes, derived from FIRMHOLD_SECRET (HMAC as a key derivation, RFC 5869)."""
    secret = hmac.digest(installation_secret, f"firmhold signing key {key_id}".encode(), "sha256")
    return SigningKey(key_id, secret, frozenset(scopes), source_prefix)


def gateway_key(installation_secret: bytes) -> SigningKey:
    """Return the key that every gateway signs with."""
    return derived_key(installation_secret, GATEWAY_KEY_ID, GATEWAY_SOURCE_PREFIX, Scope)


def worker_key(installation_secret: bytes) -> SigningKey:
    """Return the key that every worker signs with: the sweeper may expire, and nothing else."""
    return derived_key(installation_secret, WORKER_KEY_ID, WORKER_SOURCE_PREFIX, (Scope.EXPIRE,))


def sign(key: SigningKey, signed: Signed) -> tuple[str, bytes]:
    """Return the header that proves who made the record."""
    text = base64.b64encode(signed.digest(key.secret)).decode("ascii")
    return HEADER, f"{_SCHEME},{key.key_id},{text}".encode()


class KeyRing:
    """The signing keys that a worker trusts, by id; `owned_prefixes` are the sources that only signed records may use."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        """Hold the keys; two with one id is an error."""
        self._keys: dict[str, SigningKey] = {}
        for key in keys:
            if key.key_id in self._keys:
                message = f"two signing keys have the id {key.key_id!r}: give each its own"
                raise ValueError(message)
            self._keys[key.key_id] = key
        self.owned_prefixes = (*OUR_PREFIXES, *(key.source_prefix for key in self._keys.values()))

    def signer(self, headers: Headers, signed: Signed) -> SigningKey | None:
        """Return the key whose valid signature the record bears, None if it bears none that is valid."""
        header = next((content for name, content in headers if name == HEADER), None)
        if header is None:
            return None
        parts = header.split(b",")
        if len(parts) != 3 or parts[0] != _SCHEME.encode():  # noqa: PLR2004 - scheme, key id, digest
            return None
        key = self._keys.get(parts[1].decode("utf-8", "replace"))
        try:
            digest = base64.b64decode(parts[2], validate=True)
        except binascii.Error:
            return None
        if key is None or not hmac.compare_digest(digest, signed.digest(key.secret)):
            return None
        return key


def may(signer: SigningKey | None, type_name: str, source: str, owned_prefixes: tuple[str, ...] = OUR_PREFIXES) -> bool:
    """Tell whether this signer may give a command of this type as this source.

    Unsigned records may only hold, and not as a source that begins with a prefix some key owns: a stranger must not take
    claims, or places of a buyer, in the name of a trusted producer.
    """
    scope = SCOPE_OF_COMMAND.get(type_name)
    if signer is None:
        return scope is UNSIGNED_SCOPE and not source.startswith(owned_prefixes)
    return scope in signer.scopes and source.startswith(signer.source_prefix)


def may_name_buyers(signer: SigningKey | None) -> bool:
    """Tell whether this signer is believed when it says for whom it holds: a stranger would use up a buyer's limit."""
    return signer is not None and Scope.TRUSTED in signer.scopes


def account_of(source: str) -> str:
    """Return the account that a source acts for: `gateway/{account}` is that account, any other is `kafka/{source}`."""
    if source.startswith(GATEWAY_SOURCE_PREFIX):
        return source.removeprefix(GATEWAY_SOURCE_PREFIX)
    return f"kafka/{source}"
