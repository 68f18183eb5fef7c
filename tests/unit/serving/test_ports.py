"""Which ports a script's model servers get, where other containers want some, too."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from windtunnel.serving.errors import SettingsError
from windtunnel.serving.ports import HOST, PortRange, ServerPorts, claim_ports


@contextmanager
def claimed(wanted: PortRange | None, count: int) -> Iterator[list[ServerPorts]]:
    found = claim_ports(wanted, count)
    try:
        yield found
    finally:
        for pair in found:
            pair.close()


@pytest.fixture
def some_range() -> PortRange:
    """Ten ports that nobody has, below those that outgoing connections take."""
    for low in range(17_000, 30_000, 10):
        taken = []
        try:
            for port in range(low, low + 10):
                probe = socket.socket()
                taken.append(probe)
                probe.bind((HOST, port))
        except OSError:
            continue
        finally:
            for probe in taken:
                probe.close()
        return PortRange(low, low + 9)
    pytest.fail("no ten free ports")


def test_servers_get_pairs_from_the_lower_end_of_the_range(some_range: PortRange) -> None:
    """Server i has lo + 2i and lo + 2i + 1: some scripts compute that themselves."""
    with claimed(some_range, 3) as found:
        numbers = [
            (pair.grpc_port - some_range.low, pair.rest_port - some_range.low) for pair in found
        ]

    assert numbers == [(0, 1), (2, 3), (4, 5)]


def test_containers_that_share_a_range_share_no_port(some_range: PortRange) -> None:
    """On AWS each has its host to itself, and all are given the same range."""
    with claimed(some_range, 2) as first, claimed(some_range, 2) as second:
        numbers = [port for pair in (*first, *second) for port in (pair.grpc_port, pair.rest_port)]

    assert len(set(numbers)) == 8


def test_a_range_with_too_few_ports_is_said(some_range: PortRange) -> None:
    """And what was taken of it is given back."""
    with pytest.raises(SettingsError) as caught:
        claim_ports(some_range, 5)

    # 10 ports are too few for 5 servers: the original's own rule is lo + 2 * count <= hi.
    assert str(caught.value) == (
        f"SAGEMAKER_SAFE_PORT_RANGE={some_range} has too few free ports: 5 model servers need two"
        " each, and only 4 pairs of neighbours are free."
    )
    with claimed(some_range, 4) as found:
        assert len(found) == 4


def test_without_a_range_there_are_ports_for_any_count() -> None:
    """The original fails with an IndexError here for more than one server."""
    with claimed(None, 5) as found:
        numbers = {port for pair in found for port in (pair.grpc_port, pair.rest_port)}

    assert len(numbers) == 10


def test_a_grpc_server_can_bind_the_number_that_is_kept_for_it() -> None:
    """A gRPC server binds its port itself; until then nobody else may have this one."""
    with claimed(None, 1) as (pair,):
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind((HOST, pair.grpc_port))
            server.listen()
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind((HOST, pair.grpc_port))
