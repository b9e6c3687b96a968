"""Stands in for firmhold's commands, so that the stack's own doings are tested without gateway and worker.

`migrate`, `topics create` and `seed` end well at once. `gateway` and `worker` answer /readyz on their ports; POST /die
ends them with exit code 3.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Probe(BaseHTTPRequestHandler):
    """Answers 200 to everything, and dies when told."""

    def do_GET(self) -> None:
        """Be ready."""
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        """Die without an answer."""
        os._exit(3)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def main() -> None:
    """Play the part that the first argument names."""
    ports = {"gateway": "FIRMHOLD_PORT", "worker": "FIRMHOLD_WORKER_PORT"}
    part = sys.argv[1]
    if os.environ.get("STAND_IN_FAILS") == part:
        sys.exit(f"{part} fails as it was told")
    if part in ports:
        HTTPServer(("127.0.0.1", int(os.environ[ports[part]])), Probe).serve_forever()


if __name__ == "__main__":
    main()
