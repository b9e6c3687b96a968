"""Free ports are found, busy ones are passed over."""

import socket

import pytest

from firmhold.local.failure import LocalError
from firmhold.local.ports import LOOPBACK, TRIES, is_answering, is_free, next_free
from firmhold.local.programs import gateway_port


def test_busy_port_is_passed_over() -> None:
    """The next free one after it is taken instead."""
    with socket.create_server((LOOPBACK, 0)) as busy:
        port = busy.getsockname()[1]
        assert not is_free(port)
        assert is_answering(port)
        assert port < next_free(port) < port + TRIES


def test_port_already_meant_for_something_else_is_passed_over() -> None:
    """A port that is free but spoken for is not given twice."""
    port = next_free(21000)
    assert next_free(port, but=frozenset({port})) > port


def test_gateway_port_in_use_is_told_in_one_line_with_what_to_do() -> None:
    """The gateway's port is not moved silently: people know it."""
    with socket.create_server((LOOPBACK, 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(LocalError, match=rf"Port {port} .* in use.*make up FIRMHOLD_PORT=") as caught:
            gateway_port({"FIRMHOLD_PORT": str(port)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80 80"])
def test_gateway_port_that_is_no_port_is_named(text: str) -> None:
    """What was said is quoted."""
    with pytest.raises(LocalError, match="FIRMHOLD_PORT"):
        gateway_port({"FIRMHOLD_PORT": text})
