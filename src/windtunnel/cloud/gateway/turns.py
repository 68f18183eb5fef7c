"""Large bodies take turns: one piece of one of them each time round the event loop.

libuv reads a readable connection up to 32 times before it looks at the next (`uv__read`), which
with uvloop's buffers of 256 KiB is 8 MiB of one upload in one go; ten of those at once kept every
other request waiting for 75 ms. In turns, a round costs a quarter of a millisecond.
"""

import asyncio
from collections import deque
from collections.abc import Callable

Go = Callable[[], None]


class Turns:
    """Who waits for a turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Go] = deque()

    def wait(self, go: Go) -> None:
        """Have `go` called when it is its turn, at the earliest in the next round of the loop."""
        self._waiting.append(go)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        go = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
        go()
