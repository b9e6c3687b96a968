"""Finds free TCP ports on loopback. It must not know what will listen there.

A port found free can be taken by another checkout before its server listens: whoever starts a server tries again.
"""

import socket

from firmhold.local.failure import LocalError

LOOPBACK = "127.0.0.1"
TRIES = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def next_free(preferred: int, but: frozenset[int] = frozenset()) -> int:
    """Give the preferred port, or the next one after it that is free and not among `but`."""
    for port in range(preferred, min(preferred + TRIES, 65536)):
        if port not in but and is_free(port):
            return port
    raise LocalError(f"No port of {preferred} to {preferred + TRIES - 1} on {LOOPBACK} is free.")


def is_answering(port: int) -> bool:
    """Tell whether something accepts connections on this port of loopback."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
