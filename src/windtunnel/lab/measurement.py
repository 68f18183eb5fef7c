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
Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class WorkerOutcome:
    """What a load process tells of itself when it is done."""

    requests: int
    end_s: float
    users_peak: int
    unanswered: int
    is_full: bool
    cpu_share: float
    loop_lag_s_p99: float
    # How far its clock of the day was set, or its machine slept, during the run.
    clock_moved_s: float = 0.0
    # The most that were open at once.
    connections: int = 0
    # Arrivals of an open loop that found none free: in the whole run, and after the warm-up.
    dropped: int = 0
    dropped_counted: int = 0

    @classmethod
    def of_nothing(cls) -> Self:
        """Return the outcome of a worker that never told one."""
        return cls(
            requests=0,
            end_s=0.0,
            users_peak=0,
            unanswered=0,
            is_full=False,
            cpu_share=0.0,
            loop_lag_s_p99=0.0,
        )


@dataclass(frozen=True)
class Measurement:
    """All requests of a run, in the order in which they were due."""

    due_s: Floats
    # Not a number for an arrival that was dropped, like `done_s`.
    sent_s: Floats
    done_s: Floats
    status: Integers
    bytes: Integers
    worker: Integers
    # 0: none; n: `error_kinds[n - 1]`.
    error: Integers
    # Which of the plan's payloads was sent.
    payload: Integers
    error_kinds: tuple[str, ...]
    error_examples: tuple[str, ...]
    workers: tuple[WorkerOutcome, ...]
    started_epoch_s: float
    is_interrupted: bool
    # Why our own watch ended the run early; then `is_interrupted`, too.
    stopped_because: str | None = None
    # A sentence for each worker that was lost.
    lost: tuple[str, ...] = ()
    # What else is to be said of workers.
    notes: tuple[str, ...] = ()
    # The most users at once that a shape asked for.
    users_wanted: int | None = None

    @classmethod
    def of(
        cls,
        columns: Mapping[str, npt.NDArray[Any]],
        workers: Sequence[WorkerOutcome],
        *,
        kinds: Sequence[tuple[str, str]],
        started_epoch_s: float,
        is_interrupted: bool = False,
        stopped_because: str | None = None,
        lost: Sequence[str] = (),
        notes: Sequence[str] = (),
        users_wanted: int | None = None,
    ) -> Self:
        """Return a measurement from the columns of its head; `kinds` of error have an example."""
        # One column after the other, each as narrow as it came: ten million requests are 400 MB.
        kept = dict(columns)
        if np.any(np.diff(kept["due_s"]) < 0):
            order = np.argsort(kept["due_s"], kind="stable")
            for name in kept:
                kept[name] = kept[name][order]
        return cls(
            due_s=kept["due_s"],
            sent_s=kept["sent_s"],
            done_s=kept["done_s"],
            status=kept["status"],
            bytes=kept["bytes"],
            worker=kept["worker"],
            error=kept["error"],
            payload=kept["payload"],
            error_kinds=tuple(kind for kind, _ in kinds),
            error_examples=tuple(example for _, example in kinds),
            workers=tuple(workers),
            started_epoch_s=started_epoch_s,
            is_interrupted=is_interrupted or stopped_because is not None,
            stopped_because=stopped_because,
            lost=tuple(lost),
            notes=tuple(notes),
            users_wanted=users_wanted,
        )

    @property
    def was_sent(self) -> npt.NDArray[np.bool_]:
        """Of each request, whether it was sent: an arrival that was dropped was not."""
        return ~np.isnan(self.sent_s)

    def __len__(self) -> int:
        return len(self.due_s)
