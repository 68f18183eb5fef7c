"""What a container writes for people: one line an event, each with its time in UTC."""

import logging
import sys
import time

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s"


def configure_logs() -> None:
    """Write the container's log to standard error, from this process and its forks."""
    formatter = logging.Formatter(_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    ours = logging.getLogger("windtunnel")
    ours.handlers[:] = [handler]
    ours.setLevel(logging.INFO)
    # TensorFlow configures the root logger; its lines would come twice.
    ours.propagate = False
