"""Whether workers can join where a master means to listen."""

import socket

import pytest

from windtunnel.lab.load.ports import refusal


def test_a_port_that_is_free_is_no_reason() -> None:
    """And asking must leave it free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert refusal("127.0.0.1", port) is None
    assert refusal("localhost", port) is None


def test_another_master_at_the_port_is_said_before_anything_begins() -> None:
    """Its workers would join the wrong run, or none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        why = refusal("127.0.0.1", port)

    assert why is not None
    assert why.startswith(f"Workers cannot join at 127.0.0.1:{port}: Address already in use.")
    assert "--master-port" in why


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_not_blamed_on_a_port(host: str) -> None:
    """Whoever takes --bind-host for the workers' address needs another word of advice."""
    why = refusal(host, 5557)

    assert why is not None
    assert "--bind-host is an address of this machine" in why
    assert "--master-port" not in why
