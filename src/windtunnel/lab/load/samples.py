"""What was measured, as flat columns: one row a request, 37 bytes, no objects.

Recording a request is seven appends to arrays, so that measuring stays cheaper than sending. Rows
are taken away as they come, several times a second: a process that sends for days holds no more
than one that sends for a minute. An arrival that was dropped is a row, too: it was never sent.
"""

from array import array
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from windtunnel.core import limits
from windtunnel.lab.load.failures import Failure

# Column by column: its name and its array type code (double, unsigned 16-bit, signed 64-bit).
COLUMNS = (
    ("due_s", "d"),
    ("sent_s", "d"),
    ("done_s", "d"),
    ("status", "H"),
    ("bytes", "q"),
    ("error", "H"),
    ("payload", "H"),
)
# How numpy and a run's working files have them.
DTYPES = {"d": "<f8", "H": "<u2", "q": "<i8"}
_OTHER = "other kinds of error"
# The kind of error of an arrival that nobody was free to send; as such it is told apart.
DROPPED = "dropped"

Columns = dict[str, npt.NDArray[Any]]


@dataclass
class FailureKinds:
    """The kinds of error of one process, numbered from 1; 0 is none."""

    numbers: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def number(self, failure: Failure) -> int:
        """Return a kind's number; what is one kind too many joins the others."""
        kind = failure.kind
        if kind not in self.numbers and len(self.numbers) >= limits.LOAD_ERROR_KINDS_MAX:
            kind = _OTHER
        if kind not in self.numbers:
            self.numbers[kind] = len(self.numbers) + 1
            self.examples[kind] = failure.message
        return self.numbers[kind]


class Samples:
    """The requests that one load process sent and did not hand over yet."""

    def __init__(self) -> None:
        self.kinds = FailureKinds()
        # Of the whole run.
        self.count = 0
        self._clear()

    def _clear(self) -> None:
        self.due_s = array("d")
        self.sent_s = array("d")
        self.done_s = array("d")
        self.status = array("H")
        self.bytes = array("q")
        self.error = array("H")
        self.payload = array("H")

    @property
    def is_full(self) -> bool:
        """Say whether no more can be kept."""
        return self.count + len(self.due_s) >= limits.LOAD_REQUEST_COUNT_MAX

    def record(
        self,
        due_s: float,
        sent_s: float,
        done_s: float,
        status: int,
        size: int,
        error: int,
        payload: int,
    ) -> None:
        """Keep one request."""
        self.due_s.append(due_s)
        self.sent_s.append(sent_s)
        self.done_s.append(done_s)
        self.status.append(status)
        self.bytes.append(size)
        self.error.append(error)
        self.payload.append(payload)

    def drop(self, due_s: float, payload: int) -> None:
        """Keep that an arrival was not sent."""
        why = Failure(DROPPED, "every connection was waiting for an answer")
        self.record(due_s, nan, nan, 0, 0, self.kinds.number(why), payload)

    def take(self) -> Columns:
        """Return what there is, which is here no more, as columns of numpy."""
        columns: Columns = {
            name: np.frombuffer(getattr(self, name), dtype=DTYPES[code]) for name, code in COLUMNS
        }
        self.count += len(self.due_s)
        self._clear()
        return columns
