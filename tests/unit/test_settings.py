"""The settings: one table in the docs, and mistakes told in a sentence that shows no secret."""

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from firmhold.settings import SettingError, Settings
from firmhold.settings_table import settings_table
from topics.signatures import Scope

DOCS = Path(__file__).parents[2] / "docs"
SECRET = base64.b64encode(b"a shared secret.").decode()


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    """docs/settings.md is what `firmhold settings` prints."""
    assert (DOCS / "settings.md").read_text() == settings_table()


def test_every_setting_says_what_it_is() -> None:
    """Each setting has a description."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_e32_outcomes_are_kept_longer_than_records() -> None:
    """A request retention that a record could outlive is refused, and the message says why."""
    with pytest.raises(ValidationError, match="must exceed FIRMHOLD_COMMAND_RETENTION_DAYS"):
        Settings(request_retention_days=7, command_retention_days=7)


def test_a_demo_provider_beside_accounts_is_refused() -> None:
    """Whoever reaches it could pay their orders with no money: the message says what to do, and shows no key.

    Seen to fail without the check.
    """
    with pytest.raises(ValidationError, match="Turn FIRMHOLD_DEMO_PROVIDER off, or unset FIRMHOLD_API_KEYS") as fault:
        Settings.model_validate({"demo_provider": "true", "api_keys": "shop:topsecret:hold"})
    assert "topsecret" not in str(fault.value)
    for allowed in ({"demo_provider": "true", "api_keys": ""}, {"demo_provider": "false", "api_keys": "shop:k:hold"}):
        Settings.model_validate(allowed)


def test_a_marker_of_the_mirror_outlives_the_pause_between_two_looks() -> None:
    """Else all who ask for a seat would ask Postgres; without looks there are no markers."""
    with pytest.raises(ValidationError, match="must be at least twice FIRMHOLD_MIRROR_LOOK_SECONDS"):
        Settings(mirror_marker_seconds=19)
    assert Settings(mirror_marker_seconds=20).mirror_look_seconds == 10
    assert Settings(mirror_marker_seconds=1, mirror_look_seconds=0).mirror_look_seconds == 0


def test_a_process_needs_the_secret() -> None:
    """Without FIRMHOLD_SECRET two processes could not agree on tokens: that is an error, with an example."""
    with pytest.raises(ValueError, match="FIRMHOLD_SECRET is not set"):
        Settings(secret="").installation_secret()  # type: ignore[arg-type] # pydantic wraps it


def settings_with(signing_keys: str) -> Settings:
    """Return settings that trust these producers."""
    return Settings(secret="s", signing_keys=signing_keys)  # type: ignore[arg-type] # pydantic wraps it


def test_signing_keys_are_read() -> None:
    """An entry names key id, secret, scopes and source prefix."""
    key = settings_with(f"erp:{SECRET}:hold+define:erp/").key_ring()._keys["erp"]
    assert (key.secret, key.source_prefix) == (b"a shared secret.", "erp/")
    assert key.scopes == frozenset((Scope.HOLD, Scope.DEFINE))


@pytest.mark.parametrize("prefix", ["", "gateway/erp", "gate", "worker/"])
def test_a_signing_key_cannot_speak_as_one_of_us(prefix: str) -> None:
    """A source prefix that covers, or lies in, that of gateways and workers is refused."""
    with pytest.raises(SettingError, match="entry 1 needs a source prefix of its own"):
        settings_with(f"erp:{SECRET}:hold:{prefix}").key_ring()


@pytest.mark.parametrize("secret", [b"", b"secret", b"fifteen bytes.."])
def test_a_short_signing_secret_is_refused(secret: bytes) -> None:
    """Below 16 bytes a secret can be guessed by who has one signed record."""
    with pytest.raises(SettingError, match="secret of entry 1 has fewer than 16 bytes"):
        settings_with(f"erp:{base64.b64encode(secret).decode()}:hold:erp/").key_ring()


@pytest.mark.parametrize(
    "entry", [SECRET, "erp", f"erp:{SECRET}:hold", "erp:not base64:hold:erp/", f"erp:{SECRET}:rule:erp/"]
)
def test_a_faulty_signing_key_is_named_by_its_number(entry: str) -> None:
    """The secret may stand anywhere in an entry of the wrong form: nothing of it is shown."""
    with pytest.raises(SettingError, match="entry 2 must read") as fault:
        settings_with(f"crm:{SECRET}:hold:crm/,{entry}").key_ring()
    assert SECRET not in str(fault.value)
    assert "erp" not in str(fault.value)


@pytest.mark.parametrize("key_id", ["erp", "gateway"])
def test_a_key_id_is_used_once(key_id: str) -> None:
    """Two keys of one id could not be told apart; `gateway` is the id of our own."""
    with pytest.raises(SettingError, match="key id of entry 2"):
        settings_with(f"erp:{SECRET}:hold:erp/,{key_id}:{SECRET}:hold:crm/").key_ring()


def test_a_list_of_signing_keys_without_an_entry_is_an_error() -> None:
    """Somebody meant to trust a producer."""
    with pytest.raises(SettingError, match="FIRMHOLD_SIGNING_KEYS is set and has no entry"):
        settings_with(" , ").key_ring()


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_what_is_no_url_is_refused_without_being_shown(name: str) -> None:
    """A connection string of another form has a password in it too."""
    with pytest.raises(ValidationError, match="must be a URL that begins with") as fault:
        Settings.model_validate({name: "host=db password=topsecret"})
    assert "topsecret" not in str(fault.value)
