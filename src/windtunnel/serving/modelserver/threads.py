"""A few threads beside the event loop, each of which takes one request from bytes to bytes.

The loop's thread counts what waits, so that the bounds are exact; the threads only take, run and
hand back. A task goes through one queue once: every further hop would cost a switch of threads and
of the interpreter's lock.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from windtunnel.core import limits

logger = logging.getLogger(__name__)


_here = threading.local()


def is_working() -> bool:
    """Say whether this thread is one that runs tasks."""
    return getattr(_here, "is_working", False)


class Task(Protocol):
    """One request's work."""

    size_bytes: int

    def run(self) -> None:
        """Do the work, on a thread; keep the outcome; raise nothing."""

    def finish(self) -> None:
        """Give the outcome away, on the loop's thread."""


class Threads:
    """Runs tasks in the order they came."""

    def __init__(self, count: int, name: str = "predict") -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._count_max = count
        self._name = name
        # What was taken in and not given away yet, running or waiting.
        self.task_count = 0
        self.task_bytes = 0
        # Told when a task comes or goes: how many are here, and how many no thread has begun.
        self.on_change: Callable[[int, int], None] = _ignore
        # Started when there is work for one more.
        self._threads: list[threading.Thread] = []

    def submit(self, task: Task) -> bool:
        """Take a task; say no when as much waits as may."""
        if self.task_count >= limits.MODEL_SERVER_QUEUE_COUNT_MAX or (
            self.task_count
            and self.task_bytes + task.size_bytes > limits.MODEL_SERVER_QUEUE_BYTES_MAX
        ):
            return False
        self.task_count += 1
        self.task_bytes += task.size_bytes
        self._queue.put(task)
        if len(self._threads) < min(self.task_count, self._count_max):
            self._start_thread()
        self.on_change(self.task_count, max(0, self.task_count - self._count_max))
        return True

    @property
    def is_whole(self) -> bool:
        """Whether every thread is still there."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Let each thread end behind the task it has."""
        for _ in self._threads:
            self._queue.put(None)

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        _here.is_working = True
        while (task := self._queue.get()) is not None:
            try:
                task.run()
            except Exception:
                # Against its contract; but a thread that ended here would be missed for ever.
                logger.exception("a task failed")
            self._loop.call_soon_threadsafe(self._give_away, task)

    def _give_away(self, task: Task) -> None:
        self.task_count -= 1
        self.task_bytes -= task.size_bytes
        self.on_change(self.task_count, max(0, self.task_count - self._count_max))
        task.finish()


def _ignore(_: int, __: int) -> None:
    pass
