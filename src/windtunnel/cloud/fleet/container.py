"""One running container, whatever it was started by, as its attendant sees it.

    root_pid    its first process; everything that it started is below that one
    addresses   where it answers; empty until it says so
    refusal     its own words for why it can never serve; None for as long as it might
    end         how its first process ended; None while it runs

The two kinds are in `tensorflow_container.py` and `command_container.py`.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar


class LaunchError(Exception):
    """A container could not even be started, and why; unless final, another try may go better."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Container(ABC):
    """What is known of a container, and how to end it."""

    # Whether it is somebody else's server, which keeps nothing but the public contract.
    is_foreign: ClassVar[bool]

    def __init__(self, root_pid: int) -> None:
        self.root_pid = root_pid
        self.addresses: tuple[str, ...] = ()
        self.refusal: str | None = None
        self.end: str | None = None
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Wake whoever waits: something is known that was not."""
        self._changed.set()

    async def wait_changed(self, timeout_s: float) -> None:
        """Return when something has changed since the last call, or after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    @abstractmethod
    async def stop(self, grace_s: float) -> None:
        """End all its processes: SIGTERM, then SIGKILL after `grace_s` seconds."""
