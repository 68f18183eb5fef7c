"""Which requests run together, and when: TensorFlow Serving's rules for batches.

As its SharedBatchScheduler (tensorflow/core/kernels/batching_util/shared_batch_scheduler.h): each
kind of request has a queue of batches, of which the last one is open. A request goes into the open
batch; where it does not fit, a new one is opened, unless as many wait as may. A batch may run when
another one is behind it, when it is full, or when its first request has waited for the time-out.
The queues take turns.

Pure: a moment in, a batch or the next moment of interest out. Who waits and who runs is
`batching.py`'s business.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from windtunnel.serving.errors import RequestError

Task = TypeVar("Task")


@dataclass(frozen=True, slots=True)
class BatchRules:
    """TensorFlow Serving's batching parameters, as far as the container sets them."""

    # The names are its own (session_bundle_config.proto), so that they are found there.
    max_batch_size: int
    batch_timeout_s: float
    num_batch_threads: int
    max_enqueued_batches: int


@dataclass(slots=True)
class Batch(Generic[Task]):
    """Requests that run together."""

    opened_s: float
    rows: int = 0
    tasks: list[Task] = field(default_factory=list)


class BatchQueues(Generic[Task]):
    """All batches that wait."""

    def __init__(self, rules: BatchRules) -> None:
        self._rules = rules
        # Only those with a batch in them; the next one to be served first.
        self._queues: OrderedDict[Hashable, deque[Batch[Task]]] = OrderedDict()

    def add(self, kind: Hashable, task: Task, rows: int, now_s: float) -> None:
        """Put a request with so many rows into a batch of its kind, or raise RequestError."""
        rules = self._rules
        if rows > rules.max_batch_size:
            raise RequestError(
                f"Task size {rows} is larger than maximum input batch size {rules.max_batch_size}"
            )
        queue = self._queues.setdefault(kind, deque())
        if not queue or queue[-1].rows + rows > rules.max_batch_size:
            if queue and len(queue) >= rules.max_enqueued_batches:
                raise RequestError(
                    "The batch scheduling queue to which this task was submitted is full", 503
                )
            queue.append(Batch(now_s))
        queue[-1].tasks.append(task)
        queue[-1].rows += rows

    def take(self, now_s: float) -> Batch[Task] | float | None:
        """Return a batch to run now; else when there will be one; None if nothing waits."""
        next_s: float | None = None
        for kind, queue in self._queues.items():
            due_s = self._due_s(queue)
            if due_s <= now_s:
                batch = queue.popleft()
                if queue:
                    self._queues.move_to_end(kind)
                else:
                    del self._queues[kind]
                return batch
            next_s = due_s if next_s is None else min(next_s, due_s)
        return next_s

    def _due_s(self, queue: deque[Batch[Task]]) -> float:
        """Return from when on the first batch of a queue may run."""
        first = queue[0]
        if len(queue) > 1 or first.rows >= self._rules.max_batch_size:
            return first.opened_s
        return first.opened_s + self._rules.batch_timeout_s
