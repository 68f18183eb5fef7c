"""What a container writes for people: one line an event, each with its time in UTC."""

import logging
import sys
import time

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s"


def configure_logs() -> None:
    """Write the container's log to standard error, from this process and its forks."""
    ours = logging.getLogger("windtunnel")
    ours.handlers[:] = [_make_handler(_FORMAT)]
    ours.setLevel(logging.INFO)
    # TensorFlow configures the root logger; its lines would come twice.
    ours.propagate = False


def share_logs() -> None:
    """Write what a script logs, from INFO on, to the same place, as the original does."""
    root = logging.getLogger()
    root.handlers[:] = [_make_handler(f"{_FORMAT} [%(name)s]")]
    root.setLevel(logging.INFO)


def _make_handler(form: str) -> logging.Handler:
    formatter = logging.Formatter(form, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler
