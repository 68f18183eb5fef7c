"""A gRPC channel that is there when a script looks for it, and costs nothing before."""

import subprocess
import sys

PROGRAM = """
import sys, threading
from windtunnel.serving.scripts.channels import LazyChannel
channel = LazyChannel(1)
assert "grpc" not in sys.modules
call = channel.unary_unary("/a.Service/Method")
assert call is not None and channel.unary_unary is not None
import grpc
assert grpc.intercept_channel(channel) is channel
channel.close()
print("one channel")
"""


def test_a_channel_is_made_when_it_is_first_used() -> None:
    """Its threads would be in every worker, for the few scripts that use them."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    assert done.stdout == "one channel\n", done.stderr
