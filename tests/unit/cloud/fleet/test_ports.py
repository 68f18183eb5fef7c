"""Blocks of ports, really bound."""

import socket

import pytest

from windtunnel.cloud.fleet import ports
from windtunnel.core import limits


def test_blocks_never_overlap_even_between_clouds() -> None:
    """Two commands that both start 64 servers on one host do not meet."""
    first = ports.claim(3)
    second = ports.claim(3)

    ranges = []
    for block in (first, second):
        low, high = map(int, block.safe_range.split("-"))
        ranges.append(set(range(block.bind_port - 1, high + 1)))
        assert low == block.bind_port + 1
        assert high - low + 1 == limits.PORT_BLOCK_SIZE - 2
    assert not ranges[0] & ranges[1]
    first.release()
    second.release()


def test_a_block_whose_port_is_taken_is_passed_over() -> None:
    """A stranger's server on the port is not taken for the instance."""
    first = ports.claim(50)
    port = first.bind_port
    first.release()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()

        block = ports.claim(50)

    assert block.bind_port > port
    block.release()


def test_what_was_claimed_last_is_not_claimed_next() -> None:
    """A server that starts again at once would find its port in use."""
    taken = ports.claim(70)
    blocks = ports.Blocks(taken.number)
    first = blocks.claim()
    first.release()
    second = blocks.claim()

    assert taken.number < first.number < second.number
    taken.release()
    second.release()


def test_when_every_block_is_taken_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """One command too many is refused, not started on a stranger's port."""
    # The last two blocks only: other clouds of this machine keep theirs.
    first_port = limits.PORT_LAST + 1 - 2 * limits.PORT_BLOCK_SIZE
    monkeypatch.setattr(limits, "PORT_FIRST", first_port)
    blocks = [ports.claim(), ports.claim()]

    with pytest.raises(ports.NoPortsError, match="all 2 blocks between"):
        ports.claim()
    blocks[1].release()

    again = ports.claim()
    assert again.bind_port > blocks[0].bind_port
    blocks[0].release()
    again.release()
