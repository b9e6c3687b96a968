"""The secrets of webhooks: several at once, made in local mode only, mistakes told without showing them."""

import base64

import pytest
from pydantic import SecretStr

from firmhold.settings import SettingError, Settings
from gateway.webhook_secrets import WebhookSecrets, webhook_secrets

SECRET = b"a secret of twenty-four."
TEXT = base64.b64encode(SECRET).decode()


def read(standard: str = "", stripe: str = "", api_keys: str = "alice:key:hold") -> WebhookSecrets:
    """Read settings."""
    settings = Settings(
        webhook_secret=SecretStr(standard), stripe_secret=SecretStr(stripe), api_keys=SecretStr(api_keys)
    )
    return webhook_secrets(settings)


def test_e49_several_secrets() -> None:
    """Old and new are listed with a space between; Stripe's are taken as they are, prefix and all."""
    assert read(f"whsec_{TEXT} whsec_{base64.b64encode(SECRET * 2).decode()}").standard == (SECRET, SECRET * 2)
    assert read(stripe="whsec_old  whsec_new").stripe == (b"whsec_old", b"whsec_new")


def test_a_secret_without_its_padding() -> None:
    """The reference libraries take it too."""
    secret = SECRET + b"ab"
    assert read(f"whsec_{base64.b64encode(secret).decode().rstrip('=')}").standard == (secret,)


@pytest.mark.parametrize(
    "entry", [TEXT, "whsec_", "whsec_c2hvcnQ=", f"whsec_{TEXT}%", f"WHSEC_{TEXT}", "whsec_é" + TEXT]
)
def test_a_faulty_secret_is_named_by_its_number(entry: str) -> None:
    """Without prefix, short, or no base64: an error at the start, that shows nothing of it."""
    with pytest.raises(SettingError, match="FIRMHOLD_WEBHOOK_SECRET: entry 2 must read") as fault:
        read(f"whsec_{TEXT} {entry}")
    assert TEXT not in str(fault.value)


def test_none_is_made_where_callers_have_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """An installation that nobody gave a secret believes no webhook."""
    assert read().standard == read().stripe == ()
    assert capsys.readouterr().out == ""


def test_in_local_mode_they_are_made_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown is what works; one that was set is neither made nor shown."""
    made = read(api_keys="", stripe="mine")
    shown = capsys.readouterr().out.strip()
    assert made.stripe == (b"mine",)
    assert read(shown.rpartition(" ")[2]).standard == made.standard
    assert "FIRMHOLD_WEBHOOK_SECRET" in shown
    assert "mine" not in shown
