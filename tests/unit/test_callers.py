"""Who calls: keys that could open a door by mistake are refused, and no message shows a key."""

import pytest

from firmhold.settings import SettingError
from gateway.callers import ADMIN_ACCOUNT, ANONYMOUS, Callers, Scope
from gateway.problems import ProblemError


def bearer(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


def test_without_keys_everybody_is_anonymous() -> None:
    """Local mode: no FIRMHOLD_API_KEYS at all, and the admin key opens what only it may."""
    callers = Callers("", "admin-key")
    assert callers.caller({}).account == ANONYMOUS
    assert Scope.ADMIN not in callers.caller({}).scopes
    assert callers.caller(bearer("admin-key")).account == ADMIN_ACCOUNT


def test_with_keys_nobody_is_anonymous() -> None:
    """One key is enough to shut the door on everybody without one; an account may have two, to change them."""
    callers = Callers("shop:one:hold, shop:two:hold+trusted,", "")
    assert callers.caller(bearer("one")).scopes == {Scope.HOLD}
    assert callers.caller(bearer("two")).account == "shop"
    for headers in ({}, bearer("three"), bearer("")):
        with pytest.raises(ProblemError):
            callers.caller(headers)


@pytest.mark.parametrize("api_keys", [" ", ",", " , "])
def test_a_list_without_an_entry_is_an_error(api_keys: str) -> None:
    """A list that somebody meant to fill must not open the door to everybody.

    Fails if a list is judged by its entries alone, as `" , "` has none.
    """
    with pytest.raises(SettingError, match="FIRMHOLD_API_KEYS is set and has no entry"):
        Callers(api_keys, "")


def test_one_key_is_of_one_account() -> None:
    """The later entry would silently take the earlier's place."""
    with pytest.raises(SettingError, match="entry 3 has the key of an entry before it") as fault:
        Callers("alice:topsecretkey:hold,bob:another:hold,carol:topsecretkey:hold", "")
    assert "topsecretkey" not in str(fault.value)


def test_the_admin_key_is_nobody_elses() -> None:
    """Else an account that may hold would be the admin."""
    with pytest.raises(SettingError, match="entry 1 has the key of FIRMHOLD_ADMIN_KEY") as fault:
        Callers("alice:topsecretkey:hold", "topsecretkey")
    assert "topsecretkey" not in str(fault.value)


@pytest.mark.parametrize(
    "entry",
    [
        "topsecretkey",
        "topsecretkey:hold",
        "alice::hold",
        "alice:topsecretkey",
        "alice:topsecretkey:",
        "alice:topsecretkey:rule",
        "alice:topsecretkey:hold+rule",
        "alice:top:secret:hold",
        "al ice:topsecretkey:hold",
    ],
)
def test_a_faulty_entry_is_named_by_its_number(entry: str) -> None:
    """The key may stand anywhere in an entry of the wrong form: nothing of it is shown."""
    with pytest.raises(SettingError, match="entry 2 must read `account:key:scope") as fault:
        Callers(f"bob:his:hold,{entry}", "")
    assert "topsecret" not in str(fault.value)
    assert "alice" not in str(fault.value)
