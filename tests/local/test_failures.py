"""Failures that are to be expected are told in a sentence with what to set; the others keep their traceback."""

import os
import re
import socket
import subprocess
import sys

import psycopg
import pytest

from firmhold.failures import EXIT_CONFIG, EXIT_FAILURE, told, told_of_process
from firmhold.local.places import CHECKOUT
from firmhold.local.ports import LOOPBACK
from firmhold.settings import SettingError
from topics.admin import TopicError
from workers.main import TopicsDisagreeError

NOBODY = f"{LOOPBACK}:1"


def firmhold(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command with these settings alone; return its exit code and what it said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FIRMHOLD_")}
    done = subprocess.run(
        [sys.executable, "-m", "firmhold.cli", *arguments],
        cwd=CHECKOUT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("command", "environment", "words"),
    [
        (("topics", "create"), {"FIRMHOLD_KAFKA": NOBODY}, "Kafka does not answer.*FIRMHOLD_KAFKA must be"),
        (
            ("migrate",),
            {"FIRMHOLD_POSTGRES": f"postgresql://me:topsecret@{NOBODY}/x"},
            "Postgres does not answer.*FIRMHOLD_POSTGRES must be",
        ),
        (("seed",), {"FIRMHOLD_URL": f"http://{NOBODY}"}, "the gateway does not answer.*FIRMHOLD_URL must be"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_unreachable_server_is_one_line(command: tuple[str, ...], environment: dict[str, str], words: str) -> None:
    """It names the server and the setting, and no password."""
    code, said = firmhold(*command, **environment)
    assert code == EXIT_FAILURE
    assert re.fullmatch(f"firmhold: {words}.*\n", said), said
    assert "topsecret" not in said


@pytest.mark.parametrize(
    ("command", "environment", "words"),
    [
        ("worker", {}, "FIRMHOLD_SECRET is not set"),
        ("gateway", {}, "FIRMHOLD_SECRET is not set"),
        ("worker", {"FIRMHOLD_SECRET": "s", "FIRMHOLD_SIGNING_KEYS": "topsecret"}, "FIRMHOLD_SIGNING_KEYS: entry 1"),
        ("gateway", {"FIRMHOLD_SECRET": "s", "FIRMHOLD_API_KEYS": "topsecret"}, "FIRMHOLD_API_KEYS: entry 1"),
        ("gateway", {"FIRMHOLD_SECRET": "s", "FIRMHOLD_API_KEYS": " , "}, "FIRMHOLD_API_KEYS is set and has no entry"),
        ("gateway", {"FIRMHOLD_PORT": "x"}, "setting FIRMHOLD_PORT: Input should be a valid integer"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line(command: str, environment: dict[str, str], words: str) -> None:
    """The process ends with the code for configuration: starting it again will not help."""
    code, said = firmhold(command, **environment)
    assert code == EXIT_CONFIG
    assert re.fullmatch(f"firmhold: {words}.*\n", said), said
    assert "topsecret" not in said


def test_a_port_in_use_is_told_without_a_traceback() -> None:
    """It names what to set."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        code, said = firmhold("gateway", FIRMHOLD_SECRET="s", FIRMHOLD_PORT=str(port))
    assert code == EXIT_FAILURE
    assert re.search("^firmhold: .*address already in use.*set FIRMHOLD_PORT", said, re.MULTILINE), said
    assert "Traceback" not in said


def test_what_is_not_expected_keeps_its_traceback() -> None:
    """A ValueError of anything but the settings is a fault of ours."""
    for fault in (ValueError("?"), RuntimeError("?"), KeyError("?"), psycopg.ProgrammingError("?")):
        assert told(fault) is None


def test_a_process_that_outlives_servers_does_not_expect_their_absence() -> None:
    """Gateway and worker wait for servers: where such a failure ends one, its traceback is wanted."""
    assert told_of_process(psycopg.OperationalError("?")) is None
    assert told_of_process(ConnectionRefusedError()) is None


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [(SettingError("say"), EXIT_CONFIG), (TopicsDisagreeError("say"), EXIT_CONFIG), (TopicError("say"), EXIT_FAILURE)],
)
def test_errors_of_ours_are_told_in_their_own_words(fault: Exception, exit_code: int) -> None:
    """They are sentences already."""
    failure = told(fault)
    assert failure is not None
    assert (failure.lines, failure.exit_code) == (("say",), exit_code)


def test_credentials_of_a_url_are_left_out() -> None:
    """Some clients repeat the URL they were given."""
    failure = told(psycopg.OperationalError("cannot reach postgresql://me:topsecret@db/x\n  at all"))
    assert failure is not None
    assert "cannot reach postgresql://…@db/x at all" in failure.lines[0]
