"""A few threads beside the event loop, each of which takes one request from bytes to bytes.

The loop's thread counts what waits, so that the bounds are exact; the threads only take, run and
hand back. A task goes through one queue once: every further hop would cost a switch of threads and
of the interpreter's lock.
"""

import asyncio
import logging
import threading
from queue import SimpleQueue
from typing import Protocol

from windtunnel.core import limits

logger = logging.getLogger(__name__)


class Task(Protocol):
    """One request's work."""

    size_bytes: int

    def run(self) -> None:
        """Do the work, on a thread; keep the outcome; raise nothing."""

    def finish(self) -> None:
        """Give the outcome away, on the loop's thread."""


class Threads:
    """Runs tasks in the order they came."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        # What was taken in and not given away yet, running or waiting.
        self.task_count = 0
        self.task_bytes = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"predict-{index}", daemon=True)
            for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

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
        return True

    @property
    def is_whole(self) -> bool:
        """Whether every thread is still there."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Let each thread end behind the task it has."""
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
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
        task.finish()
