"""Waiting until an endpoint is idle again.

A run that was stopped leaves its queue behind: the endpoint goes on with requests whose clients are
gone, and whoever comes next waits for them all. The next run would measure the last one.
"""

import time
from collections.abc import Callable
from time import perf_counter

from windtunnel.core.errors import WindtunnelError

# A single request is answered as if alone when it takes no more than so many times as long, and
# what a client and a connection of its own take on top. Guess.
_ALONE_TIMES = 2.0
_CLIENT_S = 0.25
# An endpoint that is not idle by then is measured as it is: SageMaker gives a request 60 s, and
# what waited for longer is dropped.
_REST_S_MAX = 120.0
_PAUSE_S = 1.0


def rest(invoke: Callable[[], object], alone_s: float) -> None:
    """Send single requests until one is answered as fast as if it were alone."""
    began_s = perf_counter()
    while perf_counter() - began_s < _REST_S_MAX:
        sent_s = perf_counter()
        try:
            invoke()
        except WindtunnelError:
            # It is too busy even to wait in its queue.
            time.sleep(_PAUSE_S)
            continue
        if perf_counter() - sent_s <= _ALONE_TIMES * alone_s + _CLIENT_S:
            return
