"""How often to look whether something that takes its time is done.

A local cloud is done in a second and costs nothing to ask. AWS takes minutes and counts the calls:
the pauses grow, so that what is quick is noticed at once and what is slow is asked for rarely.
"""

from collections.abc import Iterator
from typing import Literal

from windtunnel.core import limits

_GROWTH = 1.5


def pauses_s(kind: Literal["local", "aws"]) -> Iterator[float]:
    """Yield the pause before each further look, for ever."""
    if kind == "local":
        while True:
            yield limits.DEPLOY_POLL_LOCAL_S
    pause_s = limits.DEPLOY_POLL_AWS_FIRST_S
    while True:
        yield pause_s
        pause_s = min(_GROWTH * pause_s, limits.DEPLOY_POLL_AWS_S_MAX)
