"""Runs firmhold's own commands on the local servers: steps that end, and the two programs that stay. No servers."""

import http.client
import os
import sys
import uuid
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from firmhold.local.failure import LocalError
from firmhold.local.places import Places
from firmhold.local.ports import LOOPBACK, is_free
from firmhold.local.processes import Child, start_child

FIRMHOLD = (str(Path(sys.executable).parent / "firmhold"),)
DEFAULT_PORT = 8080
WORKER_PORTS = range(18080, 18880)
STEP_WITHIN_S = 120.0
READY_WITHIN_S = 60.0
KEPT_SECRETS = (
    ("FIRMHOLD_ADMIN_KEY", "admin.key", ""),
    ("FIRMHOLD_SECRET", "secret", ""),
    ("FIRMHOLD_WEBHOOK_SECRET", "webhook.secret", "whsec_"),  # what is kept is hex, and hex is base64 too
    ("FIRMHOLD_STRIPE_SECRET", "stripe.secret", "whsec_"),
)
STOP_WITHIN_S = 20.0  # more than a worker's drain and its leaving of the group


def gateway_port(environment: Mapping[str, str]) -> int:
    """Read FIRMHOLD_PORT and make sure that it can be had."""
    text = environment.get("FIRMHOLD_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:  # noqa: PLR2004 - the range of ports
        raise LocalError(f"FIRMHOLD_PORT is {text!r}, which is no port number: `make up FIRMHOLD_PORT=8081`.")
    if not is_free(int(text)):
        raise LocalError(
            f"Port {text} on {LOOPBACK} is in use: stop what listens there (another checkout's `make up`?), "
            "or choose another port, for example `make up FIRMHOLD_PORT=8081`."
        )
    return int(text)


def preferred_worker_port(places: Places) -> int:
    """Choose where to look for the worker's probe port: elsewhere for each checkout, as several may start at once."""
    return WORKER_PORTS[zlib.crc32(str(places.root).encode()) % len(WORKER_PORTS)]


def program_environment(
    places: Places, inherited: Mapping[str, str], urls: Mapping[str, str], port: int, worker_port: int
) -> dict[str, str]:
    """Give what firmhold's commands are told: where everything is, and secrets that were made once."""
    chosen = {
        "FIRMHOLD_KAFKA": urls["kafka"],
        "FIRMHOLD_POSTGRES": urls["postgres"],
        "FIRMHOLD_REDIS": urls["redis"],
        "FIRMHOLD_URL": f"http://{LOOPBACK}:{port}",
        "FIRMHOLD_PORT": str(port),
        "FIRMHOLD_WORKER_PORT": str(worker_port),
        "PYTHONUNBUFFERED": "1",
    }
    defaults = {
        "FIRMHOLD_HOST": LOOPBACK,
        "FIRMHOLD_PARTITIONS": "8",
        "FIRMHOLD_REPLICATION": "1",
        "FIRMHOLD_DEMO_PROVIDER": str(not inherited.get("FIRMHOLD_API_KEYS")).lower(),
    }
    for name, file, prefix in KEPT_SECRETS:
        if not inherited.get(name):
            defaults[name] = prefix + places.kept_secret(file)
    return {**defaults, **{name: value for name, value in inherited.items() if value}, **chosen}


class Programs:
    """Firmhold's commands, run as processes of their own."""

    def __init__(
        self,
        places: Places,
        environment: Callable[[], dict[str, str]],
        cancel: Event,
        program: tuple[str, ...] = FIRMHOLD,
    ) -> None:
        self.places = places
        self.environment = environment
        self.cancel = cancel
        self.program = program

    def run(self, *arguments: str) -> None:
        """Run a command that ends, such as `topics create`.

        Raises:
            LocalError: it failed; with the end of its log.

        """
        name = "-".join(arguments)
        child = start_child(self.places, name, [*self.program, *arguments], environment=self.environment())
        try:
            child.wait_ready(child.has_died, self.cancel, STEP_WITHIN_S)
            if child.process.returncode:
                raise LocalError(
                    f"`firmhold {' '.join(arguments)}` ended with {child.exit_text()}.\n{child.log_tail()}"
                )
        finally:
            child.kill()

    def start(self, name: str, *, again: bool = False) -> Child:
        """Start `gateway` or `worker`."""
        command = [*self.program, name]
        return start_child(
            self.places, name, command, environment=self.environment(), stop_within_s=STOP_WITHIN_S, again=again
        )

    def wait_ready(self, child: Child) -> None:
        """Wait for its /readyz."""
        port = int(self.environment()["FIRMHOLD_PORT" if child.name == "gateway" else "FIRMHOLD_WORKER_PORT"])
        child.wait_ready(lambda: is_ready(port), self.cancel, READY_WITHIN_S)


def is_ready(port: int) -> bool:
    """Ask GET /readyz on loopback; no proxy of the environment is asked."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def welcome(environment: Mapping[str, str], places: Places) -> str:
    """Say where things are and what to try."""
    url = environment["FIRMHOLD_URL"]
    return f"""
firmhold ready on {url}

Hold one unit of the demo slot:
  curl -i -X POST {url}/slots/demo/hold -H 'Idempotency-Key: {uuid.uuid4()}'

  admin key     {environment["FIRMHOLD_ADMIN_KEY"]}
  webhooks      {environment["FIRMHOLD_WEBHOOK_SECRET"]} (Stripe's: {environment["FIRMHOLD_STRIPE_SECRET"]})
  other shells  . {os.path.relpath(places.environment_file)}
  logs          {os.path.relpath(places.logs)}
  stop          Ctrl-C, or `make down` in another shell
"""
