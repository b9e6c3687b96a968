"""What may be logged, how often, and in which form."""

import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from firmhold import logs
from firmhold.chatter import Chatter, LeftOut
from firmhold.redaction import Redaction, without_credentials
from firmhold.settings import Settings

SIGNING_SECRET = "c2VjcmV0IG9mIGVycC1zaWduaW5n"
SETTINGS = {
    "secret": 'the "installation\\secret"',
    "admin_key": "admin-key-1",
    "api_keys": "alice:key-of-alice:hold, bob:key-of-bob:hold",
    "signing_keys": f"erp:{SIGNING_SECRET}:hold:erp/",
    "postgres": "postgresql://me:pg%2Fpass@db.local:5432/x",
    "redis": "redis://:redis-pass@cache:6379/0",
}
SECRETS = (SETTINGS["secret"], "admin-key-1", "key-of-alice", "key-of-bob", SIGNING_SECRET, "pg/pass", "redis-pass")


class Said:
    """What was written to standard error since it was last asked for."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Ask pytest for it."""
        self._capsys = capsys

    def text(self) -> str:
        """Return it as it is."""
        return self._capsys.readouterr().err

    def lines(self) -> list[dict[str, object]]:
        """Return each line as the JSON object that it must be."""
        return [json.loads(line) for line in self.text().splitlines()]


def settings(**more: str | float) -> Settings:
    """Return settings in which everything is secret that can be."""
    return Settings.model_validate(SETTINGS | more)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """Give what is logged in this test, and leave logging as it was."""
    root, thread_hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield Said(capsys)
    root.handlers[:], threading.excepthook = handlers, thread_hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "spell", [str, repr, json.dumps, lambda text: f"x{text}y"], ids=["as it is", "repr", "json", "amidst"]
)
def test_no_secret_of_the_settings_is_shown(secret: str, spell: Callable[[str], str]) -> None:
    """However it is spelled; fails if a setting is not looked into, or only as a whole."""
    text = Redaction(settings())(f"before {spell(secret)} after")
    assert secret not in text
    assert json.dumps(secret)[1:-1] not in text
    assert text.startswith("before ")
    assert text.endswith(" after")


def test_what_is_no_secret_is_shown() -> None:
    """Names of accounts, hosts and scopes stay; an empty or short secret takes nothing away."""
    text = "alice at db.local:5432/x and cache:6379 may hold as erp"
    assert Redaction(settings())(text) == text
    assert Redaction(settings(secret="s", admin_key="", api_keys=""))(text) == text


@pytest.mark.parametrize(
    "url", ["postgresql://me:top@db/x", "kafka://me:t@p@db", "http://top@db:1/", "x='redis://:top@db'"]
)
def test_credentials_of_any_url_are_left_out(url: str) -> None:
    """Of one that no setting names, too, and with an @ in the password."""
    shown = without_credentials(f"cannot reach {url}: no route to a@b")
    assert "top" not in shown
    assert "t@p" not in shown
    assert "…@db" in shown
    assert shown.endswith("no route to a@b")


def record(message: object, *args: object, level: int = logging.WARNING) -> logging.LogRecord:
    """Return a line of aiokafka's."""
    return logging.LogRecord("aiokafka", level, "", 0, message, args, None)


def test_repeated_lines_are_counted() -> None:
    """So many within a while; after it the number of the others is told once, and it begins anew."""
    chatter = Chatter(lines_max=2, seconds=10.0)
    admitted = [chatter.admits(record("node %s away: try %d", "a", count), now=float(count)) for count in range(5)]
    assert admitted == [True, True, False, False, False]
    assert list(chatter.left_out(9.9)) == []
    assert list(chatter.left_out(10.0)) == [LeftOut("aiokafka", logging.WARNING, "node %s away: try %d", 3)]
    assert list(chatter.left_out(float("inf"))) == []
    assert chatter.admits(record("node %s away: try %d", "a", 9), now=11.0)


def test_what_differs_is_another_line() -> None:
    """Another text or level; numbers within a text make no difference, nor do the values bound to an event."""
    chatter = Chatter(lines_max=1, seconds=10.0)
    assert chatter.admits(record("try 1"), 0.0)
    assert not chatter.admits(record("try 22"), 0.0)
    assert chatter.admits(record("try 22", level=logging.ERROR), 0.0)
    assert chatter.admits(record("other"), 0.0)
    assert chatter.admits(record({"event": "failed", "pause": 1}), 0.0)
    assert not chatter.admits(record({"event": "failed", "pause": 2}), 0.0)


def test_a_critical_line_is_never_left_out() -> None:
    """A process that ends says why."""
    chatter = Chatter(lines_max=1, seconds=10.0)
    assert all(chatter.admits(record("ends", level=logging.CRITICAL), 0.0) for _ in range(5))


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_whole_and_shows_no_variable(said: Said, log_format: str) -> None:
    """All frames, causes too, in one record; not what the variables held.

    Seen to fail with the console's own tracebacks, which show local variables.
    """
    logs.configure(settings(log_format=log_format))

    def fail(token: str) -> None:
        if len(token) > 1:
            raise ValueError("within")

    try:
        try:
            fail("token of a hold".replace(" ", "-"))
        except ValueError as fault:
            raise RuntimeError("around") from fault
    except RuntimeError:
        structlog.get_logger("x").exception("it failed", request_id="req_1")
        logging.getLogger("faust").exception("it failed, says %s", "faust")
    text = said.text()
    assert text.count("ValueError: within") == text.count("RuntimeError: around") == 2
    assert text.count("in fail") == 2
    assert "token-of-a-hold" not in text
    if log_format == "json":
        ours, theirs = map(json.loads, text.splitlines())
        assert (ours["event"], ours["logger"], ours["request_id"]) == ("it failed", "x", "req_1")
        assert (theirs["event"], theirs["logger"], theirs["level"]) == ("it failed, says faust", "faust", "error")


def test_it_is_told_how_many_lines_were_left_out(said: Said) -> None:
    """At the end at the latest, with the logger that repeated itself."""
    logs.configure(settings(log_format="json", log_repeats_max=2))
    for number in range(7):
        logging.getLogger("aiokafka.conn").warning("no node %d", number)
    logs.close()
    events = said.lines()
    assert [line["event"] for line in events] == ["no node 0", "no node 1", "lines like others were left out"]
    assert {"left_out": 5, "like": "no node %d", "logger": "aiokafka.conn", "level": "warning"}.items() <= events[
        -1
    ].items()


def test_lines_bear_what_is_bound_and_no_secret(said: Said) -> None:
    """Those of libraries, too."""
    logs.configure(settings(log_format="json"))
    with structlog.contextvars.bound_contextvars(request_id="req_1", resource="a"):
        logging.getLogger("asyncpg").warning("cannot reach %s", SETTINGS["postgres"])
    (line,) = said.lines()
    assert (line["request_id"], line["resource"]) == ("req_1", "a")
    assert line["event"] == "cannot reach postgresql://…@db.local:5432/x"


def test_the_end_of_a_thread_is_a_line(said: Said) -> None:
    """Not a bare traceback between the lines; Faust's consumer runs in a thread."""
    logs.configure(settings(log_format="json"))

    def fail() -> None:
        raise ValueError("of key-of-alice")

    thread = threading.Thread(target=fail, name="consumer")
    thread.start()
    thread.join()
    (line,) = said.lines()
    assert (line["level"], line["thread"]) == ("critical", "consumer")
    assert str(line["exception"]).endswith("ValueError: of …")
