"""What a load run measured: every request's three moments, and what each worker knew of itself.

    due    the request should have been sent: when the schedule of an open loop says, or for a
           closed user, when it was free to send
    sent   the generator began on it; opening a connection counts as part of the service
    done   the answer was whole

Times are seconds since the run's start. Latency counts from due, so that waiting in our own
generator is never hidden; service time counts from sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WorkerOutcome:
    """What a load process tells of itself when it is done."""

    requests: int
    # The run's start on the worker's own clock, which its columns are written in.
    start_s: float
    end_s: float
    users_peak: int
    unanswered: int
    is_full: bool
    error_kinds: Sequence[str]
    error_examples: Sequence[str]
    cpu_share: float
    loop_lag_s_p99: float
    # The most that were open at once.
    connections: int = 0
    # Arrivals of an open loop that found none free: in the whole run, and after the warm-up.
    dropped: int = 0
    dropped_counted: int = 0

    @classmethod
    def lost(cls) -> Self:
        """Return the outcome of a worker that never told one."""
        return cls(
            requests=0,
            start_s=0.0,
            end_s=0.0,
            users_peak=0,
            unanswered=0,
            is_full=False,
            error_kinds=(),
            error_examples=(),
            cpu_share=0.0,
            loop_lag_s_p99=0.0,
        )


@dataclass(frozen=True)
class Measurement:
    """All requests of a run, in the order in which they were due."""

    due_s: Floats
    sent_s: Floats
    done_s: Floats
    status: Integers
    bytes: Integers
    worker: Integers
    # 0: none; n: `error_kinds[n - 1]`.
    error: Integers
    error_kinds: tuple[str, ...]
    error_examples: tuple[str, ...]
    workers: tuple[WorkerOutcome, ...]
    started_epoch_s: float
    is_interrupted: bool
    workers_lost: int
    # Why our own watch ended the run early; then `is_interrupted`, too.
    stopped_because: str | None = None

    @classmethod
    def of(
        cls,
        columns: Mapping[str, npt.NDArray[Any]],
        workers: Sequence[WorkerOutcome],
        *,
        started_epoch_s: float,
        is_interrupted: bool,
        workers_lost: int,
        stopped_because: str | None = None,
    ) -> Self:
        """Return a measurement from workers' raw columns: one clock, one list of error kinds."""
        examples: dict[str, str] = {}
        for worker in workers:
            for kind, example in zip(worker.error_kinds, worker.error_examples, strict=True):
                examples.setdefault(kind, example)
        kinds = list(examples)
        worker_column = columns["worker"].astype(np.int64)
        error = columns["error"].astype(np.int64)
        offset = np.zeros(len(worker_column))
        for number, worker in enumerate(workers):
            mine = worker_column == number
            offset[mine] = worker.start_s
            renumbered = np.array([0, *(kinds.index(kind) + 1 for kind in worker.error_kinds)])
            error[mine] = renumbered[error[mine]]
        # To the nanosecond: a process's clock counts from when its machine started, and what is
        # due at 1 s would else be due a hair before, on the other side of the warm-up's end.
        due_s, sent_s, done_s = (
            np.round(columns[name] - offset, 9) for name in ("due_s", "sent_s", "done_s")
        )
        order = np.argsort(due_s, kind="stable")
        return cls(
            due_s=due_s[order],
            sent_s=sent_s[order],
            done_s=done_s[order],
            status=columns["status"].astype(np.int64)[order],
            bytes=columns["bytes"].astype(np.int64)[order],
            worker=worker_column[order],
            error=error[order],
            error_kinds=tuple(kinds),
            error_examples=tuple(examples[kind] for kind in kinds),
            workers=tuple(workers),
            started_epoch_s=started_epoch_s,
            is_interrupted=is_interrupted,
            workers_lost=workers_lost,
            stopped_because=stopped_because,
        )

    def __len__(self) -> int:
        return len(self.due_s)
