"""Who calls: the account behind a bearer key, and what it may do."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from firmhold.settings import SettingError, numbered_entries
from gateway.problems import INSUFFICIENT_SCOPE, MALFORMED_HEADER, UNAUTHENTICATED, ProblemError

_API_KEYS = "FIRMHOLD_API_KEYS"
ANONYMOUS = "anonymous"
ADMIN_ACCOUNT = "admin"
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_BUYER = re.compile(r"[\x20-\x7e]{1,128}\Z")


class Scope(Enum):
    """What a key may do: hold, define resources, speak for buyers."""

    HOLD = "hold"
    ADMIN = "admin"
    TRUSTED = "trusted"


@dataclass(frozen=True, slots=True)
class Caller:
    """An account with its scopes."""

    account: str
    scopes: frozenset[Scope]

    @property
    def source(self) -> str:
        """The source of the commands that this caller gives."""
        return f"gateway/{self.account}"

    def require(self, scope: Scope) -> None:
        """Raise a problem if the caller's key has not this scope."""
        if scope not in self.scopes:
            raise ProblemError(INSUFFICIENT_SCOPE, f"this call needs a key of scope {scope.value}")


class Callers:
    """The keys of this installation. Without any of FIRMHOLD_API_KEYS everybody is anonymous (local mode)."""

    def __init__(self, api_keys: str, admin_key: str) -> None:
        """Read `account:key:scope+scope,…`; a faulty entry is an error that names its number and never its text."""
        self._by_key: dict[str, Caller] = {}
        for number, entry in numbered_entries(_API_KEYS, api_keys):
            key, caller = _entry(number, entry)
            if key in self._by_key:
                raise SettingError(f"{_API_KEYS}: entry {number} has the key of an entry before it: give each its own")
            if key == admin_key:
                raise SettingError(f"{_API_KEYS}: entry {number} has the key of FIRMHOLD_ADMIN_KEY: give each its own")
            self._by_key[key] = caller
        self._anonymous = None if self._by_key else Caller(ANONYMOUS, frozenset((Scope.HOLD, Scope.TRUSTED)))
        if admin_key:
            self._by_key[admin_key] = Caller(ADMIN_ACCOUNT, frozenset(Scope))

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return who sent these headers; raises a problem if a key is needed or not known."""
        header = headers.get("Authorization")
        if header is None:
            if self._anonymous is None:
                raise _unauthenticated("send Authorization: Bearer with your key")
            return self._anonymous
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthenticated("only the scheme Bearer is known here")
        found = self._find(key.strip())
        if found is None:
            raise _unauthenticated("this key is not known")
        return found

    def _find(self, key: str) -> Caller | None:
        """Compare with every key in constant time, so that none can be guessed by its prefix."""
        given = key.encode("utf-8", "surrogateescape")
        found = None
        for known, caller in self._by_key.items():
            if hmac.compare_digest(known.encode(), given):
                found = caller
        return found


def buyer_of(caller: Caller, headers: Mapping[str, str]) -> str | None:
    """Return whom the caller says he buys for; only a trusted one may say so."""
    buyer = headers.get("Buyer")
    if buyer is None:
        return None
    caller.require(Scope.TRUSTED)
    if not _BUYER.match(buyer):
        raise ProblemError(MALFORMED_HEADER, "Buyer has 1 to 128 visible ASCII characters")
    return buyer


def _unauthenticated(detail: str) -> ProblemError:
    error = ProblemError(UNAUTHENTICATED, detail)
    error.headers["WWW-Authenticate"] = 'Bearer realm="firmhold"'
    return error


def _entry(number: int, text: str) -> tuple[str, Caller]:
    account, _, rest = text.partition(":")
    key, _, scopes = rest.partition(":")
    granted = {scope for scope in Scope if scope.value in scopes.split("+")}
    if not _ACCOUNT.match(account) or not key or len(granted) != len(set(scopes.split("+"))):
        known = ", ".join(scope.value for scope in Scope)
        raise SettingError(f"{_API_KEYS}: entry {number} must read `account:key:scope+scope`, with scopes of {known}")
    return key, Caller(account, frozenset(granted))
